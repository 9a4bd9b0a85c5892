"""Tokens: good ones, and each kind that nobody may ever accept."""

from typing import Any, Final

from ostraka_schemas import jws, strict_json
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.limits import TOKEN_MAX_BYTES
from ostraka_schemas.records import Position

from .issuer import Issuer
from .names import AUDIENCE, CLIENTS, ISSUER, PERMISSIONS, SESSIONS, SUBJECTS, key
from .truth import Minted

LIFETIMES: Final = (300, 300, 300, 90, 30)
WRONGS: Final = (
    "signed by a thief under the key's name",
    "signed by a key nobody published",
    "typed as an event",
    "of another issuer",
    "for another audience",
    "longer-lived than its key allows",
    "from before its key's time",
    "signed by the feed key",
    "without an end",
    "altered",
)


def mint(issuer: Issuer, number: int, seed: int, *, wrong: str = "", fv: Position | None = None) -> Minted | None:
    """Mint a token, if there is a key that signs.

    Args:
        seed: chooses whose it is and what it carries.
        wrong: one of ``WRONGS``, or empty for a good one.
    """
    signer = issuer.keys.usable
    if not signer or not issuer.feed:
        return None
    permissions = tuple(dict.fromkeys((PERMISSIONS[seed % 6], PERMISSIONS[seed // 6 % 6])))
    iat = issuer.now
    token = Minted(
        text="",
        jti=issuer.new_id(),
        sid=SESSIONS[seed // 36 % 3],
        sub=SUBJECTS[seed // 108 % 2],
        client=CLIENTS[seed // 216 % 2],
        permissions=permissions,
        key=signer,
        fv=fv or issuer.head.position,
        iat=iat,
        exp=iat + LIFETIMES[seed // 432 % len(LIFETIMES)],
        at=issuer.time.now,
        wrong=wrong,
        number=number,
    )
    token.text = _sign(token)
    if not wrong:
        issuer.keys.note(signer, token.exp)
    return token


def _claims(token: Minted) -> dict[str, Any]:
    return {
        "iss": ISSUER,
        "sub": token.sub,
        "aud": [AUDIENCE],
        "client_id": token.client,
        "iat": token.iat,
        "exp": token.exp,
        "jti": token.jti,
        "sid": token.sid,
        "permissions": list(token.permissions),
        "fv": list(token.fv),
    }


def _sign(token: Minted) -> str:
    good = key(f"token {token.key}")
    match token.wrong:
        case "signed by a thief under the key's name":
            head, body, _ = _signed(_claims(token), good).split(".")
            return ".".join((head, body, _signed(_claims(token), key("thief")).split(".")[2]))
        case "signed by a key nobody published":
            return _signed(_claims(token), key("thief"))
        case "signed by the feed key":
            return _signed(_claims(token), key("feed 1"))
        case "typed as an event":
            return _signed(_claims(token), good, typ=jws.TYP_EVENT)
        case "altered":
            text = _signed(_claims(token), good)
            at = len(text) // 2
            return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
    claims = {**_claims(token), **_changes(token)}
    return _signed({name: value for name, value in claims.items() if value is not None}, good)


def _changes(token: Minted) -> dict[str, Any]:
    match token.wrong:
        case "of another issuer":
            return {"iss": "https://other.example"}
        case "for another audience":
            return {"aud": ["payroll"]}
        case "longer-lived than its key allows":
            return {"exp": token.iat + 301}
        case "from before its key's time":
            return {"iat": token.iat - 10_000, "exp": token.iat - 9_800}
        case "without an end":
            return {"exp": None}
    return {}


def _signed(claims: dict[str, Any], signer: SigningKey, *, typ: str = jws.TYP_ACCESS_TOKEN) -> str:
    return jws.sign(strict_json.dumps(claims), signer, typ=typ, max_bytes=TOKEN_MAX_BYTES).decode()

"""What may lie on the feed's topic and must change nothing, and in which counter it must show."""

from typing import Any

from ostraka_schemas import base64url, strict_json
from ostraka_schemas.events import IssuerCutoff
from ostraka_schemas.limits import RECORD_MAX_BYTES, SEQ_MAX
from tests.corpora.headers import KIDS, bad_headers
from tests.corpora.json_texts import READ, REFUSED
from tests.support.fake_issuer import FakeIssuer
from tests.support.forging import forge, hmac_signer, resign, secrets_made_of
from tests.support.rogue import Forgery, forgeries

MALFORMED = "refused.malformed"
MALFORMED_ROOT = "refused.malformed_root"


def bad_records(issuer: FakeIssuer) -> list[Forgery]:
    """All of them, against the state in which ``issuer`` is now."""
    next_one = issuer.sign(IssuerCutoff(), seq=len(issuer.records) + 1, prev=issuer.head.hash)
    return [
        *forgeries(issuer),
        *_types(next_one),
        *_shapes(next_one),
        *_headers(issuer),
        *_payloads(issuer),
        *_signatures(issuer, next_one),
    ]


def _types(raw: bytes) -> list[Forgery]:
    values: list[Any] = [None, 0, True, 1.5, [], [raw], {}, raw.decode(), bytearray(raw), memoryview(raw), object()]
    return [Forgery(f"a {type(value).__name__} ({n})", value, MALFORMED) for n, value in enumerate(values)]


def _shapes(raw: bytes) -> list[Forgery]:
    header, payload, signature = raw.split(b".")
    values = {
        "dots": b"..",
        "white space behind": raw + b"\n",
        "white space before": b" " + raw,
        "padding": raw + b"==",
        "a BOM": b"\xef\xbb\xbf" + raw,
        "UTF-16": raw.decode().encode("utf-16"),
        "two records": raw + b"\n" + raw,
        "four segments": raw + b"." + signature,
        "five segments": b".".join((header, payload, payload, payload, signature)),
        "no payload": header + b".." + signature,
        "JSON serialisation": strict_json.dumps({"payload": payload.decode(), "signatures": []}),
        "as large as may be": b"A" * RECORD_MAX_BYTES,
        "a hundred megabytes": b"A" * 100_000_000,
        "every byte": bytes(range(256)),
    }
    # What begins like JSON is taken for a root document.
    return [
        Forgery(name, value, MALFORMED_ROOT if value.startswith(b"{") else MALFORMED) for name, value in values.items()
    ]


def _headers(issuer: FakeIssuer) -> list[Forgery]:
    key = issuer.feed_key
    good = {"alg": key.alg, "kid": key.kid, "typ": "secevent+jwt"}
    payload = issuer.payload({IssuerCutoff.uri: {}})
    types: list[Any] = ["at+jwt", "JWT", "SECEVENT+JWT", "application/secevent+jwt", "ostraka-root+jws", "", None]
    found = [Forgery(f"header: {n}", forge(h, payload, key.sign), MALFORMED) for n, h in bad_headers(good).items()]
    found += [
        Forgery(f"kid {n}", forge({**good, "kid": kid}, payload, key.sign), MALFORMED) for n, kid in enumerate(KIDS)
    ]
    found += [Forgery(f"typ {t!r}", forge({**good, "typ": t}, payload, key.sign), MALFORMED) for t in types]
    found += [
        Forgery(f"alg {alg}", forge({**good, "alg": alg}, payload, key.sign), "refused.bad_signature")
        for alg in ("ES256", "RS256", "PS256")
    ]
    for name, secret in secrets_made_of(key).items():
        for alg, counter in (("HS256", MALFORMED), ("EdDSA", "refused.bad_signature")):
            raw = forge({**good, "alg": alg}, payload, hmac_signer(secret))
            found.append(Forgery(f"{alg}, the public key ({name}) for a secret", raw, counter))
    return found


def _payloads(issuer: FakeIssuer) -> list[Forgery]:
    """Signed by the feed key itself: what a broken issuer could sign. Nothing of it has a place in the chain."""
    key = issuer.feed_key
    header = {"alg": key.alg, "kid": key.kid, "typ": "secevent+jwt"}
    short = {n: t for n, t in (READ | REFUSED).items() if t and len(t) < 20_000}
    found = [Forgery(f"signed: {name}", forge(header, text, key.sign), MALFORMED) for name, text in short.items()]
    good = issuer.payload({IssuerCutoff.uri: {}})
    text = strict_json.dumps(good)
    wrong: dict[str, list[Any]] = {
        "iss": [None, "", 1],
        "iat": [None, True, 1.5, "1", -1, SEQ_MAX + 1],
        "jti": [None, "", 1, "j" * 256],
        "txn": [None, "", [], "t" * 256],
        "sub_id": [None, "x", {}, {"format": "email"}, {"format": "uri", "uri": 1}],
        "events": [None, {}, [], "x", {"a": {}, "b": {}}, {"a": None}, {"a": 1}],
        "feed": [
            *(None, {}, [], {**good["feed"], "prev": "A" * 42}, {**good["feed"], "prev": "A" * 42 + "B"}),
            *({**good["feed"], "seq": value} for value in (0, -1, True, 1.0, "3", None, SEQ_MAX + 1)),
            *({**good["feed"], "epoch": value} for value in (0, -1, True, 1.0, "1", None, SEQ_MAX + 1)),
        ],
    }
    for name, values in wrong.items():
        for n, value in enumerate(values):
            raw = issuer.sign_payload({**good, name: value})
            found.append(Forgery(f"signed: {name} wrong ({n})", raw, MALFORMED))
    segment = base64url.encode(text + b" " * (-len(text) % 3 + 1))
    stray = [segment[:-1] + bytes([last]) for last in (b"BCDEFGHIJ" if len(segment) % 4 == 2 else b"BCDFGH")]
    return [
        *found,
        *(Forgery(f"signed: stray bits {n}", resign(header, s, key), MALFORMED) for n, s in enumerate(stray)),
        Forgery("signed: a name twice", forge(header, text[:-1] + b',"iat":1}', key.sign), MALFORMED),
        Forgery("signed: UTF-16", forge(header, text.decode().encode("utf-16"), key.sign), MALFORMED),
    ]


def _signatures(issuer: FakeIssuer, raw: bytes) -> list[Forgery]:
    head, _, segment = raw.rpartition(b".")
    signature = base64url.decode(segment)
    order = 2**252 + 27742317777372353535851937790883648493
    larger = int.from_bytes(signature[32:], "little") + order
    values = {
        "zero": bytes(64),
        "short": signature[:-1],
        "long": signature + b"\0",
        "swapped halves": signature[32:] + signature[:32],
        "malleable": signature[:32] + larger.to_bytes(32, "little"),
        "of another record": base64url.decode(issuer.records[-1].rpartition(b".")[2]),
    }
    return [
        Forgery(f"signature: {name}", head + b"." + base64url.encode(value), "refused.bad_signature")
        for name, value in values.items()
    ]

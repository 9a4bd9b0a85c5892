"""What somebody who can write to the feed's topic, but has no key of it, may put there."""

import hashlib
import hmac
from dataclasses import dataclass

from ostraka_schemas import base64url, jws, strict_json
from ostraka_schemas.events import IssuerCutoff, RootPublished
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.records import Head, Position
from ostraka_schemas.root import FeedRole, RootDocument, RootRole, sign_root
from tests.support.fake_issuer import YEAR, FakeIssuer


@dataclass(frozen=True)
class Forgery:
    """Bytes, and the counter in which a verifier must show them."""

    name: str
    raw: bytes
    counted_as: str


def _compact(header: dict[str, object], payload: bytes, signature: bytes) -> bytes:
    parts = (strict_json.dumps(header), payload, signature)
    return b".".join(base64url.encode(part) for part in parts)


def _hs256_with_public_key(issuer: FakeIssuer, payload: bytes) -> bytes:
    header = {"alg": "HS256", "kid": issuer.feed_key.kid, "typ": jws.TYP_EVENT}
    signing_input = b".".join(base64url.encode(part) for part in (strict_json.dumps(header), payload))
    secret = base64url.decode_text(issuer.feed_key.public.jwk["x"])
    return signing_input + b"." + base64url.encode(hmac.new(secret, signing_input, hashlib.sha256).digest())


def _own_root(issuer: FakeIssuer, thief: SigningKey) -> bytes:
    root = RootDocument(
        iss=issuer.issuer,
        version=1,
        epoch=1,
        iat=issuer.now,
        exp=issuer.now + YEAR,
        root=RootRole(keys=[thief.public.to_jwk()], threshold=1),
        feed=FeedRole(keys=[SigningKey.generate("EdDSA").public.to_jwk()], exp=issuer.now + YEAR),
    )
    return issuer.sign(RootPublished(**sign_root(root, [thief])), seq=1, prev=bytes(32), key=thief)


def forgeries(issuer: FakeIssuer) -> list[Forgery]:
    """One of each class, made against the state in which ``issuer`` is now."""
    thief = SigningKey.generate("EdDSA")
    seq, prev = len(issuer.records) + 1, issuer.head.hash
    good = issuer.sign(IssuerCutoff(), seq=seq, prev=prev)
    header, payload, signature = good.split(b".")
    members: dict[str, object] = {"alg": "EdDSA", "kid": issuer.feed_key.kid, "typ": jws.TYP_EVENT}
    body = base64url.decode(payload)
    other_payload = base64url.encode(body.replace(b'"iss"', b'"Iss"', 1))
    forged = IssuerCutoff()
    thief_keys = issuer.payload({"urn:ostraka:event:key-set": {"keys": []}})
    return [
        Forgery("empty", b"", "refused.malformed"),
        Forgery("not a JWS", b"\x00\xff" * 100, "refused.malformed"),
        Forgery("plain JSON", body, "refused.malformed_root"),
        Forgery("larger than a record may be", b"A" * 65_537, "refused.malformed"),
        Forgery("unsigned", header + b"." + payload + b".", "refused.malformed"),
        Forgery("alg none", _compact({**members, "alg": "none"}, body, b"x"), "refused.malformed"),
        Forgery("HS256 keyed with the public key", _hs256_with_public_key(issuer, body), "refused.malformed"),
        Forgery("signed by an unknown key", issuer.sign(forged, seq=seq, prev=prev, key=thief), "refused.unknown_key"),
        Forgery(
            "signed by another key under the feed key's name",
            _compact(members, body, thief.sign(header + b"." + payload)),
            "refused.bad_signature",
        ),
        Forgery(
            "signed by the token key",
            issuer.sign(forged, seq=seq, prev=prev, key=issuer.token_key),
            "refused.unknown_key",
        ),
        Forgery(
            "signed by the root key",
            issuer.sign(forged, seq=seq, prev=prev, key=issuer.root_key),
            "refused.unknown_key",
        ),
        Forgery(
            "a signature from another record", header + b"." + other_payload + b"." + signature, "refused.bad_signature"
        ),
        Forgery("an access token", issuer.token().encode(), "refused.malformed"),
        Forgery("a record typed as a token", issuer.sign_payload(thief_keys, typ="at+jwt"), "refused.malformed"),
        Forgery(
            "of another issuer", issuer.sign(forged, seq=seq, prev=prev, iss="https://other"), "refused.wrong_issuer"
        ),
        Forgery("of another epoch", issuer.sign(forged, seq=seq, prev=prev, epoch=9), "refused.wrong_epoch"),
        Forgery("a root document of its own", _own_root(issuer, thief), "refused.unknown_key"),
        Forgery(
            "a heartbeat of its own",
            issuer.heartbeat(head=Head(Position(1, 999), bytes(32)), key=thief),
            "refused.unknown_key",
        ),
        Forgery("a key set of its own", issuer.sign_payload(thief_keys, key=thief), "refused.unknown_key"),
        Forgery("a heartbeat from the future", issuer.heartbeat(iat=issuer.now + 3_600), "refused.from_the_future"),
        Forgery("a replayed record", issuer.records[0], "duplicate"),
    ]

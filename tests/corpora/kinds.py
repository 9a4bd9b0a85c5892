"""One good specimen of every kind of signed thing there is, and where each is at home."""

from ostraka_schemas import jws, strict_json
from ostraka_schemas.events import RootPublished
from ostraka_schemas.records import Head, Position
from ostraka_schemas.root import sign_root
from ostraka_schemas.snapshots import SnapshotState
from tests.support.fake_issuer import FakeIssuer

TOKEN, FEED = "token", "feed"
HOMES = {
    "access token": TOKEN,
    "record": FEED,
    "heartbeat": FEED,
    "root record": FEED,
    "root document": FEED,
    "snapshot part": FEED,
}


def kinds(issuer: FakeIssuer) -> dict[str, bytes]:
    """By name. What is not in ``HOMES`` is refused wherever it is presented."""
    claims = strict_json.dumps(issuer.claims())
    signed_root = sign_root(issuer.root, [issuer.root_key])
    root = ".".join((signed_root["signatures"][0]["protected"], signed_root["payload"]))
    seal = jws.sign(claims, issuer.token_key, typ="ostraka-seal+jwt", max_bytes=8_192)
    snapshot = {"iss": issuer.issuer, "iat": issuer.now, "jti": "j", "events": {"urn:ostraka:event:snapshot": {}}}
    return {
        "access token": issuer.token().encode(),
        "record": issuer.records[-1],
        "heartbeat": issuer.heartbeat(head=issuer.head, iat=issuer.now),
        "root record": issuer.records[0],
        "root signature": f"{root}.{signed_root['signatures'][0]['signature']}".encode(),
        "root document": strict_json.dumps(signed_root),
        "seal": seal,
        "ID token": jws.sign(claims, issuer.token_key, typ="JWT", max_bytes=8_192),
        "refresh token": issuer.new_id().encode(),
        "DPoP proof": jws.sign(claims, issuer.token_key, typ="dpop+jwt", max_bytes=8_192),
        "logout token": jws.sign(claims, issuer.token_key, typ="logout+jwt", max_bytes=8_192),
        "snapshot part": issuer.snapshot_part(SnapshotState(latest_iat=issuer.now)),
        "snapshot part of nothing": issuer.sign_payload({**snapshot, "feed": {"epoch": 1, "seq": 2, "hash": "A" * 43}}),
        "snapshot part by the token key": issuer.snapshot_part(
            SnapshotState(latest_iat=issuer.now), key=issuer.token_key
        ),
        "root document by the feed key": strict_json.dumps(issuer.next_root(signers=[issuer.feed_key])),
        "event by the token key": issuer.sign_payload(issuer.payload({"urn:new": {}}), key=issuer.token_key),
        "token by the feed key": issuer.token(key=issuer.feed_key).encode(),
        "token by the root key": issuer.token(key=issuer.root_key).encode(),
        "event by the root key": issuer.sign_payload(issuer.payload({"urn:new": {}}), key=issuer.root_key),
        "token typed as an event": issuer.sign_payload(issuer.claims()),
        "event typed as a token": issuer.sign_payload(issuer.payload({"urn:new": {}}), typ=jws.TYP_ACCESS_TOKEN),
        "event typed as a token, by the token key": issuer.sign_payload(
            issuer.payload({"urn:new": {}}), key=issuer.token_key, typ=jws.TYP_ACCESS_TOKEN
        ),
        "root as an event by the root key": issuer.sign(
            RootPublished(**signed_root), seq=1, prev=bytes(32), key=issuer.root_key
        ),
        "heartbeat by the token key": issuer.heartbeat(head=Head(Position(1, 9), bytes(32)), key=issuer.token_key),
    }

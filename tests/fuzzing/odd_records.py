"""Odd things that the true feed key has signed: what a broken issuer, a newer one or a thief could say."""

from collections.abc import Callable
from random import Random
from typing import Any

from ostraka_schemas import base64url, jws, strict_json
from ostraka_schemas.events import EVENTS, OURS
from ostraka_schemas.limits import SEQ_MAX
from ostraka_schemas.records import HEARTBEAT
from tests.corpora.headers import bad_headers
from tests.fuzzing import keys
from tests.fuzzing.mutants import Mutant
from tests.fuzzing.texts import fragment, odd_text, value
from tests.support.fake_issuer import FakeIssuer, published
from tests.support.forging import forge

ROOM = 44_000
"""Bytes of payload that fit into a record."""

URIS = (*EVENTS, OURS + "snapshot", OURS + "new", "urn:new", "", "https://example.com/" + "x" * 1_000)
KEYS = (*keys.TOKEN_KEYS, keys.COMPROMISED, *keys.FALSE_KEYS[:2], keys.FEED, keys.ROOT)


class OddRecords:
    """Says odd things in the name of one issuer, against the state in which that is."""

    def __init__(self, chance: Random, issuer: FakeIssuer) -> None:
        self.chance, self.issuer = chance, issuer
        self._headers = list(bad_headers({"alg": "EdDSA", "kid": issuer.feed_key.kid, "typ": jws.TYP_EVENT}).values())
        self._ways: tuple[Callable[[], bytes], ...] = (
            *(self.event, self.event, self.unknown_event, self.key_set, self.many, self.text, self.text),
            *(self.members, self.place, self.place, self.heartbeat, self.heartbeat, self.header, self.root),
        )

    def next(self) -> Mutant:
        """One more; most of them take the next place in the feed."""
        way = self.chance.choice(self._ways)
        return Mutant(f"signed_{way.__name__}", way())

    def event(self) -> bytes:
        """A known event with one member of it wrong, or one too many, or none wrong."""
        chance, uri = self.chance, self.chance.choice(list(EVENTS))
        members = self._good_event(uri)
        for _ in range(chance.choice([0, 1, 1, 1, 2])):
            name = chance.choice([*members, *EVENTS[uri].model_fields, "must_understand", "x"])
            if chance.random() < 0.2:
                members.pop(name, None)
            else:
                members[name] = value(chance)
        return self._sign({uri: members}, sub_id=self._subject(uri))

    def unknown_event(self) -> bytes:
        members = {"must_understand": self.chance.choice([True, False, None, 1, "true"]), "a": value(self.chance)}
        if self.chance.random() < 0.3:
            del members["must_understand"]
        return self._sign({self.chance.choice(URIS): members}, sub_id=self._subject(self.chance.choice(URIS)))

    def key_set(self) -> bytes:
        """Within the limits and beyond them: reserved keys, other algorithms, long lives, the same one twice."""
        chance, entries = self.chance, []
        for _ in range(chance.choice([0, 1, 2, 3, 16, 17])):
            entry = published(chance.choice(KEYS), now=self.issuer.now).model_dump(mode="json")
            if chance.random() < 0.5:
                entry[chance.choice(list(entry))] = value(chance)
            if chance.random() < 0.3 and isinstance(entry.get("jwk"), dict):
                entry["jwk"] = {
                    **entry["jwk"],
                    chance.choice(["x", "y", "crv", "kid", "alg", "d", "use", "n"]): value(chance),
                }
            if chance.random() < 0.2:
                entry["jwk"], entry["alg"] = _rsa(chance), chance.choice(["RS256", "PS256"])
            entry["state"] = chance.choice(["active", "deactivated", "compromised", "destroyed", entry.get("state")])
            entries.append(entry)
        return self._sign({OURS + "key-set": {"keys": entries}})

    def many(self) -> bytes:
        """As much as fits: ids, permissions, keys of many kinds, wide lists, long texts."""
        chance = self.chance
        item: Any = chance.choice([["a", 1], ["a" * 22, 2**40], ["a", "x"], "a", 1, None, [], {}, ["", -1], "a:b"])
        count = min(
            chance.choice([255, 256, 257, 2_047, 2_048, 2_049, 9_000]), ROOM // (len(strict_json.dumps(item)) + 1)
        )
        uri, members = chance.choice(
            [
                (OURS + "tokens-revoked", {"tokens": [item] * count}),
                (OURS + "key-set", {"keys": [item] * count}),
                (OURS + "root", {"payload": "A" * count, "signatures": [item] * min(count, 4_000)}),
                (OURS + "new", {"x": [item] * count}),
                (OURS + "new", {f"{n}": 0 for n in range(min(count, 4_000))}),
                (OURS + "issuer-cutoff", {"reason_admin": {f"l{n}": "" for n in range(min(count, 3_000))}}),
                (OURS + "issuer-cutoff", {"reason_admin": {"en": "x" * count}}),
            ]
        )
        return self._sign({uri: members})

    def text(self) -> bytes:
        """JSON that is not quite."""
        uri = self.chance.choice(list(EVENTS))
        payload = self.issuer.payload({uri: self._good_event(uri)}, sub_id=self._subject(uri))
        if self.chance.random() < 0.3:
            hole = b'"a hole"'
            text = strict_json.dumps({**payload, "events": {uri: {**self._good_event(uri), "x": "a hole"}}})
            return self._sign_text(text.replace(hole, fragment(self.chance, room=ROOM)))
        return self._sign_text(odd_text(self.chance, payload, room=ROOM))

    def members(self) -> bytes:
        payload = self.issuer.payload({OURS + "issuer-cutoff": {}})
        name = self.chance.choice([*payload, "feed", "sub_id"])
        inner = payload[name]
        if isinstance(inner, dict) and self.chance.random() < 0.7:
            payload[name] = {**inner, self.chance.choice([*inner, "x"]): value(self.chance)}
        else:
            payload[name] = value(self.chance)
        return self._sign_text(strict_json.dumps(payload))

    def place(self) -> bytes:
        """A good record elsewhere: passed, held, too far, of another epoch, attached to something else."""
        chance, issuer = self.chance, self.issuer
        here = len(issuer.records) + 1
        seq = chance.choice(
            [1, 2, here - 1, here, here + 1, here + 2, here + 1_024, here + 1_025, SEQ_MAX, 0, SEQ_MAX + 1]
        )
        prev = chance.choice([issuer.head.hash, bytes(32), chance.randbytes(32), chance.randbytes(31)])
        feed = {"epoch": chance.choice([1, 1, 1, 1, 2, 0]), "seq": seq, "prev": base64url.encode(prev).decode()}
        uri = chance.choice(list(EVENTS))
        return self._sign({uri: self._good_event(uri)}, sub_id=self._subject(uri), feed=feed)

    def heartbeat(self) -> bytes:
        chance, issuer = self.chance, self.issuer
        seq = max(1, len(issuer.records) + chance.choice([-1, 0, 0, 0, 1, 5, 2_000]))
        hash_ = chance.choice([issuer.head.hash, bytes(32)])
        feed: dict[str, Any] = {"epoch": 1, "seq": seq, "hash": base64url.encode(hash_).decode()}
        body: dict[str, Any] = {
            "iss": issuer.issuer,
            "iat": issuer.now + chance.choice([-100, -1, 0, 1, 9, 10, 11, 1_000, SEQ_MAX]),
            "jti": issuer.new_id(),
            "events": {HEARTBEAT: {}},
            "feed": feed,
        }
        match chance.randrange(5):
            case 0:
                body[chance.choice(list(body))] = value(chance)
            case 1:
                feed[chance.choice(list(feed))] = value(chance)
            case 2:
                body["events"] = {HEARTBEAT: value(chance), **chance.choice([{}, {OURS + "issuer-cutoff": {}}])}
            case 3:
                return self._sign_text(odd_text(chance, body, room=ROOM))
        return self._sign_text(strict_json.dumps(body))

    def header(self) -> bytes:
        payload = self.issuer.payload({OURS + "issuer-cutoff": {}})
        return forge(self.chance.choice(self._headers), payload, self.issuer.feed_key.sign)

    def root(self) -> bytes:
        """Root documents of later versions, or what calls itself so, in the place of a record."""
        chance = self.chance
        document = self.issuer.root.model_dump(mode="json")
        document["version"] = chance.choice([0, 1, 2, 3, SEQ_MAX, "2", True])
        if chance.random() < 0.7:
            document[chance.choice([*document, "x"])] = value(chance)
        payload = odd_text(chance, document) if chance.random() < 0.3 else strict_json.dumps(document)
        signer = chance.choice([keys.ROOT, keys.FEED, keys.FALSE_KEYS[5]])
        signed: dict[str, Any] = jws.sign_general(payload, [signer] * chance.choice([0, 1, 1, 2, 40]), typ=jws.TYP_ROOT)
        if chance.random() < 0.3:
            signed[chance.choice([*signed, "x"])] = value(chance)
        return self._sign({OURS + "root": signed})

    def _good_event(self, uri: str) -> dict[str, Any]:
        now, chance = self.issuer.now, self.chance
        ours: dict[str, dict[str, Any]] = {
            OURS + "tokens-revoked": {"tokens": [["t1", now + 300], [self.issuer.new_id(), now]]},
            OURS + "permission-revoked": {"permission": chance.choice(["a:b", "*:*", "reports:read"])},
            OURS + "issuer-cutoff": {},
            OURS + "key-set": {"keys": [published(k, now=now).model_dump(mode="json") for k in keys.TOKEN_KEYS[:1]]},
            OURS + "root": {"payload": "e30", "signatures": []},
        }
        return ours.get(uri, {"event_timestamp": now, "exp": now + 300, "claims": {"permissions": ["a:b"]}})

    def _subject(self, uri: str) -> Any:
        chance, iss = self.chance, self.issuer.issuer
        if chance.random() < 0.1:
            return value(chance) or {"format": chance.choice(["iss_sub", "email", "", 1]), "iss": value(chance)}
        user = {
            "format": "iss_sub",
            "iss": chance.choice([iss, iss, iss, "https://other"]),
            "sub": chance.choice(["x", "y"]),
        }
        session, client = ({"format": "opaque", "id": chance.choice(["s", "t"])} for _ in range(2))
        if uri.endswith("token-revoked"):
            return {"format": "jwt_id", "iss": iss, "jti": chance.choice(["t2", "A" * 22, "x" * 255])}
        if not uri.startswith(OURS):
            both = {"format": "complex", "user": user, "session": session}
            return chance.choice([user, both, {"format": "complex", "application": client}, {"format": "complex"}])
        return {"format": "uri", "uri": iss}

    def _sign(self, events: dict[str, Any], *, sub_id: Any = None, **changes: Any) -> bytes:
        return self._sign_text(strict_json.dumps(self.issuer.payload(events, sub_id=sub_id, **changes)))

    def _sign_text(self, text: bytes) -> bytes:
        header = {"alg": "EdDSA", "kid": self.issuer.feed_key.kid, "typ": jws.TYP_EVENT}
        return forge(header, text, self.issuer.feed_key.sign)


def _rsa(chance: Random) -> dict[str, str]:
    bits = chance.choice([1_024, 2_048, 3_072, 4_096, 4_104])
    number = (1 << bits - 1) | chance.getrandbits(bits) | 1
    return {
        "kty": "RSA",
        "n": base64url.encode(number.to_bytes(bits // 8)).decode(),
        "e": chance.choice(["AQAB", "Aw"]),
    }

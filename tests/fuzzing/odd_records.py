"""Odd things that the true feed key has signed: what a broken issuer, a newer one or a thief could say."""

from collections.abc import Callable
from random import Random
from typing import Any

from ostraka_schemas import base64url, jws, strict_json
from ostraka_schemas.events import EVENTS, OURS
from ostraka_schemas.limits import SEQ_MAX
from ostraka_schemas.records import HEARTBEAT, Head
from tests.corpora.headers import bad_headers
from tests.fuzzing import keys
from tests.fuzzing.documents import Documents, rsa_jwk
from tests.fuzzing.mutants import Mutant
from tests.fuzzing.odd_parts import hash_at, part_text
from tests.fuzzing.texts import fragment, odd_text, value
from tests.support.fake_issuer import FakeIssuer, published
from tests.support.forging import forge

ROOM = 44_000
"""Bytes of payload that fit into a record."""

URIS = (*EVENTS, OURS + "new", "urn:new", "", "https://example.com/" + "x" * 1_000)
KEYS = (*keys.TOKEN_KEYS, keys.COMPROMISED, *keys.FALSE_KEYS[:2], keys.FEED, keys.ROOT)


class OddRecords:
    """Says odd things in the name of one issuer, against the state in which that is."""

    def __init__(self, chance: Random, issuer: FakeIssuer, head: Callable[[], Head], documents: Documents) -> None:
        self.chance, self.issuer, self._head, self._documents = chance, issuer, head, documents
        self._headers = list(bad_headers({"alg": "EdDSA", "kid": issuer.feed_key.kid, "typ": jws.TYP_EVENT}).values())
        self._ways: tuple[Callable[[], bytes], ...] = (
            *(self.event, self.event, self.unknown_event, self.key_set, self.many, self.text, self.text),
            *(self.members, self.place, self.place, self.heartbeat, self.heartbeat, self.header, self.root),
            *(self.part, self.part, self.part),
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
                entry["jwk"], entry["alg"] = rsa_jwk(chance), chance.choice(["RS256", "PS256"])
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
                (OURS + "key-set", {"keys": [{"jwk": {f"{n}": 0 for n in range(min(count, 4_000))}}]}),
                (OURS + "root", {"payload": "A", "signatures": [{f"{n}": 0 for n in range(min(count, 4_000))}]}),
                (OURS + "issuer-cutoff", {"reason_admin": {f"{n:02}": 0 for n in range(min(count, 4_000))}}),
                (OURS + "new", {f"{n}": 0 for n in range(min(count, 4_000))}),
                (OURS + "issuer-cutoff", {"reason_admin": {f"l{n}": "" for n in range(min(count, 3_000))}}),
                (OURS + "issuer-cutoff", {"reason_admin": {"en": "x" * count}}),
            ]
        )
        return self._sign({uri: members})

    def text(self) -> bytes:
        """JSON that is not quite."""
        uri = self.chance.choice(list(EVENTS))
        payload = self._payload({uri: self._good_event(uri)}, sub_id=self._subject(uri))
        if self.chance.random() < 0.3:
            hole = b'"a hole"'
            text = strict_json.dumps({**payload, "events": {uri: {**self._good_event(uri), "x": "a hole"}}})
            return self._sign_text(text.replace(hole, fragment(self.chance, room=ROOM)))
        return self._sign_text(odd_text(self.chance, payload, room=ROOM))

    def members(self) -> bytes:
        payload = self._payload({OURS + "issuer-cutoff": {}})
        name = self.chance.choice([*payload, "feed", "sub_id"])
        inner = payload[name]
        if isinstance(inner, dict) and self.chance.random() < 0.7:
            payload[name] = {**inner, self.chance.choice([*inner, "x"]): value(self.chance)}
        else:
            payload[name] = value(self.chance)
        return self._sign_text(strict_json.dumps(payload))

    def place(self) -> bytes:
        """A good record elsewhere: passed, held, too far, of another epoch, attached to something else."""
        chance, head = self.chance, self._head()
        here = head.position.seq + 1
        seq = chance.choice(
            [1, 2, here - 1, here, here + 1, here + 2, here + 1_024, here + 1_025, SEQ_MAX, 0, SEQ_MAX + 1]
        )
        prev = chance.choice([head.hash, bytes(32), chance.randbytes(32), chance.randbytes(31)])
        feed = {"epoch": chance.choice([1, 1, 1, 1, 2, 0]), "seq": seq, "prev": base64url.encode(prev).decode()}
        uri = chance.choice(list(EVENTS))
        return self._sign({uri: self._good_event(uri)}, sub_id=self._subject(uri), feed=feed)

    def heartbeat(self) -> bytes:
        chance, issuer, head = self.chance, self.issuer, self._head()
        seq = max(1, head.position.seq + chance.choice([-1, 0, 0, 0, 1, 2, 5, 2_000]))
        hash_ = head.hash if seq == head.position.seq else hash_at(seq)
        said = base64url.encode(bytes(32) if chance.random() < 0.1 else hash_).decode()
        feed: dict[str, Any] = {"epoch": 1, "seq": seq, "hash": said}
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
        payload = self._payload({OURS + "issuer-cutoff": {}})
        return forge(self.chance.choice(self._headers), payload, self.issuer.feed_key.sign)

    def root(self) -> bytes:
        """What calls itself a root document: of the root key, or of the feed key alone; in a record, or by itself."""
        chance, documents = self.chance, self._documents
        document = documents.odd()
        if chance.random() < 0.5:
            document = documents.signed(base64url.decode_text(documents.next_["payload"]), [keys.FEED])
        if chance.random() < 0.2:
            return strict_json.dumps(document)
        if chance.random() < 0.2:
            return documents.in_record(document, keys.FEED)
        return self._sign({OURS + "root": document})

    def part(self) -> bytes:
        return self._sign_text(part_text(self.chance, self.issuer, self._head().position.seq))

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
        return self._sign_text(strict_json.dumps(self._payload(events, sub_id=sub_id, **changes)))

    def _payload(self, events: dict[str, Any], *, sub_id: Any = None, **changes: Any) -> dict[str, Any]:
        """In the next place, unless it is said otherwise."""
        (epoch, seq), hash_ = self._head()
        feed = {"epoch": epoch, "seq": seq + 1, "prev": base64url.encode(hash_).decode()}
        return self.issuer.payload(events, sub_id=sub_id, **{"feed": feed, **changes})

    def _sign_text(self, text: bytes) -> bytes:
        header = {"alg": "EdDSA", "kid": self.issuer.feed_key.kid, "typ": jws.TYP_EVENT}
        return forge(header, text, self.issuer.feed_key.sign)

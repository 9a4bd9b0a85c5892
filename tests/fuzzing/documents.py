"""Root documents that nobody whose signature counts has signed, alone or brought by a record."""

from collections.abc import Sequence
from random import Random
from typing import Any

from ostraka_schemas import base64url, jws, strict_json
from ostraka_schemas.events import RootPublished
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.limits import SEQ_MAX
from ostraka_schemas.root import root_bytes
from tests.fuzzing import blind, keys
from tests.fuzzing.mutants import Mutant
from tests.fuzzing.texts import odd_text, value
from tests.support.fake_issuer import FakeIssuer
from tests.support.forging import forge

ROOM = 30_000
RSA_BITS = (1_024, 2_048, 3_072, 4_096, 4_104)


def rsa_jwk(chance: Random) -> dict[str, str]:
    """An RSA key that nobody has: most have a small factor."""
    bits = chance.choice(RSA_BITS)
    number = (1 << bits - 1) | chance.getrandbits(bits) | 1
    return {
        "kty": "RSA",
        "alg": chance.choice(["PS256", "RS256"]),
        "e": chance.choice(["AQAB", "AQAB", "Aw"]),
        "n": base64url.encode(number.to_bytes(bits // 8)).decode(),
    }


class Documents:
    """Makes them for one issuer. ``next_`` is the one that a verifier would take."""

    def __init__(self, chance: Random, issuer: FakeIssuer) -> None:
        self.chance = chance
        self._members = {**issuer.root.model_dump(mode="json"), "version": 2}
        self.next_ = self.signed(strict_json.dumps(self._members), [keys.ROOT])
        self.raw = root_bytes(self.next_)
        self._now = issuer.now
        self._payload = issuer.payload

    @staticmethod
    def signed(payload: bytes, signers: Sequence[SigningKey]) -> dict[str, Any]:
        """The general JWS."""
        return jws.sign_general(payload, signers, typ=jws.TYP_ROOT)

    def altered(self) -> Mutant:
        """The next document changed after it was signed, or one that others have signed."""
        chance = self.chance
        match chance.randrange(6):
            case 0 | 1:
                return Mutant("document_bytes", chance.choice(blind.BLIND)(chance, self.raw))
            case 2:
                return Mutant("document_text", odd_text(chance, self.next_, room=ROOM))
            case 3:
                return Mutant("document_alone", root_bytes(self._false()))
            case 4:
                return Mutant("document_in_a_record", self.in_record(self._false(), chance.choice(keys.FALSE_KEYS)))
            case _:
                # The document is good, but who brings it is none of those whom it names.
                return Mutant("document_stolen", self.in_record(self.next_, chance.choice(keys.FALSE_KEYS)))

    def odd(self) -> dict[str, Any]:
        """One that the root key has signed, with something odd in it."""
        chance, members = self.chance, self._changed()
        payload = odd_text(chance, members, room=ROOM) if chance.random() < 0.3 else strict_json.dumps(members)
        signed = self.signed(payload, [keys.ROOT] * chance.choice([1, 1, 1, 2, 40]))
        if chance.random() < 0.2:
            signed[chance.choice([*signed, "x"])] = value(chance)
        return signed

    def in_record(self, document: Any, key: SigningKey, **changes: Any) -> bytes:
        """A record that brings it, signed by ``key``."""
        header = {"alg": key.alg, "kid": key.kid, "typ": jws.TYP_EVENT}
        feed = {"epoch": self.chance.choice([1, 2]), "seq": self.chance.choice([1, 2, 9]), "prev": "A" * 43}
        return forge(header, self._payload({RootPublished.uri: document}, **{"feed": feed, **changes}), key.sign)

    def _false(self) -> dict[str, Any]:
        """Of another's making: signed by others, by too few, or under the root key's name by others."""
        chance, members = self.chance, self._changed()
        if chance.random() < 0.2:
            # As costly as it can be made: so many keys to look at, so many signatures, and none of them counts.
            members["root"] = {"keys": [key.public.to_jwk() for key in keys.MANY], "threshold": 1}
            return self.signed(strict_json.dumps(members), [keys.FALSE_KEYS[5], *keys.MANY])
        if chance.random() < 0.1:
            members["root"] = {"keys": [{f"{number}": 0 for number in range(2_000)}], "threshold": 1}
        false = chance.choice(keys.FALSE_KEYS)
        signed = self.signed(strict_json.dumps(members), [false] * chance.choice([0, 1, 2]))
        if chance.random() < 0.3:
            signed["signatures"] = [*self.next_["signatures"], *signed["signatures"]]
        if chance.random() < 0.3:
            signed["signatures"] = [self._under_another_name(false, number) for number in range(32)]
        return signed

    def _under_another_name(self, key: SigningKey, number: int) -> dict[str, str]:
        kid = keys.ROOT.kid if number == 0 else f"k{number}"
        protected = base64url.encode(strict_json.dumps({"alg": "EdDSA", "kid": kid, "typ": jws.TYP_ROOT}))
        return {"protected": protected.decode(), "signature": base64url.encode(key.sign(protected)[:64]).decode()}

    def _changed(self) -> dict[str, Any]:
        chance, members = self.chance, dict(self._members)
        members["version"] = chance.choice([0, 1, 2, 2, 2, 2, 3, SEQ_MAX, "2", True])
        members["epoch"] = chance.choice([1, 1, 1, 2, 3, 0, SEQ_MAX])
        for _ in range(chance.choice([0, 1, 2])):
            name = chance.choice([*members, "x"])
            inner = members.get(name)
            if isinstance(inner, dict) and chance.random() < 0.7:
                members[name] = {**inner, chance.choice([*inner, "x"]): value(chance)}
            else:
                members[name] = value(chance)
        if chance.random() < 0.3:
            members["feed"] = {"keys": [chance.choice(keys.FALSE_KEYS).public.to_jwk()], "exp": self._now + 1_000}
        return members

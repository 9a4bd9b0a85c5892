"""Mutated tokens through ``Verifier.verify``: each is refused by one of our errors, is counted, and changes nothing."""

import json
from collections.abc import Iterator
from random import Random
from typing import Any

from ostraka_consumers import VerificationError, Verifier
from ostraka_schemas import base64url, strict_json
from ostraka_schemas.root import Limits
from tests.fuzzing import keys
from tests.fuzzing.envelopes import Signed
from tests.fuzzing.mutants import Mutant, mutant
from tests.fuzzing.texts import odd_text, value
from tests.fuzzing.verdicts import SLOWEST, Verdicts, no_collection, timed
from tests.properties.feeds import hand_fed
from tests.support.fake_issuer import FakeIssuer, published
from tests.support.fingerprint import state_fingerprint

BATCH = 1_000
TRIES = 3
LOOK_EVERY = 50
"""Cases between two looks at the state."""

ODD_SHARE = 0.15
OTHER_TYPES: tuple[Any, ...] = (None, 0, True, 1.5, [], {}, (), object, bytearray(b"a.b.c"), memoryview(b"a.b.c"))


class TokenTarget:
    """A verifier that knows a feed, tokens that it takes, and tokens that are genuine but dead."""

    def __init__(self) -> None:
        issuer = FakeIssuer(root_key=keys.ROOT, feed_key=keys.FEED, limits=Limits(token_algorithms=["ES256", "EdDSA"]))
        self.issuer = issuer
        issuer.token_key = keys.TOKEN_KEYS[0]
        issuer.publish_root()
        entries = [published(key, now=issuer.now) for key in keys.TOKEN_KEYS]
        issuer.publish_keys(*entries, published(keys.COMPROMISED, now=issuer.now, state="compromised"))
        dead = [self._sign(jti="dead"), self._sign(sub="mallory"), self._sign(sid="gone"), self._sign(client_id="cron")]
        issuer.revoke_token("dead", issuer.now + 300)
        issuer.cut_subject("mallory")
        issuer.cut_session("alice", "gone")
        issuer.cut_client("cron")
        issuer.revoke_permission("reports:read")
        issuer.keep_only("bob", "orders:read")
        one, other = keys.TOKEN_KEYS
        self.good = [self._sign(key=key, sub=sub) for key in (one, other) for sub in ("alice", "bob")]
        self.good += [self._sign(fv=None), self._sign(key=other, sid=None, aud="orders", act={"sub": "x"})]
        dead += [self._sign(key=keys.COMPROMISED), self._sign(aud="billing"), self._sign(iss="https://other")]
        dead += [self._sign(exp=issuer.now, iat=issuer.now - 50), self._sign(exp=issuer.now + 900)]
        self.originals = (*self.good, *dead)
        self.known = frozenset(signed.raw for signed in self.originals)
        self.dead = dead
        self.verifier = hand_fed(issuer, *issuer.records, issuer.heartbeat())

    def _sign(self, key: Any = keys.TOKEN_KEYS[0], **claims: Any) -> Signed:
        return Signed.of(self.issuer.token(key=key, **claims).encode(), key)

    def present(self, chance: Random) -> Mutant:
        """The next mutant."""
        if chance.random() < ODD_SHARE:
            return self._odd(chance)
        return mutant(chance, self.originals, self.known)

    def _odd(self, chance: Random) -> Mutant:
        """Content that no reader may take, signed by a key that is believed: a defect of the issuer's."""
        key = chance.choice(keys.TOKEN_KEYS)
        header = base64url.encode(strict_json.dumps({"alg": key.alg, "kid": key.kid, "typ": "at+jwt"}))
        while True:
            claims = chance.choice(self.good).members
            if chance.random() < 0.5:
                claims = {**claims, chance.choice(list(claims)): value(chance)}
            text = odd_text(chance, claims)
            if not _could_be_good(text):
                break
        signing_input = header + b"." + base64url.encode(text)
        return Mutant("odd_content_signed", signing_input + b"." + base64url.encode(key.sign(signing_input)))

    def problems(self) -> Iterator[str]:
        """What is no longer as it must be with the tokens that were there from the start."""
        for signed in self.good:
            end, _ = timed(lambda: self.verifier.verify(signed.raw))  # noqa: B023 - called at once
            if isinstance(end, BaseException):
                yield f"a good token is refused: {end!r}"
        for signed in self.dead:
            end, _ = timed(lambda: self.verifier.verify(signed.raw))  # noqa: B023
            if not isinstance(end, VerificationError):
                yield f"a dead token is not refused: {end!r}"


def _could_be_good(text: bytes) -> bool:
    """Whether a plain reader finds everything in its place: then it is no case for this target."""
    try:
        found = json.loads(text.decode(), object_pairs_hook=_without_twins, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return False
    if not isinstance(found, dict):
        return False
    texts = all(isinstance(found.get(name), str) for name in ("iss", "sub", "client_id", "jti"))
    return texts and all(type(found.get(name)) is int for name in ("iat", "exp")) and "aud" in found


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a name twice")
    return dict(pairs)


def _no_number(name: str) -> Any:
    raise ValueError(name)


def batch(seed: int, number: int, count: int) -> Verdicts:
    """The first ``count`` cases of one batch."""
    chance = Random(f"tokens {seed} {number}")
    target, verdicts = TokenTarget(), Verdicts()
    before = state_fingerprint(target.verifier)
    for index in range(count):
        made = target.present(chance)
        case = f"tokens:{seed}:{number}:{index}"
        judge(target.verifier, _as_presented(chance, made.raw), made.how, case, verdicts)
        if index % LOOK_EVERY == LOOK_EVERY - 1 or index == count - 1:
            if state_fingerprint(target.verifier) != before:
                verdicts.found(case, made.how, "the state has changed", made.raw)
            for problem in target.problems():
                verdicts.found(case, made.how, problem, made.raw)
    return verdicts


def _as_presented(chance: Random, raw: bytes) -> Any:
    lot = chance.random()
    if lot < 0.5:
        return raw
    if lot < 0.995:
        return raw.decode("utf-8", chance.choice(["surrogateescape", "replace"]))
    return chance.choice(OTHER_TYPES)


def judge(verifier: Verifier, presented: Any, how: str, case: str, verdicts: Verdicts) -> None:
    """Present it once, and see that it is refused, counted and quick."""
    counted = verifier._refusals.total()
    end, took = timed(lambda: verifier.verify(presented))
    verdicts.cases += 1
    verdicts.ways[how] += 1
    if not isinstance(end, BaseException):
        verdicts.found(case, how, "accepted", presented)
    elif not isinstance(end, VerificationError):
        verdicts.found(case, how, f"raised {end!r}", presented)
    else:
        verdicts.ends[end.code] += 1
        if verifier._refusals.total() != counted + 1:
            verdicts.found(case, how, "not counted", presented)
    for _ in range(TRIES):
        if took > SLOWEST:
            with no_collection():
                took = min(took, timed(lambda: verifier.verify(presented))[1])
    verdicts.took(took, case)
    if took > SLOWEST:
        verdicts.found(case, how, f"took {1000 * took:.1f} ms", presented)

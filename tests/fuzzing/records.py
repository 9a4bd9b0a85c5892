"""Mutated and odd records through ``Verifier.deliver``: it raises nothing, each is counted, and what was good is kept.

Two classes. What was changed after it was signed is refused and changes nothing at all. What is odd but signed by the
true feed key may take its place in the chain; what it may change is bounded, and nothing that was revoked comes back.
"""

from collections.abc import Iterator
from random import Random
from typing import Any

from ostraka_consumers import VerificationError
from ostraka_consumers.trust.receipt import Outcome, Receipt
from ostraka_schemas import base64url, strict_json
from tests.fuzzing import keys
from tests.fuzzing.envelopes import Signed
from tests.fuzzing.kept import broken_promises
from tests.fuzzing.mutants import Mutant, mutant
from tests.fuzzing.odd_records import OddRecords
from tests.fuzzing.verdicts import SLOWEST, Verdicts, timed
from tests.properties.feeds import hand_fed
from tests.support.fake_issuer import FakeIssuer
from tests.support.fingerprint import state_fingerprint

BATCH = 500
TRIES = 3
LOOK_EVERY = 50
SIGNED_SHARE = 0.4
UNOPENED_EVERY = 8
"""Every so many batches are presented to a verifier that has no root document yet."""

OTHER_TYPES: tuple[Any, ...] = (None, 0, True, 1.5, [], {}, "a.b.c", object, bytearray(b"a.b.c"), memoryview(b"a.b.c"))


class RecordTarget:
    """A verifier that follows a feed, and the issuer in whose name things are said."""

    def __init__(self, chance: Random, *, opened: bool) -> None:
        issuer = FakeIssuer(root_key=keys.ROOT, feed_key=keys.FEED)
        self.issuer, self.opened = issuer, opened
        issuer.token_key = keys.TOKEN_KEYS[0]
        issuer.open()
        self.dead = [issuer.token(jti="dead"), issuer.token(sub="mallory"), issuer.token(client_id="cron")]
        issuer.revoke_token("dead", issuer.now + 300)
        issuer.cut_subject("mallory")
        issuer.cut_client("cron")
        issuer.keep_only("bob", "orders:read")
        feed = [*issuer.records, issuer.heartbeat()]
        following = issuer.cut_everyone()
        signed = [*feed, following, issuer.heartbeat(), issuer.heartbeat(iat=issuer.now + 5)]
        del issuer.records[-1]
        self.originals = tuple(Signed.of(raw, keys.FEED) for raw in signed)
        self.known = frozenset(signed)
        self.odd = OddRecords(chance, issuer)
        self.verifier = hand_fed(issuer, *(feed if opened else ()))
        self._held: dict[int, bytes] = {}

    def follow(self, raw: bytes, receipt: Receipt) -> None:
        """What the verifier has applied is from now on the issuer's feed."""
        if receipt.outcome is Outcome.HELD:
            seq = strict_json.loads_object(base64url.decode(raw.split(b".")[1]))["feed"]["seq"]
            self._held[seq] = raw
        for number, record in enumerate(receipt.applied):
            self.issuer.append(self._held[record.position.seq] if number else raw)

    def problems(self) -> Iterator[str]:
        """What no longer is as it must be."""
        for token in self.dead:
            end, _ = timed(lambda: self.verifier.verify(token))  # noqa: B023 - called at once
            if not isinstance(end, VerificationError):
                yield f"a dead token is not refused: {end!r}"

    def epilogue(self) -> Iterator[str]:
        """Whether it still listens, after all that was said."""
        late = self.issuer.token(fv=[1, 2])
        for raw in () if self.opened else self.issuer.records:
            self.verifier.deliver(raw)
        if self.verifier.deliver(self.issuer.cut_everyone()).outcome is not Outcome.APPLIED:
            yield "the next good record is not applied"
        end, _ = timed(lambda: self.verifier.verify(late))
        if not isinstance(end, VerificationError):
            yield f"after a cut-off for everyone a token is not refused: {end!r}"
        yield from self.problems()


def batch(seed: int, number: int, count: int) -> Verdicts:
    """The first ``count`` cases of one batch."""
    return _Run(seed, number).until(count)


class _Run:
    def __init__(self, seed: int, number: int) -> None:
        self._seed, self._number = seed, number
        self.chance = Random(f"records {seed} {number}")
        self.target = RecordTarget(self.chance, opened=number % UNOPENED_EVERY != UNOPENED_EVERY - 1)
        self.verdicts = Verdicts()
        self.last: float = 0.0

    def until(self, count: int, *, again: bool = False) -> Verdicts:
        """Present that many; ``again`` only to see how long the last one takes."""
        made = Mutant("", b"")
        for index in range(count):
            made = self._next()
            self._judge(made, index, again)
            if index % LOOK_EVERY == LOOK_EVERY - 1:
                self._note(index, made, self.target.problems())
        self._note(count - 1, made, self.target.epilogue())
        return self.verdicts

    def _note(self, index: int, made: Mutant, problems: Iterator[str]) -> None:
        for problem in problems:
            self.verdicts.found(self._case(index), made.how, problem, made.raw)

    def _case(self, index: int) -> str:
        return f"records:{self._seed}:{self._number}:{index}"

    def _next(self) -> Mutant:
        if self.target.opened and self.chance.random() < SIGNED_SHARE:
            return self.target.odd.next()
        if self.chance.random() < 0.002:
            return Mutant("another type", self.chance.choice(OTHER_TYPES))
        return mutant(self.chance, self.target.originals, self.target.known)

    def _judge(self, made: Mutant, index: int, again: bool) -> None:
        verifier, verdicts, case = self.target.verifier, self.verdicts, self._case(index)
        signed = made.how.startswith("signed_")
        counted = verifier.core.counters.copy()
        before = state_fingerprint(verifier)
        end, took = timed(lambda: verifier.deliver(made.raw))
        after = state_fingerprint(verifier)
        told = verifier.core.counters - counted
        del told["records"]
        verdicts.cases += 1
        verdicts.ways[made.how] += 1
        self.last = took
        if not isinstance(end, Receipt):
            verdicts.found(case, made.how, f"raised {end!r}", made.raw)
            return
        name = end.outcome.value if end.reason is None else f"{end.outcome.value}.{end.reason}"
        verdicts.ends[name] += 1
        if told != {name: 1}:
            verdicts.found(case, made.how, f"counted as {dict(told)}, not as {name}", made.raw)
        for problem in broken_promises(end, before, after, signed=signed):
            verdicts.found(case, made.how, problem, made.raw)
        if signed:
            self.target.follow(made.raw, end)
        if not again:
            self._time(made, index, took, signed)

    def _time(self, made: Mutant, index: int, took: float, signed: bool) -> None:
        for _ in range(TRIES):
            if took > SLOWEST and signed:
                # It may have changed the state, so it is tried again on a state that never saw it.
                run = _Run(self._seed, self._number)
                run.until(index + 1, again=True)
                took = min(took, run.last)
            elif took > SLOWEST:
                took = min(took, timed(lambda: self.target.verifier.deliver(made.raw))[1])
        self.verdicts.took(took, self._case(index))
        if took > SLOWEST:
            self.verdicts.found(self._case(index), made.how, f"took {1000 * took:.1f} ms", made.raw)

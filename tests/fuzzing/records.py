"""Mutated and odd records through ``Verifier.deliver``: it raises nothing, each is counted, and what was good is kept.

Two classes. What was changed after it was signed is refused and changes nothing at all; root documents are judged by
what they say, for their spelling is not signed. What is odd but signed by the true feed key may take its place in the
chain; what it may change is bounded, and nothing that was revoked comes back.
"""

from collections.abc import Iterator
from random import Random
from typing import Any

from ostraka_consumers.trust.receipt import Outcome, Receipt
from ostraka_schemas.limits import RECORD_MAX_BYTES
from tests.fuzzing.mutants import Mutant
from tests.fuzzing.record_target import RecordTarget
from tests.fuzzing.verdicts import SLOWEST, Verdicts, no_collection, timed
from tests.support.fingerprint import state_fingerprint

BATCH = 500
TRIES = 3
LOOK_EVERY = 50
OTHER_SHARE = 0.002
UNOPENED_EVERY = 8
"""Every so many batches are presented to a verifier that has no root document yet."""

_OUTCOMES = frozenset(outcome.value for outcome in Outcome)

OTHER_TYPES: tuple[Any, ...] = (None, 0, True, 1.5, [], {}, "a.b.c", object, bytearray(b"a.b.c"), memoryview(b"a.b.c"))


def batch(seed: int, number: int, count: int) -> Verdicts:
    """The first ``count`` cases of one batch."""
    return _Run(seed, number).until(count)


class _Run:
    def __init__(self, seed: int, number: int) -> None:
        self._seed, self._number = seed, number
        self._chance = Random(f"records {seed} {number}")
        self._opened = number % UNOPENED_EVERY != UNOPENED_EVERY - 1
        self._target = RecordTarget(self._chance, opened=self._opened)
        self._verdicts = Verdicts()
        self.last: float = 0.0

    def until(self, count: int, *, again: bool = False) -> Verdicts:
        """Present that many; ``again`` only to see how long the last one takes."""
        made = Mutant("", b"")
        for index in range(count):
            made = self._next()
            self._judge(made, index, again)
            if index % LOOK_EVERY == LOOK_EVERY - 1 or self._target.is_spent:
                self._note(index, made, self._target.problems())
            if self._target.is_spent:
                self._target = RecordTarget(self._chance, opened=self._opened)
        self._note(count - 1, made, self._target.epilogue())
        return self._verdicts

    def _note(self, index: int, made: Mutant, problems: Iterator[str]) -> None:
        for problem in problems:
            self._verdicts.found(self._case(index), made.how, problem, made.raw)

    def _case(self, index: int) -> str:
        return f"records:{self._seed}:{self._number}:{index}"

    def _next(self) -> Mutant:
        if self._chance.random() < OTHER_SHARE:
            return Mutant("another type", self._chance.choice(OTHER_TYPES))
        return self._target.next()

    def _judge(self, made: Mutant, index: int, again: bool) -> None:
        verifier, verdicts, case = self._target.verifier, self._verdicts, self._case(index)
        counted = verifier.core.counters.copy()
        before = state_fingerprint(verifier)
        end, self.last = timed(lambda: verifier.deliver(made.raw))
        after = state_fingerprint(verifier)
        told = {n: c for n, c in (verifier.core.counters - counted).items() if n.split(".")[0] in _OUTCOMES}
        verdicts.cases += 1
        verdicts.ways[made.how] += 1
        if not isinstance(end, Receipt):
            verdicts.found(case, made.how, f"raised {end!r}", made.raw)
            return
        name = end.outcome.value if end.reason is None else f"{end.outcome.value}.{end.reason}"
        verdicts.ends[name] += 1
        if told != {name: 1}:
            verdicts.found(case, made.how, f"counted as {told}, not as {name}", made.raw)
        for problem in self._target.broken_promises(made, end, before, after):
            verdicts.found(case, made.how, problem, made.raw)
        if not again:
            self._time(made, index, self.last)

    def _time(self, made: Mutant, index: int, took: float) -> None:
        signed = made.how.startswith("signed_")
        # Only what is signed is read whole, and a part of a snapshot is as long as four records.
        bound = SLOWEST * max(1, len(made.raw) / RECORD_MAX_BYTES) if signed else SLOWEST
        for _ in range(TRIES):
            if took > bound and signed:
                # It may have changed the state, so it is tried again on a state that never saw it.
                run = _Run(self._seed, self._number)
                with no_collection():
                    run.until(index + 1, again=True)
                took = min(took, run.last)
            elif took > bound:
                with no_collection():
                    took = min(took, timed(lambda: self._target.verifier.deliver(made.raw))[1])
        self._verdicts.took(took * SLOWEST / bound, self._case(index))
        if took > bound:
            self._verdicts.found(self._case(index), made.how, f"took {1000 * took:.1f} ms", made.raw)

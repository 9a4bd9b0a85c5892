"""One mutant of one original, by whatever mutation chance picks."""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from tests.fuzzing import blind
from tests.fuzzing.envelopes import ENVELOPES, Signed

BLIND_SHARE = 0.45
LONG_SHARE = 0.01
AGAIN_SHARE = 0.1


class Mutant(NamedTuple):
    """Bytes that nobody signed, and what was done to make them."""

    how: str
    raw: bytes


def mutant(chance: Random, originals: Sequence[Signed], known: frozenset[bytes]) -> Mutant:
    """A mutant of one of ``originals``; never one of the bytes in ``known``, which are good ones."""
    while True:
        made = _mutate(chance, originals)
        if made.raw not in known:
            return made


def _mutate(chance: Random, originals: Sequence[Signed]) -> Mutant:
    one = chance.choice(originals)
    lot = chance.random()
    if lot < LONG_SHARE:
        return Mutant("lengthen", blind.lengthen(chance, one.raw))
    if lot < BLIND_SHARE:
        names, raw = [], one.raw
        while raw:
            mutation = chance.choice(blind.BLIND)
            names.append(mutation.__name__)
            raw = mutation(chance, raw)
            if chance.random() >= AGAIN_SHARE:
                break
        return Mutant("+".join(names), raw)
    envelope = chance.choice(ENVELOPES)
    return Mutant(envelope.__name__, envelope(chance, one, originals))

"""Schedules: an integer makes one; each step stands for itself, so any of them can be left out."""

from random import Random
from typing import Final, NamedTuple

from .motifs import MOTIFS, Step

STEPS_MIN, STEPS_MAX = 10, 32
PAUSES: Final = (1, 2, 5, 9, 14, 15, 16, 30, 45, 59, 60, 61, 71, 120, 290)
JUMPS: Final = (-3_600, -70, -30, -11, -9, -4, 4, 9, 11, 30, 70, 3_600)


class Schedule(NamedTuple):
    """Where it begins, and what happens.

    Attributes:
        offsets, drifts: of the issuer's clock and then each verifier's; all within what clocks may differ by.
        channel: whether the second channel works at the beginning.
        hold: how many records a verifier may hold that came before their turn.
        remember: how many tokens a verifier remembers.
        thief: somebody holds the first feed key.
        room: bytes of state in one part of a snapshot.
    """

    seed: int
    offsets: tuple[float, ...]
    drifts: tuple[float, ...]
    channel: bool
    hold: int
    remember: int
    thief: bool
    room: int
    steps: tuple[Step, ...]


# How often each kind of step happens by itself, in each mood. A mood makes some coincidences common.
_WEIGHTS: Final[dict[str, int]] = {
    "tick": 14,
    "beat": 3,
    "slow beat": 2,
    "relay": 4,
    "crash": 1,
    "start issuer": 2,
    "revoke": 7,
    "rotate": 3,
    "compromise": 1,
    "mint": 8,
    "forge": 2,
    "present": 10,
    "present all": 2,
    "read": 6,
    "ask": 2,
    "ask old": 2,
    "restart": 1,
    "drop": 2,
    "repeat": 2,
    "shuffle": 2,
    "replay": 2,
    "corrupt": 2,
    "truncate": 1,
    "rogue": 3,
    "retention": 1,
    "refill": 1,
    "withhold": 1,
    "freeze": 1,
    "channel": 1,
    "pause": 4,
    "step clock": 1,
    "right clock": 1,
    "snapshot": 3,
    "change root": 1,
    "new epoch": 1,
    "bring roots": 1,
    "bring snapshot": 1,
    "forged root": 2,
}
_MOODS: Final[tuple[dict[str, int], ...]] = (
    {},
    {"drop": 5, "repeat": 5, "shuffle": 8, "replay": 6, "relay": 8, "read": 10, "tick": 8},
    {"rogue": 15, "corrupt": 10, "truncate": 5, "forge": 6, "replay": 5},
    {"withhold": 4, "freeze": 4, "revoke": 12, "pause": 8},
    {"crash": 5, "start issuer": 6, "relay": 10, "slow beat": 6},
    {"step clock": 8, "right clock": 4, "pause": 8},
    {"rotate": 14, "compromise": 4, "pause": 8},
    {"restart": 6, "retention": 6, "ask old": 8, "refill": 3},
    {"change root": 8, "new epoch": 4, "bring roots": 5, "forged root": 6, "snapshot": 6, "bring snapshot": 5},
    {"snapshot": 14, "bring snapshot": 10, "restart": 6, "drop": 6, "retention": 6, "ask old": 6},
    {"revoke": 14, "present all": 8, "pause": 8, "mint": 12},
)
_THIEVING: Final = {"stolen record": 6, "stolen heartbeat": 8, "stolen fork": 3, "stolen snapshot": 3, "new epoch": 3}


def make(seed: int) -> Schedule:
    """The schedule of that number, the same on every machine."""
    dice = Random(seed)
    draw = dice.random
    verifiers = 2 + int(draw() * draw() * 3)
    thief = draw() < 0.15
    weights = {**_WEIGHTS, **_MOODS[int(draw() * len(_MOODS))], **(_THIEVING if thief else {})}
    kinds, shares = list(weights), list(weights.values())
    length = STEPS_MIN + int(draw() * draw() * (STEPS_MAX - STEPS_MIN))

    def number() -> int:
        return int(draw() * 100_000)

    steps = [Step("tick"), Step("mint", number())] if draw() < 0.9 else []
    while len(steps) < length:
        if draw() < 0.2:
            steps += MOTIFS[int(draw() * len(MOTIFS))](number)
        else:
            count = int(draw() * 8) + 1
            steps += [Step(kind, number(), number(), number()) for kind in dice.choices(kinds, shares, k=count)]
    machines = 1 + verifiers
    return Schedule(
        seed=seed,
        offsets=tuple(round(draw() * 8 - 4, 1) if draw() < 0.5 else 0.0 for _ in range(machines)),
        drifts=tuple(round(draw() * 0.02 - 0.01, 4) if draw() < 0.2 else 0.0 for _ in range(machines)),
        channel=draw() < 0.4,
        hold=4 if draw() < 0.2 else 1_024,
        remember=(0, 3, 1_000)[int(draw() * 3)],
        thief=thief,
        room=700 if draw() < 0.5 else 100_000,
        steps=tuple(steps),
    )

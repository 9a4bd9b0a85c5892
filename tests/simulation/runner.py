"""From a seed to what is wrong with its history; a failing schedule made short."""

from .history import History
from .invariants import Violation, check
from .schedule import Schedule, make
from .story import Story
from .world import World


def run(schedule: Schedule, story: Story | None = None) -> tuple[History, list[Violation]]:
    """Play a schedule and ask every invariant."""
    history = World(schedule, story).play()
    return history, check(history)


def violations_of(seed: int) -> list[Violation]:
    """What is wrong with the history of this seed; nothing, if all is well."""
    return run(make(seed))[1]

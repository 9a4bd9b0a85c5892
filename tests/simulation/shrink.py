"""A failing schedule made short: steps are left out for as long as the same rule still breaks."""

from typing import Final

from .motifs import Step
from .runner import run
from .schedule import Schedule

PLAYS_MAX: Final = 2_000
"""Ten seconds; the shortest of most schedules is found within 200."""


def shrink(schedule: Schedule, rule: str) -> Schedule:
    """The schedule with as few steps as were found to be enough."""
    steps, plays = schedule.steps, 0
    size = len(steps) // 2
    while size >= 1:
        at, shorter = 0, False
        while at < len(steps) and plays < PLAYS_MAX:
            tried = steps[:at] + steps[at + size :]
            plays += 1
            if _breaks(schedule, tried, rule):
                steps, shorter = tried, True
            else:
                at += size
        if plays >= PLAYS_MAX:
            break
        size = size if shorter and size == 1 else size // 2
    return schedule._replace(steps=steps)


def _breaks(schedule: Schedule, steps: tuple[Step, ...], rule: str) -> bool:
    _, violations = run(schedule._replace(steps=steps))
    return any(violation.rule == rule for violation in violations)

"""What a row of the table is."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.faults.deciding import TICK
from tests.faults.history import broken_promises, worst_accept
from tests.faults.scene import TOLERANCE, Scene
from tests.faults.stage import Stage


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of a row is played: in every test run, or for the table.

    Attributes:
        whole: for the table.
        max_staleness: seconds without news after which the verifiers refuse.
        heartbeat: seconds between heartbeats.
    """

    whole: bool
    max_staleness: float
    heartbeat: int

    def of(self, short: float, whole: float) -> float:
        """The one of the two that holds here."""
        return whole if self.whole else short


SHORT = Scale(whole=False, max_staleness=6.0, heartbeat=1)
WHOLE = Scale(whole=True, max_staleness=15.0, heartbeat=5)


def ms(seconds: float) -> str:
    """For a figure: the verifiers are asked every 5 ms."""
    return f"{seconds * 1000:.0f} ms" if seconds >= TICK else f"less than {TICK * 1000:.0f} ms"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a row.

    Attributes:
        figures: what happened, in words with numbers.
        worst: the most seconds that a revoked token was accepted after its revocation; ``None`` where none was revoked.
        broken: promises that were broken; empty if all were kept.
    """

    figures: tuple[str, ...]
    worst: float | None = None
    broken: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        name: its number, and what tells it from others of the same number.
        done: what is done, in words.
        play: plays it.
        short: whether it is played in every test run too.
        alone: whether it keeps the processor so busy that no other row may be played beside it.
        missing: says what it needs that this machine does not have.
    """

    name: str
    done: str
    play: Callable[[Stage, Path, Scale], Awaitable[Result]]
    short: bool = True
    alone: bool = False
    missing: Callable[[], str | None] = lambda: None


def judge(
    scene: Scene, *figures: str, also: Iterable[str] = (), may_alarm: Iterable[str] = (), tolerance: float = TOLERANCE
) -> Result:
    """Hold the scene's history against the promises.

    Args:
        figures: what is told of it.
        also: what else was found broken.
        may_alarm: alarms that are right here.
    """
    story = scene.story()
    bound = scene.max_staleness + tolerance
    broken = broken_promises(story, bound=bound, may_alarm=may_alarm)
    return Result(figures, worst_accept(story) if story.revocations else None, (*broken, *also))

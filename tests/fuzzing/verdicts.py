"""What a batch found, and how the time of one call is taken."""

import gc
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

SLOWEST = 0.005
"""Seconds of this process's CPU that one call may take."""

FINDINGS_MAX = 20
"""Findings kept of one batch; the first few tell the story."""

SHOWN_MAX = 300


@dataclass(frozen=True)
class Finding:
    """A case that broke a promise; ``case`` is what ``--replay`` takes."""

    case: str
    how: str
    what: str
    shown: str

    def __str__(self) -> str:
        again = f"./run fuzz --replay {self.case}"
        return f"{self.what}\n    made by   {self.how}\n    presented {self.shown}\n    again     {again}"


@dataclass
class Verdicts:
    """The sum of what was seen. ``ends`` counts how the cases ended, ``worst`` is the longest call in seconds."""

    cases: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    ways: Counter[str] = field(default_factory=Counter)
    worst: float = 0.0
    worst_case: str = ""
    findings: list[Finding] = field(default_factory=list)
    broken: int = 0

    def add(self, other: "Verdicts") -> None:
        """Take in what another batch found."""
        self.cases += other.cases
        self.ends += other.ends
        self.ways += other.ways
        self.took(other.worst, other.worst_case)
        self.broken += other.broken
        self.findings += other.findings[: max(0, FINDINGS_MAX - len(self.findings))]

    def took(self, seconds: float, case: str) -> None:
        """Note a call's time."""
        if seconds > self.worst:
            self.worst, self.worst_case = seconds, case

    def found(self, case: str, how: str, what: str, presented: Any) -> None:
        """Note a broken promise."""
        self.broken += 1
        if len(self.findings) < FINDINGS_MAX:
            shown = repr(presented[: SHOWN_MAX // 2] if isinstance(presented, str | bytes) else presented)[:SHOWN_MAX]
            size = f" ({len(presented)} long)" if isinstance(presented, str | bytes) else ""
            self.findings.append(Finding(case, how, what, shown + size))


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """What the call returned or raised, and the CPU time that it took."""
    begin = time.process_time()
    try:
        end: Any = call()
    except BaseException as error:  # noqa: BLE001 - this is what is looked for
        end = error
    took = time.process_time() - begin
    if isinstance(end, KeyboardInterrupt | SystemExit):
        raise end
    return end, took


@contextmanager
def no_collection() -> Iterator[None]:
    """Inside, nobody clears the memory of this process: that takes as long as all that it holds, not as the call."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()

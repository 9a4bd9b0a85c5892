"""A history as people read it: a line for each step, and below it who saw what."""

from .history import Decision, Delivery, History, Look, Seen
from .oracle import NOWHERE
from .truth import Truth


class Story:
    """Collects lines while a schedule is played."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._told = 0
        self._looks: dict[int, Look] = {}

    def tell(self, t: float, kind: str, what: str | None, history: History) -> None:
        """Take note of a step and of everything that was seen since the last one."""
        self.lines.append(f"t={t:7.1f}  {what or f'({kind}: nothing to do)'}")
        for seen in history.seen[self._told :]:
            self._tell_seen(seen, history.truth)
        self._told = len(history.seen)

    def _tell_seen(self, seen: Seen, truth: Truth) -> None:
        me = f"             v{seen.who + 1}"
        before = self._looks.get(seen.who)
        self._looks[seen.who] = seen.look
        if isinstance(seen, Delivery):
            why = f" ({seen.reason})" if seen.reason else ""
            self.lines.append(
                f"{me} is given {self.name(seen.raw, truth)}: {seen.outcome}{why}{_moved(before, seen.look)}"
            )
        elif isinstance(seen, Decision):
            strict = f", no staler than {seen.limit:.0f} s" if seen.limit < seen.at.wall else ""
            granted = f": {' '.join(seen.allowed) or 'nothing'}" if seen.said == "ok" else ""
            self.lines.append(
                f"{me} is asked about {seen.token}{strict}: {seen.said}{granted}{_moved(before, seen.look)}"
            )
        elif seen.what == "start":
            self.lines.append(f"{me} starts, life {seen.life + 1}, clock {seen.error:+.1f} s off")
        elif moved := _moved(before, seen.look):
            self.lines.append(f"{me}{moved}")

    @staticmethod
    def name(raw: bytes, truth: Truth) -> str:
        """What these bytes are."""
        stolen = truth.stolen
        if raw in truth.records:
            return f"record {truth.records[raw]}"
        for beats, whose in ((truth.beats, ""), (stolen.beats, "the thief's ")):
            if raw in beats:
                beat = beats[raw]
                return f"{whose}heartbeat of t={beat.at:.0f} (iat {beat.iat}) for {beat.head.position}"
        for parts, whose in ((truth.parts, ""), (stolen.parts, "the thief's ")):
            if raw in parts:
                part = parts[raw]
                return f"{whose}part {part.part} of {part.parts} of a snapshot at {part.head.position}"
        if raw in truth.roots:
            return f"root document {truth.roots[raw].version}"
        if raw in truth.forged_roots:
            return f"a forged root document that claims to be version {truth.forged_roots[raw]}"
        if raw in stolen.records:
            return f"the thief's record {stolen.records[raw][0].position}"
        return f"{len(raw)} bad bytes"


def _moved(before: Look | None, after: Look) -> str:
    parts = []
    was = NOWHERE if before is None else before.position
    if after.position != was:
        parts.append(f"head {after.position}")
    if before is not None and before.root and before.root != after.root:
        parts.append(f"root document {after.root}")
    if before is None or before.freshness != after.freshness:
        parts.append(after.freshness)
    if after.ready and not (before and before.ready):
        parts.append("ready")
    new = after.alarms - (before.alarms if before else frozenset())
    parts += [f"ALARM {alarm}" for alarm in sorted(new)]
    return "  -> " + ", ".join(parts) if parts else ""

"""A machine with a verifier on it: its clock, its link, and what a source does with both."""

from typing import Any, Final, cast

from ostraka_consumers import TrustAnchor, VerificationError, Verifier
from ostraka_consumers.sources.base import FeedSink
from ostraka_schemas.records import Head
from tests.support.fingerprint import state_fingerprint

from .bus import Link
from .clock import MachineClock, Time
from .history import Decision, Delivery, History, Look, Seen
from .names import ASKED, AUDIENCE, ISSUER, key
from .oracle import Ear
from .truth import Minted

ANCHOR: Final = TrustAnchor(ISSUER, (key("root 1").public.thumbprint,))
LOG, CHANNEL = "log", "second channel"
_EXTRA: Final = frozenset({"records", "snapshots"})
"""Counters of what was applied; all others count what was brought."""


class ByHand:
    """A source that never does anything by itself."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def run(self, sink: FeedSink) -> None:
        raise NotImplementedError


class Machine:
    """One verifier, fed by hand.

    Args:
        remember: how many tokens the verifier remembers.
    """

    def __init__(self, who: int, time: Time, clock: MachineClock, history: History, remember: int) -> None:
        self.who, self.clock, self.link = who, clock, Link()
        self.step = 0
        self._time, self._history, self._remember = time, history, remember
        self._truth = history.truth
        self.life = -1
        self.start()

    def start(self) -> None:
        """Start the verifier anew: whatever it knew is gone."""
        self.life += 1
        self.verifier = Verifier(
            ANCHOR, audience=AUDIENCE, sources=[ByHand(LOG), ByHand(CHANNEL)], clock=self.clock, remember=self._remember
        )
        # It decides once it is ready, as it would between ``start`` and ``stop``.
        self.verifier._tasks = [cast("Any", None)]
        self.log: FeedSink = self.verifier._intakes[LOG]
        self.channel: FeedSink = self.verifier._intakes[CHANNEL]
        self.ear, self.tainted, self.stepped = Ear(), False, False
        self._look = self._look_closely()
        self._history.seen.append(Seen("start", **self._context()))

    # --- what is seen ---

    def _look_closely(self) -> Look:
        core = self.verifier.core
        return Look(
            self.verifier._ready,
            core.freshness(self.clock.now()).value,
            core.head,
            core.known_head,
            frozenset(core.alarms),
            sum(count for name, count in core.counters.items() if name not in _EXTRA),
        )

    def _context(self) -> dict[str, Any]:
        at = self.clock.now()
        return {
            "step": self.step,
            "t": self._time.now,
            "who": self.who,
            "life": self.life,
            "error": self.clock.error,
            "at": at,
            "now": self.ear.now(at),
            "vouched": self.ear.vouched(self._look.position),
            "known": self.ear.known,
            "stepped": self.stepped,
            "tainted": self.tainted,
            "look": self._look,
        }

    @property
    def head(self) -> Head | None:
        """How far the verifier says it is."""
        return self._look.head

    def look(self) -> Seen:
        """Ask it how it is."""
        self._look = self._look_closely()
        seen = Seen("look", **self._context())
        self._history.seen.append(seen)
        return seen

    # --- what comes to it ---

    def read(self, most: int = 1_000) -> list[Delivery]:
        """Read the link, as a source does."""
        return [self.deliver(raw) for raw in self.link.read(most)]

    def read_again(self) -> list[Delivery]:
        """Read the link from its beginning if records are known to be missing and there is nothing else to read."""
        if not self.log.incomplete or self.link.pending or self.link.frozen:
            return []
        self.link.rewind()
        return self.read()

    def deliver(self, raw: bytes, sink: FeedSink | None = None) -> Delivery:
        """Hand bytes to the verifier, as what the log brings or whatever else brought them."""
        before, kind = self._look, self._kind(raw)
        state = state_fingerprint(self.verifier) if kind == "bad" else None
        receipt = (sink or self.log).deliver(raw)
        unchanged = state is None or state == state_fingerprint(self.verifier)
        self._look = self._look_closely()
        self._listen(raw, kind, receipt.outcome.value, before)
        seen = Delivery(
            "delivery",
            **self._context(),
            raw=raw,
            kind=kind,
            outcome=receipt.outcome.value,
            reason=receipt.reason,
            counted=self._look.counted - before.counted,
            unchanged=unchanged,
            before=before,
        )
        self._history.seen.append(seen)
        return seen

    def _kind(self, raw: bytes) -> Any:
        truth = self._truth
        if raw in truth.records:
            return "record"
        if raw in truth.beats:
            return "heartbeat"
        if raw in truth.stolen:
            return "stolen record"
        return "stolen heartbeat" if raw in truth.stolen_beats else "bad"

    def _listen(self, raw: bytes, kind: str, outcome: str, before: Look) -> None:
        if kind.startswith("stolen"):
            self.tainted = True
        if before.head is None and self._look.head is None:
            return  # nothing can be believed before the root document
        if kind == "record":
            position = self._truth.records[raw].position
            assert position is not None
            self.ear.known = max(self.ear.known, position)
        elif kind in ("heartbeat", "stolen heartbeat") and outcome != "equivocation":
            beats = self._truth.beats if kind == "heartbeat" else self._truth.stolen_beats
            self.ear.hear(beats[raw], self.clock.now())

    # --- what is asked of it ---

    def present(self, token: Minted, limit: float = float("inf")) -> Decision:
        """Present a token, and if it is accepted ask for every permission."""
        before = self._look
        allowed: tuple[str, ...] = ()
        try:
            grant = self.verifier.verify(token.text, max_staleness=limit)
        except VerificationError as refusal:
            said = refusal.code
        else:
            said = "ok"
            allowed = tuple(permission for permission in ASKED if grant.allows(permission))
            if not token.wrong:
                self.ear.known = max(self.ear.known, token.fv)
        self._look = self._look_closely()
        seen = Decision(
            "decision",
            **self._context(),
            token=token,
            limit=limit,
            said=said,
            allowed=allowed,
            before=before,
        )
        self._history.seen.append(seen)
        return seen

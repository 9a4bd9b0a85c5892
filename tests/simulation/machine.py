"""A machine with a verifier on it: its clock, its link, and what a source does with both."""

from typing import Any, Final, cast

from ostraka_consumers import VerificationError, Verifier
from ostraka_consumers.sources._policy import ROOT_MISSING
from ostraka_consumers.sources.base import FeedSink
from ostraka_consumers.trust.receipt import Receipt
from ostraka_schemas.records import Head, Position
from tests.support.fingerprint import state_fingerprint

from .bus import Link
from .clock import MachineClock, Time
from .disk import Disk
from .history import Decision, Delivery, History, Look, Seen
from .names import ASKED, AUDIENCE
from .nature import Nature, is_named, nature_of
from .oracle import NOWHERE, Ear
from .own_reader import ANCHOR
from .truth import Beat, Minted

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

    def start(self, disk: Disk | None = None) -> None:
        """Start the verifier anew: whatever it knew is gone, but for what it finds on its disk."""
        self.life += 1
        self.verifier = Verifier(
            ANCHOR, audience=AUDIENCE, sources=[ByHand(LOG), ByHand(CHANNEL)], clock=self.clock, remember=self._remember
        )
        self.log: FeedSink = self.verifier._intakes[LOG]
        self.channel: FeedSink = self.verifier._intakes[CHANNEL]
        self.reached: Position | None = None
        self.ear, self.tainted, self.stepped = Ear(), False, False
        self._believed, self._epoch = set[bytes](), 0
        self.pin: Position | None = None
        self._look = self._look_closely()
        self._history.seen.append(Seen("start", **self._context()))
        if disk is not None:
            disk.read_back(lambda raw: self._deliver(raw, self.verifier)[1], lambda: self.log.position)
            self.pin = disk.position
            self.verifier.core.resume(self.pin)
            self.ear.begin_again()
            self.look()
        # From now on it decides once it is ready, as it would between ``start`` and ``stop``.
        self.verifier._tasks = [cast("Any", None)]
        self.disk = disk or Disk()
        self.verifier.core._keep = self.disk.offer

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
            core.root_version,
            0 if core.root_in_force is None else core.root_in_force.version,
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
            "pin": self.pin,
            "signed": self.ear.latest,
            "set_back": self.ear.was_set_back(at),
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

    def bring(self, raws: list[bytes], sink: FeedSink, roots: list[bytes]) -> None:
        """Deliver as a source does that is told when a root document is missing: it brings them, and tries again."""
        for raw in raws:
            seen = self.deliver(raw, sink)
            if seen.reason in ROOT_MISSING and self.bring_roots(sink, roots):
                seen = self.deliver(raw, sink)
            if sink is self.channel and seen.kind == "record" and seen.outcome != "refused":
                self.reached = max(self.reached or NOWHERE, self._truth.records[raw].position or NOWHERE)

    def ask(self) -> Position | None:
        """Where the second channel goes on; if records are missing, it begins again after what is applied."""
        if self.reached is None or self.channel.incomplete:
            self.channel.report("connecting")
            self.reached = self.channel.position
        return self.reached

    def bring_roots(self, sink: FeedSink, roots: list[bytes]) -> bool:
        """Deliver the root documents after the one in force, in ascending order. Whether one was adopted."""
        version = sink.root_version
        for raw in roots[version:]:
            self.deliver(raw, sink)
        return sink.root_version > version

    def read_again(self) -> list[Delivery]:
        """Read the link from its beginning if records are known to be missing and there is nothing else to read."""
        if not self.log.incomplete or self.link.pending or self.link.frozen:
            return []
        self.link.rewind()
        return self.read()

    def deliver(self, raw: bytes, sink: FeedSink | None = None) -> Delivery:
        """Hand bytes to the verifier, as what the log brings or whatever else brought them."""
        return self._deliver(raw, sink or self.log)[0]

    def _deliver(self, raw: bytes, sink: FeedSink | Verifier) -> tuple[Delivery, Receipt]:
        before, kind = self._look, nature_of(raw, self._truth, self._look.roots, self._believed)
        state = state_fingerprint(self.verifier) if kind in ("bad", "old root") else None
        ahead = raw in self._truth.beats and self.ear.is_from_the_future(self._truth.beats[raw].iat, self.clock.now())
        receipt = sink.deliver(raw)
        unchanged = state is None or state == state_fingerprint(self.verifier)
        self._look = self._look_closely()
        self._listen(raw, kind, receipt, before)
        seen = Delivery(
            "delivery",
            **self._context(),
            raw=raw,
            kind=kind,
            outcome=receipt.outcome.value,
            reason=receipt.reason,
            counted=self._look.counted - before.counted,
            unchanged=unchanged,
            ahead=ahead,
            before=before,
        )
        self._history.seen.append(seen)
        return seen, receipt

    def _listen(self, raw: bytes, kind: Nature, receipt: Receipt, before: Look) -> None:
        truth, outcome = self._truth, receipt.outcome.value
        root = truth.named.get(self._look.root)
        if before.root and root is not None and root.epoch > self._epoch:
            self.tainted = False  # whatever the thief said of the former epoch, it is over
            self.ear.begin_again()
        if root is not None:
            self._epoch = root.epoch
        if kind.startswith("stolen"):
            self.tainted = True
            if kind == "stolen record" and outcome != "refused":
                self._believed.add(raw)
        if kind == "record" and (position := truth.records[raw].position) and outcome != "refused":
            self.ear.known = max(self.ear.known, position)
        elif kind.endswith("heartbeat") and outcome != "equivocation" and receipt.reason != "head_too_old":
            beat: Beat = truth.beats[raw] if kind == "heartbeat" else truth.stolen.beats[raw]
            if is_named(truth, self._look.roots, beat.head, beat.signer):
                self.ear.hear(beat, self.clock.now())

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
        if said in ("ok", "stale", "revoked", "expired", "not_yet_valid") and not token.wrong:
            self.ear.known = max(self.ear.known, token.fv)  # it was read, so it has betrayed how far the feed goes
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

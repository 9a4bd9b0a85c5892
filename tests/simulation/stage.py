"""What every act of a schedule needs: the time, the truth, the issuer, the machines with their links."""

from typing import Final

from ostraka_consumers.sources._policy import ROOT_MISSING
from ostraka_schemas.limits import MAX_STALENESS

from .clock import MachineClock, Time
from .history import History
from .issuer import Issuer
from .machine import Machine
from .roots import travelling
from .schedule import Schedule
from .story import Story
from .truth import Minted, Truth

HEARTBEAT: Final = 5
RECENT: Final = 5
"""Tokens that steps choose from: the newest ones."""
ASKED_AT_ONCE: Final = 50
"""Records in one answer of the second channel."""


class Stage:
    """Where one schedule is played.

    Args:
        story: takes a line for everything that happens, if somebody wants to read it.
    """

    def __init__(self, schedule: Schedule, story: Story | None = None) -> None:
        self.schedule = schedule
        self.story = story
        self.time, self.truth = Time(), Truth()
        clocks = [
            MachineClock(self.time, offset=offset, drift=drift)
            for offset, drift in zip(schedule.offsets, schedule.drifts, strict=True)
        ]
        self.history = History(self.truth, schedule.hold, MAX_STALENESS, len(clocks) - 1)
        self.machines = [
            Machine(who, self.time, clock, self.history, schedule.remember) for who, clock in enumerate(clocks[1:])
        ]
        self.issuer = Issuer(self.time, clocks[0], self.truth, self._publish)
        self.channel = schedule.channel

    def _publish(self, raw: bytes, heartbeat: bool) -> None:
        for machine in self.machines:
            machine.link.publish(raw, record=not heartbeat)

    def machine_at(self, number: int) -> Machine:
        """The machine that a step's number means."""
        return self.machines[number % len(self.machines)]

    def token_at(self, number: int) -> Minted | None:
        """The token that a step's number means, if there is any."""
        tokens = self.truth.tokens
        return tokens[-1 - number % min(RECENT, len(tokens))] if tokens else None

    def let_sources_read(self) -> None:
        """Whoever can, reads."""
        for machine in self.machines:
            seen = len(self.history.seen)
            self.read(machine)
            if self.channel and self.issuer.up:
                self.answer(machine)
            if len(self.history.seen) == seen:
                machine.look()

    def read(self, machine: Machine, most: int = 1_000) -> None:
        """What the source of the log does: it reads, and where a root document is missing it looks for it."""
        read = machine.read(most) + machine.read_again()
        link = machine.link
        if link.frozen or link.withholding:
            return
        if any(seen.reason in ROOT_MISSING for seen in read) and machine.bring_roots(machine.log, self.root_documents):
            link.rewind()
            machine.read()

    @property
    def root_documents(self) -> list[bytes]:
        """Every root document in the feed, as it travels alone."""
        return [travelling(root) for root in self.issuer.roots]

    def answer(self, machine: Machine) -> None:
        """The second channel: a snapshot if there is need, what follows, and then the newest heartbeat."""
        sink, roots = machine.channel, self.root_documents
        if sink.wants_snapshot:
            machine.bring_roots(sink, roots)
            machine.bring(self.issuer.parts, sink, roots)
        machine.bring(self.issuer.after(machine.ask())[:ASKED_AT_ONCE], sink, roots)
        machine.bring(self.issuer.beats[-1:], sink, roots)

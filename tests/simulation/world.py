"""Plays a schedule: the steps, then the healing."""

from collections.abc import Callable
from typing import Final
from unittest.mock import patch

from .asking import Asking
from .clockwork import Clockwork
from .history import History
from .issuing import Issuing
from .machine import Machine
from .meddling import Meddling
from .motifs import Step
from .schedule import Schedule
from .stage import HEARTBEAT, RECENT
from .stealing import Stealing
from .story import Story

AHEAD_MAX: Final = 8.0
"""Seconds by which the time of a verifier may be ahead if it is to be FRESH from one heartbeat to the next."""


class World(Issuing, Asking, Meddling, Clockwork, Stealing):
    """One play of one schedule."""

    def __init__(self, schedule: Schedule, story: Story | None = None) -> None:
        super().__init__(schedule, story)
        self._steps: dict[str, Callable[[Step], str | None]] = {
            name[3:].replace("_", " "): getattr(self, name) for name in dir(self) if name.startswith("do_")
        }

    def play(self) -> History:
        """Play every step, then heal the network and let time pass."""
        with (
            patch("ostraka_consumers.trust.chain.HOLD_MAX_RECORDS", self.schedule.hold),
            patch("ostraka_schemas.snapshots._ROOM", self.schedule.room),
        ):
            for number, step in enumerate(self.schedule.steps):
                self._begin(number)
                self._tell(step.kind, self._steps[step.kind](step))
            self._begin(len(self.schedule.steps))
            self._heal()
        return self.history

    def _begin(self, number: int) -> None:
        for machine in self.machines:
            machine.step = number

    def _tell(self, kind: str, what: str | None) -> None:
        if self.story is not None:
            self.story.tell(self.time.now, kind, what, self.history)

    def _heal(self) -> None:
        """Everything works again: clocks are right, nothing is lost, both channels are open. Then time passes.

        If a feed key was stolen, the operators have opened a new epoch with another one.
        """
        for machine in self.machines:
            machine.clock.set_right()
            machine.stepped = True
        self.issuer.clock.set_right()
        self.issuer.up, self.channel = True, True
        # A clock that was fast has signed the future; until that has come, nothing newer can be said.
        self.time.advance(max(0, self.truth.signed_until - self.issuer.now))
        self.issuer.sequence()
        if self.schedule.thief:
            self.issuer.change_root(epoch=True, root_key=False, feed_key=True)
        self.issuer.relay()
        self.issuer.snapshot()
        for machine in self.machines:
            machine.link.heal(self.truth.sent)
        self._let_time_pass()
        if any(self._is_ahead(machine) for machine in self.machines):
            # Clocks that were fast have pushed its time ahead: it believes again what agrees for a minute.
            for _ in range(14):
                self.do_tick(Step("tick"))
            self.time.advance(1)
        self._tell("heal", "the network heals; the issuer sends everything and beats; time passes")
        self._last_words()

    @staticmethod
    def _is_ahead(machine: Machine) -> bool:
        at = machine.clock.now()
        return machine.ear.now(at) > at.wall + AHEAD_MAX

    def _let_time_pass(self) -> None:
        """A heartbeat interval, and a second."""
        for _ in range(2):
            self.time.advance(HEARTBEAT / 2)
            if any(machine.head != self.issuer.head for machine in self.machines):
                self.let_sources_read()
        self.issuer.beat()
        self.let_sources_read()
        self.time.advance(1)

    def _last_words(self) -> None:
        self._mint(7, "")
        self.history.end = self.issuer.head
        for machine in self.machines:
            self.history.healed[machine.who] = machine.look()
            for token in self.truth.tokens[-RECENT:]:
                machine.present(token)
        self._tell("the end", "a new token, and every newer one is presented to all")

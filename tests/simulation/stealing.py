"""What a thief with the first feed key does."""

from ostraka_schemas.records import Head, Position

from . import hostile
from .machine import Machine
from .motifs import Step
from .oracle import TOLERANCE
from .stage import Stage


class Stealing(Stage):
    """Steps of a schedule; each says what happened, or nothing if there was nothing to do."""

    def do_stolen_record(self, step: Step) -> str | None:
        """A record after the verifier's head that the issuer never wrote."""
        machine = self.machine_at(step.a)
        return None if machine.head is None else self._steal(machine, machine.head, step)

    def do_stolen_fork(self, step: Step) -> str | None:
        """Another content for a position that the issuer has filled."""
        if len(self.issuer.feed) < 3:
            return None
        changes = list(self.truth.records.values())
        before = changes[step.b % (len(changes) - 1)]
        assert before.position is not None
        return self._steal(self.machine_at(step.a), Head(before.position, self.truth.hashes[before.position]), step)

    def _steal(self, machine: Machine, head: Head, step: Step) -> str:
        raw, after = hostile.stolen_record(self.issuer, head, step.c)
        self.truth.stolen.records[raw] = (after, hostile.STOLEN)
        machine.link.insert(raw, step.b)
        return f"the thief sends v{machine.who + 1} a record of his own at {after.position}"

    def do_stolen_heartbeat(self, step: Step) -> str | None:
        """Beat for the verifier's head, so that it believes it has everything; now, or as far ahead as it takes."""
        machine = self.machine_at(step.a)
        if machine.head is None:
            return None
        iat = self.issuer.now + (0, 0, 5, 9)[step.b % 4]
        if step.b % 5 == 0:
            iat = int(machine.ear.now(machine.clock.now())) + TOLERANCE
        self._beat_for(machine, machine.head, iat)
        return f"the thief beats for v{machine.who + 1} at {machine.head.position}, iat {iat}"

    def _beat_for(self, machine: Machine, head: Head, iat: int) -> None:
        raw, beat = hostile.stolen_heartbeat(self.issuer, head, iat)
        self.truth.stolen.beats[raw] = beat
        machine.deliver(raw)

    def do_stolen_snapshot(self, step: Step) -> str | None:
        """A snapshot somewhat further on in which nothing is revoked, and a heartbeat that vouches for it."""
        machine = self.machine_at(step.a)
        if machine.head is None:
            return None
        epoch, seq = machine.head.position
        head = Head(Position(epoch, seq + 1 + step.b % 4), bytes([step.b % 256]) * 32)
        raw, part = hostile.stolen_part(self.issuer, head)
        self.truth.stolen.parts[raw] = part
        machine.deliver(raw)
        self._beat_for(machine, head, self.issuer.now)
        return f"the thief gives v{machine.who + 1} a snapshot of his own at {head.position}"

"""What is asked of the verifiers, where else they get the feed from, and how they start anew."""

from random import Random

from ostraka_schemas.records import Position

from .mint import WRONGS, mint
from .motifs import Step
from .stage import RECENT, Stage


class Asking(Stage):
    """Steps of a schedule; each says what happened, or nothing if there was nothing to do."""

    def do_mint(self, step: Step) -> str | None:
        return self._mint(step.a, "") if self.issuer.up else None

    def do_forge(self, step: Step) -> str | None:
        return self._mint(step.a, WRONGS[step.b % len(WRONGS)])

    def _mint(self, seed: int, wrong: str) -> str | None:
        token = mint(self.issuer, len(self.truth.tokens) + 1, seed, wrong=wrong)
        if token is None:
            return None
        self.truth.tokens.append(token)
        whose = f"{token.sub}, session {token.sid}, client {token.client}, {' '.join(token.permissions)}"
        return f"{token}: {whose}; minted at {token.fv} by key {token.key}, lives {token.exp - token.iat} s"

    def do_present(self, step: Step) -> str | None:
        token = self.token_at(step.b)
        if token is None:
            return None
        limit = 15.0 if step.c % 6 == 5 else float("inf")
        self.machine_at(step.a).present(token, limit)
        return f"{token} is presented to v{step.a % len(self.machines) + 1}"

    def do_present_all(self, step: Step) -> str | None:
        for machine in self.machines:
            for token in self.truth.tokens[-RECENT:]:
                machine.present(token)
        return "the newest tokens are presented to all"

    def do_read(self, step: Step) -> str:
        machine = self.machine_at(step.a)
        self.read(machine, 1 + step.b % 4 if step.c % 2 else 1_000)
        return f"v{machine.who + 1} reads"

    def do_ask(self, step: Step) -> str | None:
        if not self.channel or not self.issuer.up:
            return None
        self.answer(self.machine_at(step.a))
        return f"v{step.a % len(self.machines) + 1} asks the second channel"

    def do_ask_old(self, step: Step) -> str | None:
        """An old copy of everything, genuine and consistent, answers instead of the issuer."""
        if not self.issuer.beats:
            return None
        machine = self.machine_at(step.a)
        raw = self.issuer.beats[step.b % len(self.issuer.beats)]
        head = self.truth.beats[raw].head.position
        records = self.issuer.after(None)
        old = [record for record in records if (at := self.truth.records[record].position) and at <= head]
        if step.c % 2:
            old = self._old_parts(head) + old[step.c % 7 :]
        machine.bring([*old, raw], machine.channel, self.root_documents if step.c % 3 else [])
        return f"v{machine.who + 1} is answered by an old copy, at {head}"

    def _old_parts(self, until: Position) -> list[bytes]:
        """The newest snapshot up to there."""
        heads = [part.head.position for part in self.truth.parts.values() if part.head.position <= until]
        return [raw for raw, part in self.truth.parts.items() if heads and part.head.position == max(heads)]

    def do_bring_snapshot(self, step: Step) -> str | None:
        machine, parts = self.machine_at(step.a), list(self.issuer.parts)
        if not parts:
            return None
        Random(step.b).shuffle(parts)
        if step.b % 4 == 0:
            parts.pop()
        roots = self.root_documents
        if step.c % 4:
            machine.bring_roots(machine.channel, roots)
        machine.bring(parts, machine.channel, roots if step.c % 3 else [])
        return f"v{machine.who + 1} is given {len(parts)} of {len(self.issuer.parts)} parts of the newest snapshot"

    def do_bring_roots(self, step: Step) -> str | None:
        """Root documents come by themselves, too early, again, or some of them only."""
        documents = self.root_documents
        if not documents:
            return None
        machine = self.machine_at(step.a)
        for raw in documents[step.b % len(documents) :]:
            machine.deliver(raw, machine.channel)
        return f"v{machine.who + 1} is given root documents from version {step.b % len(documents) + 1}"

    def do_restart(self, step: Step) -> str:
        machine = self.machine_at(step.a)
        if step.b % 2:
            machine.clock.reboot(float(step.c % 1_000))
        disk, what = machine.disk, ("its disk", "no disk", "an older copy of its disk", "a damaged disk")[step.c % 4]
        found = (disk, None, disk.older(step.b), disk.damaged(step.b))[step.c % 4]
        machine.start(found)
        if found is None or step.b % 3:
            machine.link.rewind()
        return f"v{machine.who + 1} starts anew with {what}"

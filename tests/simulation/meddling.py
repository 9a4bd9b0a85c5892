"""What whoever owns the bus does, without a key."""

from random import Random

from . import hostile
from .motifs import Step
from .stage import Stage


class Meddling(Stage):
    """Steps of a schedule; each says what happened, or nothing if there was nothing to do."""

    def do_drop(self, step: Step) -> str | None:
        return self._on_link(step, "loses", self.machine_at(step.a).link.drop(step.b))

    def do_repeat(self, step: Step) -> str | None:
        return self._on_link(step, "repeats", self.machine_at(step.a).link.repeat(step.b, step.c))

    def do_shuffle(self, step: Step) -> str:
        count = self.machine_at(step.a).link.shuffle(step.b)
        return f"the bus puts {count} entries for v{step.a % len(self.machines) + 1} into another order"

    def do_replay(self, step: Step) -> str | None:
        old = self.truth.sent if step.c % 3 else self.issuer.beats
        if not old:
            return None
        raw = old[step.b % len(old)]
        self.machine_at(step.a).link.insert(raw, step.c)
        return self._on_link(step, "sends again", raw)

    def do_corrupt(self, step: Step) -> str | None:
        link = self.machine_at(step.a).link
        return self._on_link(step, "alters", link.alter(step.b, lambda raw: hostile.flipped(raw, step.c * 7)))

    def do_truncate(self, step: Step) -> str | None:
        link = self.machine_at(step.a).link
        return self._on_link(step, "cuts short", link.alter(step.b, lambda raw: hostile.truncated(raw, step.c)))

    def do_rogue(self, step: Step) -> str | None:
        if not self.issuer.feed:
            return None
        name = list(hostile.ROGUES)[step.b % len(hostile.ROGUES)]
        self.machine_at(step.a).link.insert(hostile.ROGUES[name](self.issuer, Random(step.c)), step.c)
        return f"somebody sends {name} to v{step.a % len(self.machines) + 1}"

    def do_forged_root(self, step: Step) -> str | None:
        if not self.issuer.roots:
            return None
        raw, version = hostile.forged_root(self.issuer, step.b)
        self.truth.forged_roots[raw] = version
        self.machine_at(step.a).link.insert(raw, step.c)
        return f"somebody sends v{step.a % len(self.machines) + 1} a forged root document of version {version}"

    def do_retention(self, step: Step) -> str:
        gone = self.machine_at(step.a).link.forget(1 + step.b % 12)
        return f"retention takes {gone} entries from v{step.a % len(self.machines) + 1}"

    def do_withhold(self, step: Step) -> str:
        link = self.machine_at(step.a).link
        link.withholding = not link.withholding
        what = "withholds records from" if link.withholding else "no longer withholds records from"
        return f"the bus {what} v{step.a % len(self.machines) + 1}"

    def do_freeze(self, step: Step) -> str:
        link = self.machine_at(step.a).link
        link.frozen = not link.frozen
        what = "freezes the link of" if link.frozen else "lets everything through again to"
        return f"the bus {what} v{step.a % len(self.machines) + 1}"

    def do_channel(self, step: Step) -> str:
        self.channel = not self.channel
        return "the second channel works" if self.channel else "the second channel is cut"

    def _on_link(self, step: Step, what: str, raw: bytes | None) -> str | None:
        if raw is None or self.story is None:
            return None
        return f"the bus {what} {self.story.name(raw, self.truth)}, to v{step.a % len(self.machines) + 1}"

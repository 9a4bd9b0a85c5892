"""What the issuer and its operators do."""

from typing import Final

from .motifs import Step
from .names import CLIENTS, PERMISSIONS, SESSIONS, SUBJECTS
from .stage import HEARTBEAT, Stage
from .truth import Change

REVOKES: Final = ("token", "subject", "permission", "session", "narrow", "tokens", "client", "token", "everyone")


class Issuing(Stage):
    """Steps of a schedule; each says what happened, or nothing if there was nothing to do."""

    def do_tick(self, step: Step) -> str:
        """Five seconds as they should be: the issuer sends what there is and beats; whoever can, reads."""
        self.time.advance(HEARTBEAT)
        if self.issuer.up:
            self.issuer.relay()
            self.issuer.beat()
        self.let_sources_read()
        return "5 s pass; the issuer sends and beats" if self.issuer.up else "5 s pass; the issuer is down"

    def do_beat(self, step: Step) -> str | None:
        if not self.issuer.up:
            return None
        self.issuer.beat()
        return f"the issuer beats at head {self.issuer.head}"

    def do_slow_beat(self, step: Step) -> str | None:
        """A change is committed after the clock was read and before the head is."""
        if not self.issuer.up:
            return None

        def meanwhile() -> None:
            self._revoke(step)
            self.time.advance(step.c % 4)

        self.issuer.beat(meanwhile)
        return f"the issuer commits something while it beats, head {self.issuer.head}"

    def do_relay(self, step: Step) -> str | None:
        if not self.issuer.up:
            return None
        crash = step.b % 4 if step.b and step.a % 3 == 0 else None
        self.issuer.relay(crash)
        return f"the issuer sends up to {self.issuer.head}" + (
            "" if crash is None else f" and crashes after {crash} records"
        )

    def do_crash(self, step: Step) -> str | None:
        if not self.issuer.up:
            return None
        self.issuer.up = False
        return "the issuer crashes"

    def do_start_issuer(self, step: Step) -> str | None:
        if self.issuer.up:
            return None
        self.issuer.up = True
        self.issuer.relay()
        return "the issuer starts and sends what it had not marked as sent"

    def do_revoke(self, step: Step) -> str | None:
        if not self.issuer.up:
            return None
        change = self._revoke(step)
        return None if change is None else f"the issuer commits: {change}"

    def _revoke(self, step: Step) -> Change | None:
        kind, token = REVOKES[step.b % len(REVOKES)], self.token_at(step.a)
        meant = step.c % 5 != 0 and token is not None
        match kind:
            case "token" | "tokens":
                return None if token is None else self.issuer.commit(kind, token.jti, (str(token.exp),))
            case "subject":
                who = token.sub if meant and token else SUBJECTS[step.a % 2]
            case "session":
                who = token.sid if meant and token else SESSIONS[step.a % 3]
            case "client":
                who = token.client if meant and token else CLIENTS[step.a % 2]
            case "permission":
                who = PERMISSIONS[step.a % 6]
            case "narrow":
                who = token.sub if meant and token else SUBJECTS[step.a % 2]
                return self.issuer.commit(kind, who, PERMISSIONS[step.a % 6 : step.a % 6 + step.c % 3])
            case _:
                who = ""
        return self.issuer.commit(kind, who)

    def do_rotate(self, step: Step) -> str | None:
        change = self.issuer.rotate() if self.issuer.up else None
        return None if change is None else f"the issuer commits: {change}"

    def do_compromise(self, step: Step) -> str | None:
        change = self.issuer.compromise() if self.issuer.up else None
        return None if change is None else f"the issuer commits: {change}"

    def do_change_root(self, step: Step) -> str | None:
        flags = {"root_key": step.a % 2 == 0, "feed_key": step.b % 2 == 0, "both": step.c % 2 == 0}
        change = self.issuer.change_root(epoch=False, **flags) if self.issuer.up else None
        return None if change is None else f"the operators sign a root document: {change.root}"

    def do_new_epoch(self, step: Step) -> str | None:
        root_key = step.a % 2 == 0
        change = self.issuer.change_root(epoch=True, root_key=root_key, feed_key=True) if self.issuer.up else None
        return None if change is None else f"the operators open a new epoch: {change.root}"

    def do_snapshot(self, step: Step) -> str | None:
        """The issuer sends a snapshot; sometimes parts of it are lost on the way."""
        if not self.issuer.up:
            return None
        self.issuer.sequence()
        self.issuer.snapshot()
        return f"the issuer sends a snapshot in {len(self.issuer.parts)} parts at {self.issuer.head}"

    def do_refill(self, step: Step) -> str | None:
        """The issuer finds its topic empty or cut, and sends everything again."""
        if not self.issuer.up:
            return None
        for raw in self.issuer.feed[: self.issuer.marked]:
            self.issuer.send(raw)
        return "the issuer sends everything again"

"""What a verifier must decide, from the rules' words alone: no chain, no buckets, no memory, nothing forgotten."""

import math
from dataclasses import dataclass, field

from tests.properties.feeds import Step


@dataclass(frozen=True)
class Minted:
    """A token as the oracle sees it."""

    text: str
    jti: str
    sid: str
    sub: str
    client: str
    permissions: tuple[str, ...]
    key: int
    fv: int
    exp: int


def meant(pattern: str) -> set[str]:
    """Every single permission that a pattern stands for, in a small world."""
    resources, actions = ({"orders", "reports", "other"}, {"create", "read", "other"})
    resource, action = pattern.split(":")
    return {
        f"{r}:{a}"
        for r in (resources if resource == "*" else {resource})
        for a in (actions if action == "*" else {action})
    }


@dataclass
class Oracle:
    """Everything that was said, in order; how far it was delivered; and when heartbeats were heard."""

    said: list[Step] = field(default_factory=list)
    applied: int = 0
    heard: list[tuple[int, int, float, float]] = field(default_factory=list)
    """Of each heartbeat: ``iat``, position, and what monotonic and wall clock said when it came."""

    def now(self, wall: float, monotonic: float) -> float:
        """Time = max(wall clock, heartbeat + monotonic time since).

        Once the clocks agreed for a minute without a silence, only the newest; but not more than ten seconds behind the
        wall clock as it has run.
        """
        lead = steady = before = since = -math.inf
        for iat, _, at, read in self.heard:
            steady = max(steady, read - at)
            if abs(read - iat) > 10:
                since = math.inf
            elif since == math.inf or at - before > 15:
                since = at
            before = at
            lead = max(min(lead, steady - 10) if at - since >= 60 else lead, iat - at)
        return max(wall, lead + monotonic)

    def vouched(self) -> float:
        """The newest heartbeat up to whose head everything was applied."""
        return max(iat for iat, seq, *_ in self.heard if seq <= self.applied)

    def decide(self, token: Minted, now: float) -> str:
        """A code of the error tree, or ``ok``."""
        state = self._key_state(token.key)
        if state in (None, "destroyed"):
            return "unknown_key"
        if state == "compromised":
            return "key_compromised"
        if now >= token.exp:
            return "expired"
        if any(self._kills(step, seq, token) for seq, step in self._applied()):
            return "revoked"
        return "stale" if now - self.vouched() > 60 else "ok"

    def allows(self, token: Minted, permission: str) -> bool:
        """Carried, still covered by every later change, met by no later revocation."""
        if not any(meant(permission) <= meant(p) and _star(permission, p) for p in token.permissions):
            return False
        for seq, step in self._applied():
            if seq <= token.fv:
                continue
            if step.kind == "permission" and meant(step.who) & meant(permission):
                return False
            if (
                step.kind == "narrow"
                and step.who == token.sub
                and not any(meant(permission) <= meant(p) and _star(permission, p) for p in step.what)
            ):
                return False
        return True

    def _applied(self) -> list[tuple[int, Step]]:
        return list(enumerate(self.said[: self.applied], start=1))

    def _kills(self, step: Step, seq: int, token: Minted) -> bool:
        if step.kind == "token":
            return step.who == token.jti
        whom = {"subject": token.sub, "session": token.sid, "client": token.client, "everyone": ""}
        return step.kind in whom and step.who == whom[step.kind] and token.fv < seq

    def _key_state(self, key: int) -> str | None:
        sets = [step.what for _, step in self._applied() if step.kind == "keys"]
        if any(states[key] == "compromised" for states in sets):
            return "compromised" if sets[-1][key] != "none" else None
        return None if sets[-1][key] == "none" else sets[-1][key]


def _star(permission: str, pattern: str) -> bool:
    # The small world must not let three names pass for "all": only a star covers a star.
    return all(p == "*" or w != "*" for w, p in zip(permission.split(":"), pattern.split(":"), strict=True))

"""Rules about what is accepted and what is refused."""

from collections.abc import Callable
from typing import Final

from ..history import Decision, History
from ..names import ASKED
from ..oracle import NOWHERE, TOLERANCE, carries, key_state, kills, takes, up_to
from ..wording import KEYS_FROM
from .reading import Found, decisions, stands


def accepted_too_late(history: History) -> Found:
    """I1. Nothing is accepted, and no permission granted, later than max_staleness + 10 s after the change that ends it
    was committed; if the issuer's clock was further ahead of the verifier's than 10 s, by so much later."""
    for seen in decisions(history):
        if seen.said != "ok" or seen.tainted:
            continue
        allowed = history.patience + max(TOLERANCE, history.truth.slip - seen.error)
        for change in history.truth.changes:
            late = seen.t - change.at
            if late <= allowed:
                break  # and so are all that follow
            if kills(change, seen.token):
                yield seen, f"{seen.token} accepted {late:.1f} s after {change}"
            for permission in seen.allowed:
                if takes(change, seen.token, permission):
                    yield seen, f"{permission} of {seen.token} granted {late:.1f} s after {change}"


def accepted_against_what_it_knows(history: History) -> Found:
    """Whatever is applied counts at once: no token that a change up to the head kills is accepted, none past its end,
    and no permission granted that the token does not carry or a change up to the head takes."""
    for seen in decisions(history):
        if seen.said != "ok" or seen.tainted:
            continue
        if seen.now >= seen.token.exp:
            yield seen, f"{seen.token} accepted {seen.now - seen.token.exp:.1f} s after its end"
        for change in up_to(history.truth.changes, seen.look.position):
            if kills(change, seen.token):
                yield seen, f"{seen.token} accepted although {change} is applied"
            for permission in seen.allowed:
                if takes(change, seen.token, permission):
                    yield seen, f"{permission} of {seen.token} granted although {change} is applied"
        for permission in seen.allowed:
            if not carries(seen.token, permission):
                yield seen, f"{permission} granted, which {seen.token} never carried"


def denied_and_accepted_again(history: History) -> Found:
    """I3. A token once refused as revoked is never accepted again by that verifier."""
    denied: dict[tuple[int, int, str], str] = {}
    for seen in decisions(history):
        me = (seen.who, seen.life, seen.token.jti)
        if seen.said in ("revoked", "key_compromised"):
            denied.setdefault(me, seen.said)
        elif seen.said == "ok" and me in denied:
            yield seen, f"{seen.token} accepted after it was refused as {denied[me]}"


def equal_heads_decide_differently(history: History) -> Found:
    """I4. Verifiers at the same head say the same of the same token, as far as the feed has a say in it. Whoever was
    told something by a thief with the feed key does not forget it, and says no more often.
    """
    said: dict[tuple[object, str], tuple[str, tuple[str, ...]]] = {}
    for seen in decisions(history):
        if seen.said not in ("ok", "revoked", "key_compromised", "unknown_key") or seen.token.wrong:
            continue
        if seen.tainted or seen.token.exp < seen.signed:
            continue
        first = said.setdefault((seen.look.head, seen.token.jti), (seen.said, seen.allowed))
        if first != (seen.said, seen.allowed):
            yield seen, f"{seen.token} at {seen.look.position}: {first} of one, {(seen.said, seen.allowed)} of another"


def foreign_key_used(history: History) -> Found:
    """I6. No token is accepted that the issuer did not sign, with a key that its key set names and allows, for its
    time, its type, its issuer and its audience."""
    for seen in decisions(history):
        if seen.said != "ok" or seen.tainted:
            continue
        if seen.token.wrong:
            yield seen, f"accepted: {seen.token}"
        state = _key_state(history, seen)
        if state not in ("pre-activation", "active", "deactivated"):
            yield seen, f"{seen.token} accepted although key {seen.token.key} is {state}"


def accepted_without_news(history: History) -> Found:
    """A full freeze is noticed: nothing is accepted once the newest heartbeat whose head is applied is older than
    max_staleness, or than the caller bears; and nothing that is of a later epoch than the feed."""
    for seen in decisions(history):
        age = None if seen.vouched is None else seen.now - seen.vouched
        bound = min(history.patience, seen.limit)
        if seen.said == "ok" and seen.token.fv.epoch > stands(history, seen).epoch:
            yield seen, f"{seen.token} accepted at {stands(history, seen)}, it is of epoch {seen.token.fv.epoch}"
        if seen.said == "ok" and (age is None or age > bound):
            yield seen, f"{seen.token} accepted {age} s after the last news, the bound is {bound:.0f} s"


def decided_before_it_was_back(history: History) -> Found:
    """I2, over restarts. Nothing is accepted before the position is reached again that the disk knows of; and the disk
    vouches for nothing: that takes a heartbeat that came since."""
    for seen in decisions(history):
        if seen.said == "ok" and seen.pin is not None and seen.look.position < seen.pin:
            yield seen, f"{seen.token} accepted at {seen.look.position}, in an earlier life it was at {seen.pin}"


def wrongly_refused(history: History) -> Found:
    """A refusal has a cause: in the token, in what is applied, or because nothing vouches. So a good token is never
    refused by a verifier that is FRESH, nor by any once the network has healed."""
    for seen in decisions(history):
        if seen.said == "ok" or seen.token.wrong or seen.tainted:
            continue
        if not _CAUSES[seen.said](history, seen) if seen.said in _CAUSES else True:
            yield seen, f"{seen.token} refused without cause: {seen.said}; it says {seen.before.freshness}"


def wrongly_withheld(history: History) -> Found:
    """A permission that an accepted token carries is granted unless a change up to the head takes it."""
    for seen in decisions(history):
        if seen.said != "ok" or seen.tainted or seen.token.exp < seen.signed:
            continue
        changes = up_to(history.truth.changes, seen.look.position)
        for permission in ASKED:
            if permission in seen.allowed or not carries(seen.token, permission):
                continue
            if not any(takes(change, seen.token, permission) for change in changes):
                yield seen, f"{permission} of {seen.token} not granted without cause"


def _lacks_news(history: History, seen: Decision) -> bool:
    age = None if seen.vouched is None else seen.now - seen.vouched
    behind = seen.known > seen.look.position or seen.token.fv.epoch > stands(history, seen).epoch
    return age is None or behind or age > min(history.patience, seen.limit)


def _is_killed(history: History, seen: Decision) -> bool:
    return any(kills(c, seen.token) for c in up_to(history.truth.changes, seen.look.position) if c.kind != "keys")


def _key_state(history: History, seen: Decision) -> str | None:
    position = seen.look.position
    return key_state(up_to(history.truth.changes, position), seen.token.key, position.epoch)


_CAUSES: Final[dict[str, Callable[[History, Decision], bool]]] = {
    "expired": lambda history, seen: seen.now >= seen.token.exp,
    "not_yet_valid": lambda history, seen: seen.token.iat > seen.now + TOLERANCE,
    "revoked": _is_killed,
    "unknown_key": lambda history, seen: (
        _key_state(history, seen) in (None, "destroyed") or seen.token.iat < KEYS_FROM - TOLERANCE
    ),
    "key_compromised": lambda history, seen: _key_state(history, seen) == "compromised",
    "stale": _lacks_news,
    "not_ready": lambda history, seen: (
        not seen.look.ready
        and (_lacks_news(history, seen) or seen.stepped or seen.look.position < (seen.pin or NOWHERE))
    ),
}

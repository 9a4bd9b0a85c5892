"""Strategies for whole feeds, and verifiers that are fed by hand."""

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from ostraka_consumers import Verifier
from ostraka_consumers.clock import Clock
from ostraka_schemas.jwk import SigningKey
from tests.support.fake_issuer import FakeIssuer, published
from tests.support.verifiers import ListSource

SUBJECTS, SESSIONS, CLIENTS, TOKENS = ("alice", "bob"), ("s1", "s2"), ("web", "cron"), ("t1", "t2", "t3")
PERMISSIONS = ("orders:create", "orders:read", "orders:*", "*:read", "*:*", "reports:read")
STATES = ("pre-activation", "active", "deactivated", "compromised", "destroyed", None)


@dataclass(frozen=True)
class Step:
    """One thing an issuer says, and the seconds that passed before."""

    kind: str
    who: str = ""
    what: tuple[str, ...] = ()
    after: int = 0


def steps(longest_pause: int = 3) -> st.SearchStrategy[Step]:
    """Anything that can be said."""
    pause = st.integers(0, longest_pause)
    some = st.lists(st.sampled_from(PERMISSIONS), max_size=2).map(tuple)

    def step(kind: str, who: Sequence[str]) -> st.SearchStrategy[Step]:
        return st.builds(Step, kind=st.just(kind), who=st.sampled_from(who), after=pause)

    return st.one_of(
        step("subject", SUBJECTS),
        step("session", SESSIONS),
        step("client", CLIENTS),
        step("token", TOKENS),
        step("permission", PERMISSIONS),
        step("everyone", ("",)),
        st.builds(Step, kind=st.just("narrow"), who=st.sampled_from(SUBJECTS), what=some, after=pause),
        st.builds(Step, kind=st.just("beat"), after=pause),
        step("keys", ("active", "deactivated")),
    )


def say(issuer: FakeIssuer, step: Step) -> bytes:
    """Let time pass and say it."""
    issuer.clock.advance(step.after)
    match step.kind:
        case "subject":
            return issuer.cut_subject(step.who)
        case "session":
            return issuer.cut_session("alice", step.who)
        case "client":
            return issuer.cut_client(step.who)
        case "token":
            return issuer.revoke_token(step.who, issuer.now + 300)
        case "permission":
            return issuer.revoke_permission(step.who)
        case "everyone":
            return issuer.cut_everyone()
        case "narrow":
            return issuer.keep_only(step.who, *step.what)
        case "keys":
            return issuer.publish_keys(published(issuer.token_key, now=issuer.now, state=step.who))  # type: ignore[arg-type]
        case _:
            return issuer.heartbeat()


def hand_fed(issuer: FakeIssuer, *raws: bytes, clock: Clock | None = None, remember: int = 1_000) -> Verifier:
    """A verifier without sources of its own that decides from the start, with what it has."""
    verifier = Verifier(
        issuer.anchor, audience="orders", sources=[ListSource([])], clock=clock or issuer.clock, remember=remember
    )
    for raw in raws:
        verifier.deliver(raw)
    verifier._ready = True
    return verifier


def new_issuer() -> FakeIssuer:
    """Keys are made once: it is not they that vary."""
    issuer = FakeIssuer(root_key=_ROOT, feed_key=_FEED)
    issuer.token_key = _TOKEN
    return issuer


_ROOT, _FEED = SigningKey.generate("EdDSA"), SigningKey.generate("EdDSA")
_TOKEN = SigningKey.generate("ES256")

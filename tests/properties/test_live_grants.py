"""Live grants against a model without an index: whatever is said, it asks the verifier about every one of them again.

Both must end the same grants, after the same event, for the same reason.
"""

import math
from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from ostraka_consumers import Grant, VerificationError, Verifier, all_of, any_of
from ostraka_consumers.trust.lapse import Asked, Patience
from ostraka_consumers.trust.live import Held, LiveGrants
from ostraka_consumers.trust.snapshot import contents_of
from ostraka_consumers.verifier import Grace
from ostraka_schemas.events import KeyState
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.snapshots import cut
from tests.properties.feeds import (
    CLIENTS,
    PERMISSIONS,
    SESSIONS,
    SUBJECTS,
    TOKENS,
    Step,
    hand_fed,
    new_issuer,
    say,
    steps,
)
from tests.support.fake_issuer import FakeIssuer, published

SECOND = SigningKey.generate("ES256")
ASKED: tuple[Asked, ...] = (
    (),
    ("orders:create",),
    ("orders:*",),
    (any_of("orders:read", "reports:read"),),
    ("orders:read", all_of("orders:create", any_of("*:read", "orders:*"))),
)
UNKNOWN = {"malformed", "bad_signature"}
"""What a decision on the bytes says of a key that is there under that name, but not for this token any more."""


@dataclass(frozen=True)
class Hold:
    """A token that is verified and then held."""

    jti: str
    sid: str | None
    sub: str
    client: str
    permissions: tuple[str, ...]
    second: bool
    lives: int
    asked: Asked
    max_staleness: float
    grace: Grace | None


holds = st.builds(
    Hold,
    jti=st.sampled_from(TOKENS),
    sid=st.sampled_from((*SESSIONS, None)),
    sub=st.sampled_from(SUBJECTS),
    client=st.sampled_from(CLIENTS),
    permissions=st.lists(st.sampled_from(PERMISSIONS), max_size=3).map(tuple),
    second=st.booleans(),
    lives=st.integers(1, 120),
    asked=st.sampled_from(ASKED),
    max_staleness=st.sampled_from((math.inf, 15.0, 40.0)),
    grace=st.sampled_from((None, None, "until_exp")),
)


@dataclass(frozen=True)
class Keys:
    """A key set: the state of both keys, ``None`` for a key that is not in it; and how long their tokens may live."""

    first: KeyState | None
    second: KeyState
    lifetime: int


@dataclass(frozen=True)
class Else:
    """Other things that happen."""

    kind: str
    seconds: float = 0.0


STATES: tuple[KeyState | None, ...] = (*("active", "deactivated") * 3, "compromised", "destroyed", None)
WHOLE: tuple[KeyState, ...] = (*("active", "deactivated") * 3, "compromised")
happenings = st.one_of(
    *[holds] * 5,
    *[steps(longest_pause=8)] * 3,
    *[st.builds(Else, st.just("wait"), st.floats(0, 25))] * 2,
    st.builds(Keys, st.sampled_from(STATES), st.sampled_from(WHOLE), st.sampled_from((300, 300, 300, 60))),
    st.builds(Else, st.just("set"), st.floats(-400, 30)),
    st.builds(Else, st.sampled_from((*("let go",) * 3, *("snapshot",) * 2, "doubt", "epoch"))),
)


class Both:
    """The index and the model, side by side, fed by one issuer."""

    def __init__(self) -> None:
        self.issuer: FakeIssuer = new_issuer()
        raws = [
            self.issuer.publish_root(),
            self.issuer.publish_keys(
                published(self.issuer.token_key, now=self.issuer.now), published(SECOND, now=self.issuer.now)
            ),
            self.issuer.heartbeat(),
        ]
        self.verifier: Verifier = hand_fed(self.issuer, *raws)
        self.index = LiveGrants(self.verifier.core)
        self.indexed: dict[int, str] = {}
        self.model: dict[int, tuple[str, Hold, int]] = {}
        self.modelled: dict[int, str] = {}
        self.held: dict[int, Held] = {}
        self.count = 0

    def verdict(self, text: str, hold: Hold) -> str | Grant:
        """What a decision says now, on the bytes."""
        try:
            grant = self.verifier.verify(text, max_staleness=hold.max_staleness, grace=hold.grace)
            for part in hold.asked:
                grant.require(part)
        except VerificationError as error:
            return "unknown_key" if error.code in UNKNOWN else error.code
        return grant

    def hold(self, hold: Hold) -> None:
        issuer = self.issuer
        text = issuer.token(
            key=SECOND if hold.second else issuer.token_key,
            jti=hold.jti,
            sid=hold.sid,
            sub=hold.sub,
            client_id=hold.client,
            permissions=list(hold.permissions),
            exp=issuer.now + hold.lives,
        )
        grant = self.verdict(text, hold)
        if grant == "permission_denied":
            hold = replace(hold, asked=())
            grant = self.verdict(text, hold)
        if isinstance(grant, str):
            return
        name, self.count = self.count, self.count + 1
        patience = Patience(hold.max_staleness, hold.grace is not None)
        held = Held(grant._token, hold.asked, patience, lambda over: self.indexed.__setitem__(name, over.code))
        assert self.index.why_over(held, issuer.clock.now()) is None
        self.index.add(held)
        self.held[name] = held
        self.model[name] = text, hold, issuer.epoch

    def let_go(self) -> None:
        for name in list(self.model)[:1]:
            self.index.discard(self.held[name])
            del self.model[name]

    def deliver(self, raw: bytes) -> None:
        at = self.issuer.clock.now()
        receipt = self.verifier._take(raw, at)
        self.index.notice(receipt.applied, at)
        self.compare()

    def compare(self) -> None:
        self.index.look(self.issuer.clock.now())
        while self.index.settle(self.issuer.clock.now(), 3):
            pass
        for name, (text, hold, epoch) in list(self.model.items()):
            verdict = self.verdict(text, hold)
            # What has begun does not become "not yet".
            if isinstance(verdict, str) and verdict != "not_yet_valid":
                # A new epoch is a cut-off for everyone before its keys are known.
                self.modelled[name] = "revoked" if epoch < self.issuer.epoch else verdict
                del self.model[name]
        assert self.indexed == self.modelled
        assert len(self.index) == len(self.model)

    def happen(self, what: object) -> None:
        issuer = self.issuer
        match what:
            case Hold():
                self.hold(what)
            case Step():
                self.deliver(say(issuer, what))
            case Keys():
                entries = [published(SECOND, now=issuer.now, state=what.second, lifetime=what.lifetime, nbf=NBF)]
                if what.first is not None:
                    entries.append(published(issuer.token_key, now=issuer.now, state=what.first, nbf=NBF))
                self.deliver(issuer.publish_keys(*entries))
            case Else(kind="wait"):
                issuer.clock.advance(what.seconds)
                self.compare()
            case Else(kind="set"):
                issuer.clock.step_wall(what.seconds)
                self.compare()
            case Else(kind="doubt"):
                seq = len(issuer.records)
                self.deliver(issuer.sign_payload(issuer.payload({"urn:x": {}}, seq=seq)))
            case Else(kind="snapshot"):
                self.jump()
            case Else(kind="epoch"):
                self.epoch()
            case _:
                self.let_go()

    def jump(self) -> None:
        """Say something that this verifier hears of by a snapshot only."""
        issuer = self.issuer
        other = hand_fed(issuer, *issuer.root_files(), *issuer.records, issuer.heartbeat())
        for raw in (issuer.cut_subject("alice"), issuer.revoke_permission("orders:create")):
            other.deliver(raw)
        state = other.core.state
        assert state is not None
        if other.core.head != issuer.head:
            return  # a feed in which nobody can follow any more
        shares = list(cut(contents_of(state)))
        for n, share in enumerate(shares, start=1):
            self.deliver(issuer.snapshot_part(share, n, len(shares)))
        self.deliver(issuer.heartbeat())

    def epoch(self) -> None:
        issuer = self.issuer
        for raw in [*issuer.adopt_root(issuer.next_root(epoch=issuer.epoch + 1)), issuer.heartbeat()]:
            self.deliver(raw)


NBF = new_issuer().now - 3_600


@given(st.lists(happenings, min_size=5, max_size=30))
def test_the_same_grants_end_for_the_same_reasons(story: list[object]) -> None:
    both = Both()
    for what in story:
        both.happen(what)


@given(st.lists(holds, min_size=5, max_size=12), st.lists(happenings, min_size=3, max_size=12))
def test_among_many_that_are_held(many: list[Hold], story: list[object]) -> None:
    both = Both()
    for hold in many:
        both.hold(hold)
    for what in story:
        both.happen(what)


def test_the_story_reaches_every_reason() -> None:
    """Or the comparison above would compare less than it says."""
    hold = Hold("t1", "s1", "alice", "web", ("*:*",), False, 120, ("orders:create",), 40.0, None)
    stories: dict[str, list[object]] = {
        "revoked": [Step("subject", "alice")],
        "permission_denied": [Step("permission", "orders:create")],
        "expired": [*[Else("wait", 30), Step("beat")] * 4],
        "stale": [Else("wait", 41)],
        "key_compromised": [Keys("compromised", "active", 300)],
        "unknown_key": [Keys(None, "active", 300)],
    }
    for reason, story in stories.items():
        both = Both()
        for what in (hold, *story):
            both.happen(what)
        assert both.indexed == {0: reason}
    for kind in ("epoch", "snapshot"):
        both = Both()
        for what in (hold, Else(kind)):
            both.happen(what)
        assert both.indexed == {0: "revoked"}

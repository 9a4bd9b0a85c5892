"""A verifier through whatever happens, beside an oracle that knows the rules' words and nothing else."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ostraka_consumers import VerificationError
from ostraka_consumers.clock import ManualClock
from ostraka_consumers.trust.receipt import Outcome
from ostraka_schemas.jwk import SigningKey
from tests.properties.feeds import CLIENTS, PERMISSIONS, SESSIONS, SUBJECTS, Step, hand_fed, new_issuer, say, steps
from tests.properties.oracle import Minted, Oracle
from tests.support.fake_issuer import published
from tests.support.rogue import forgeries

KEYS = [SigningKey.generate("ES256") for _ in range(2)]
STATES = st.sampled_from(
    ["active", "active", "active", "pre-activation", "deactivated", "compromised", "destroyed", "none"]
)
TOKENS_MAX = 10


class AgainstTheOracle(RuleBasedStateMachine):
    """Two clocks: the issuer's is right, the verifier's wall clock may be set to anything; time passes for both."""

    @initialize(remember=st.sampled_from([0, 1, 3, 1_000]))
    def begin(self, remember: int) -> None:
        self.issuer = new_issuer()
        self.clock = ManualClock()
        self.verifier = hand_fed(self.issuer, clock=self.clock, remember=remember)
        self.oracle = Oracle()
        self.arrived: set[int] = set()
        self.tokens: list[Minted] = []
        self.dead: set[str] = set()
        self.say_root()
        self.say_keys(["active", "active"])
        self.arrive(0)
        self.arrive(1)
        self.beat(0)

    # --- the issuer ---

    def say_root(self) -> None:
        self.issuer.publish_root()
        self.oracle.said.append(Step("root"))

    @rule(states=st.lists(STATES, min_size=2, max_size=2).filter(lambda states: states != ["none", "none"]))
    def say_keys(self, states: list[Any]) -> None:
        entries = [
            published(key, now=1_800_000_000, state=state)
            for key, state in zip(KEYS, states, strict=True)
            if state != "none"
        ]
        self.issuer.publish_keys(*entries)
        self.oracle.said.append(Step("keys", what=tuple(states)))

    @rule(step=steps().filter(lambda step: step.kind not in ("beat", "keys", "token")))
    def say(self, step: Step) -> None:
        step = Step(step.kind, step.who, step.what)
        say(self.issuer, step)
        self.oracle.said.append(step)

    @precondition(lambda self: len(self.tokens) < TOKENS_MAX)
    @rule(
        sub=st.sampled_from(SUBJECTS),
        sid=st.sampled_from(SESSIONS),
        client=st.sampled_from(CLIENTS),
        permissions=st.lists(st.sampled_from(PERMISSIONS), max_size=3),
        key=st.integers(0, 1),
        lifetime=st.sampled_from([30, 300]),
    )
    def mint(self, sub: str, sid: str, client: str, permissions: list[str], key: int, lifetime: int) -> None:
        exp, jti = self.issuer.now + lifetime, self.issuer.new_id()
        claims: dict[str, Any] = {
            "sub": sub,
            "sid": sid,
            "client_id": client,
            "jti": jti,
            "permissions": permissions,
            "exp": exp,
        }
        text = self.issuer.token(key=KEYS[key], **claims)
        fv = len(self.issuer.records)
        self.tokens.append(Minted(text, jti, sid, sub, client, tuple(permissions), key, fv, exp))

    @precondition(lambda self: self.tokens)
    @rule(data=st.data(), many=st.booleans())
    def revoke_a_token(self, data: st.DataObject, many: bool) -> None:
        token = data.draw(st.sampled_from(self.tokens))
        if many:
            self.issuer.revoke_tokens((token.jti, token.exp), (self.issuer.new_id(), token.exp))
        else:
            self.issuer.revoke_token(token.jti, token.exp)
        self.oracle.said.append(Step("token", token.jti))

    # --- the bus ---

    @precondition(lambda self: len(self.arrived) < len(self.oracle.said))
    @rule(data=st.data())
    def deliver_something_missing(self, data: st.DataObject) -> None:
        missing = [n for n in range(len(self.oracle.said)) if n not in self.arrived]
        self.arrive(data.draw(st.sampled_from(missing)))

    @rule()
    def deliver_everything(self) -> None:
        for number in range(len(self.oracle.said)):
            self.arrive(number)

    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.arrived)))
        receipt = self.verifier.deliver(self.issuer.records[number])
        assert receipt.outcome in (Outcome.DUPLICATE, Outcome.HELD)

    @rule(age=st.sampled_from([0, 0, 0, 3, 30]))
    def beat(self, age: int) -> None:
        iat = self.issuer.now - age
        receipt = self.verifier.deliver(self.issuer.heartbeat(iat=iat))
        if receipt.outcome is Outcome.HEARTBEAT:
            at = self.clock.now()
            self.oracle.heard.append((iat, len(self.issuer.records), at.monotonic, at.wall))
        else:
            assert receipt[:3] == (Outcome.DUPLICATE, "older_heartbeat", ())

    @rule(data=st.data())
    def garbage(self, data: st.DataObject) -> None:
        forgery = data.draw(st.sampled_from([f for f in forgeries(self.issuer) if "replayed" not in f.name]))
        assert self.verifier.deliver(forgery.raw).outcome is Outcome.REFUSED

    def arrive(self, number: int) -> None:
        self.verifier.deliver(self.issuer.records[number])
        self.arrived.add(number)
        while self.oracle.applied in self.arrived:
            self.oracle.applied += 1

    # --- time ---

    @rule(seconds=st.sampled_from([1, 5, 14, 59, 120]))
    def pass_time(self, seconds: int) -> None:
        self.issuer.clock.advance(seconds)
        self.clock.advance(seconds)

    @rule(seconds=st.sampled_from([-100_000, -300, -9, 9, 70, 300]))
    def step_the_wall_clock(self, seconds: int) -> None:
        self.clock.step_wall(seconds)

    @rule()
    def set_the_wall_clock_right(self) -> None:
        self.clock.step_wall(self.issuer.clock.now().wall - self.clock.now().wall)

    # --- what must hold ---

    @invariant()
    def it_decides_as_the_design_says(self) -> None:
        now = self.oracle.now(*self.clock.now())
        complete = self.oracle.applied == len(self.oracle.said)
        for token in self.tokens:
            said, grant = self.decide(token.text)
            must = self.oracle.decide(token, now)
            # With records missing it may know less than the oracle about what vouches for it, never more.
            assert said == must or (must == "ok" and said == "stale" and not complete), (said, must, token)
            if must == "revoked":
                self.dead.add(token.text)
            if said == "ok":
                assert token.text not in self.dead
                assert [grant.allows(p) for p in PERMISSIONS] == [self.oracle.allows(token, p) for p in PERMISSIONS]

    @invariant()
    def it_stands_where_the_oracle_stands(self) -> None:
        core = self.verifier.core
        assert core.head is not None
        assert core.head.position == (1, self.oracle.applied)
        assert {alarm.value for alarm in core.alarms} <= {"clock"}

    def decide(self, text: str) -> tuple[str, Any]:
        try:
            return "ok", self.verifier.verify(text)
        except VerificationError as error:
            return error.code, None


TestAgainstTheOracle = AgainstTheOracle.TestCase

"""The issuer for users' tests: what it says is known when the call returns, wherever the verifier runs."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from ostraka_consumers import (
    ConfigurationError,
    Expired,
    KeyCompromised,
    NotReady,
    PermissionDenied,
    Revoked,
    SourceError,
    Stale,
    UnknownKey,
    VerificationError,
    Verifier,
    WrongAudience,
)
from ostraka_consumers.testing import FakeIssuer, ManualClock, source
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.root import Limits


@pytest.fixture
async def issuer() -> FakeIssuer:
    return FakeIssuer()


@pytest.fixture
async def verifier(issuer: FakeIssuer) -> AsyncIterator[Verifier]:
    async with issuer.verifier() as made:
        yield made


SAYINGS: dict[str, tuple[Callable[[FakeIssuer, str], object], type[VerificationError]]] = {
    "revoke": (lambda issuer, token: issuer.revoke(token), Revoked),
    "revoke_token": (lambda issuer, _: issuer.revoke_token("t", issuer.now + 300), Revoked),
    "revoke_tokens": (lambda issuer, _: issuer.revoke_tokens(("x", 1), ("t", issuer.now + 300)), Revoked),
    "cut_subject": (lambda issuer, _: issuer.cut_subject("alice"), Revoked),
    "cut_session": (lambda issuer, _: issuer.cut_session("alice", "s"), Revoked),
    "cut_client": (lambda issuer, _: issuer.cut_client("web"), Revoked),
    "cut_everyone": (lambda issuer, _: issuer.cut_everyone(), Revoked),
    "revoke_permission": (lambda issuer, _: issuer.revoke_permission("orders:*"), PermissionDenied),
    "keep_only": (lambda issuer, _: issuer.keep_only("alice", "orders:create"), PermissionDenied),
    "compromise": (lambda issuer, _: issuer.compromise(), KeyCompromised),
    "go_stale": (lambda issuer, _: issuer.go_stale(), Stale),
    "advance": (lambda issuer, _: issuer.advance(300), Expired),
    "new epoch": (lambda issuer, _: issuer.adopt_root(issuer.next_root(epoch=2)), VerificationError),
}


@pytest.mark.parametrize("said", SAYINGS)
async def test_what_is_said_is_known_at_once(issuer: FakeIssuer, verifier: Verifier, said: str) -> None:
    say, kind = SAYINGS[said]
    token = issuer.token(jti="t", sid="s")
    waiting = asyncio.create_task(verifier.verify(token).ended("orders:read"))
    await asyncio.sleep(0)
    assert verifier.live == 1
    say(issuer, token)
    with pytest.raises(kind) as refused:
        verifier.verify(token).require("orders:read")
    assert verifier.live == 0
    if said != "new epoch":  # which is told apart from a key that is not known yet
        assert (await waiting).reason == refused.value.code
    if said == "go_stale":
        issuer.cut_subject("bob")
        issuer.come_back()
        with pytest.raises(Revoked):
            verifier.verify(issuer.token(sub="bob", fv=[1, 2]))
    issuer.beat()
    assert verifier.verify(issuer.token(), max_staleness=1).allows("orders:read")
    assert (await waiting).reason in {"revoked", refused.value.code}


async def test_silence_is_not_staleness(issuer: FakeIssuer, verifier: Verifier) -> None:
    token = issuer.token()
    issuer.go_silent()
    issuer.advance(20)
    issuer.cut_everyone()
    assert verifier.verify(token).subject == "alice"
    with pytest.raises(Stale):
        verifier.verify(token, max_staleness=15)
    assert verifier.verify(token, grace="until_exp").subject == "alice"
    late = issuer.verifier(ready_timeout=0.01)
    with pytest.raises(NotReady):
        await late.start()


async def test_keys_change_as_often_as_the_root_document_allows() -> None:
    issuer = FakeIssuer(limits=Limits(token_keys=3))
    async with issuer.verifier() as verifier:
        tokens = []
        for _ in range(6):
            tokens.append(issuer.token())
            issuer.rotate()
            assert verifier.verify(tokens[-1]).subject == "alice"
            assert verifier.verify(issuer.token()).subject == "alice"
        assert [key.state for key in issuer.keys] == ["deactivated", "deactivated", "active"]
        assert verifier.status.alarms == ()
        issuer.compromise()
        assert [key.state for key in issuer.keys] == ["deactivated", "compromised", "active"]


async def test_several_follow_and_one_that_stopped_hears_nothing(issuer: FakeIssuer) -> None:
    clock = issuer.clock
    first, second = issuer.verifier(), Verifier(issuer.anchor, audience="x", sources=[issuer.source()], clock=clock)
    async with first, second:
        issuer.cut_subject("alice")
        with pytest.raises(WrongAudience):
            second.verify(issuer.token())
        assert second.verify(issuer.token(aud="x")).subject == "alice"
        assert first.status.head == second.status.head == issuer.head
    issuer.cut_subject("bob")
    assert first.status.head != issuer.head
    async with issuer.verifier(["a", "b"]) as third:
        assert third.status.head == issuer.head
        with pytest.raises(UnknownKey):
            third.verify(issuer.token(aud="a", key=SigningKey.generate("ES256")))


@pytest.mark.parametrize("token", ["", "a.b", "a.!.c", "a.e30.c", "é.é.é"])
def test_what_is_no_token_is_not_revoked(token: str) -> None:
    with pytest.raises(ConfigurationError, match="takes a token"):
        FakeIssuer().revoke(token)


def test_claims_can_be_left_out() -> None:
    issuer = FakeIssuer(clock=ManualClock(wall=2_000_000_000), audience="billing")
    claims = issuer.claims(sid=None, sub="bob")
    assert "sid" not in claims
    assert (claims["sub"], claims["aud"], claims["iat"]) == ("bob", ["billing"], 2_000_000_000)


# --- other threads ---------------------------------------------------------------------------------------------------


class Elsewhere:
    """A verifier on an event loop in a thread of its own, as a test client's application is."""

    def __init__(self, issuer: FakeIssuer) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.verifier = issuer.verifier()
        asyncio.run_coroutine_threadsafe(self.verifier.start(), self.loop).result(20)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self.verifier.stop(), self.loop).result(20)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(20)
        self.loop.close()


@pytest.fixture
def elsewhere() -> Iterator[tuple[FakeIssuer, Elsewhere]]:
    issuer = FakeIssuer()
    made = Elsewhere(issuer)
    yield issuer, made
    made.close()


def test_a_verifier_in_another_thread_knows_when_the_call_returns(elsewhere: tuple[FakeIssuer, Elsewhere]) -> None:
    issuer, there = elsewhere
    for n in range(200):
        token = issuer.token(sub=f"user {n}")
        assert there.verifier.verify(token).subject == f"user {n}"
        issuer.cut_subject(f"user {n}")
        with pytest.raises(Revoked):
            there.verifier.verify(token)


def test_time_that_passes_ends_grants_in_another_thread(elsewhere: tuple[FakeIssuer, Elsewhere]) -> None:
    issuer, there = elsewhere
    waiting = asyncio.run_coroutine_threadsafe(there.verifier.verify(issuer.token()).ended(), there.loop)
    issuer.beat()  # the task is made
    issuer.beat()  # and has had its first turn
    assert there.verifier.live == 1
    issuer.go_stale()
    assert waiting.result(20).reason == "stale"


def test_a_loop_that_does_not_answer_is_named(
    elsewhere: tuple[FakeIssuer, Elsewhere], monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer, there = elsewhere
    monkeypatch.setattr(source, "TESTING_PATIENCE", 0.01)
    go_on = threading.Event()
    there.loop.call_soon_threadsafe(go_on.wait, 20)
    try:
        with pytest.raises(SourceError, match="does not answer"):
            issuer.cut_everyone()
    finally:
        go_on.set()


def test_between_two_runs_of_a_loop() -> None:
    issuer, loop = FakeIssuer(), asyncio.new_event_loop()
    verifier = issuer.verifier()
    loop.run_until_complete(verifier.start())
    token = issuer.token()
    issuer.cut_everyone()
    with pytest.raises(Revoked):
        verifier.verify(token)
    loop.run_until_complete(verifier.stop())
    loop.close()

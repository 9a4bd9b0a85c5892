import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from ostraka_consumers import (
    ConfigurationError,
    Expired,
    KeyCompromised,
    Malformed,
    NotReady,
    NotYetValid,
    Revoked,
    SourceError,
    Stale,
    UnknownKey,
    Verifier,
)
from ostraka_consumers.clock import SystemClock
from ostraka_consumers.sources.base import FeedSink
from ostraka_consumers.trust.receipt import Outcome
from ostraka_consumers.watchers import Missed
from ostraka_schemas.events import IssuerCutoff
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.records import Position
from tests.support.fake_issuer import FakeIssuer, published
from tests.support.fingerprint import state_fingerprint
from tests.support.verifiers import ListSource, ready_verifier


@pytest.fixture
async def issuer() -> FakeIssuer:
    return FakeIssuer()


@pytest.fixture
async def verifier(issuer: FakeIssuer) -> AsyncIterator[Verifier]:
    made = await ready_verifier(issuer)
    yield made
    await made.stop()


class Scripted:
    """A source that does what it is told."""

    def __init__(self, run: Callable[[FeedSink], Awaitable[None]], name: str = "scripted") -> None:
        self.name = name
        self._run = run

    async def run(self, sink: FeedSink) -> None:
        await self._run(sink)


async def for_ever(sink: FeedSink) -> None:
    sink.report("waiting: nothing there")
    await asyncio.Event().wait()


def others() -> set[asyncio.Task[Any]]:
    """Tasks besides the test's own."""
    return asyncio.all_tasks() - {asyncio.current_task()}


def unready(issuer: FakeIssuer, *sources: Any, timeout: float = 5, **more: Any) -> Verifier:
    return Verifier(
        issuer.anchor, audience="orders", sources=sources, clock=issuer.clock, ready_timeout=timeout, **more
    )


# --- decisions -------------------------------------------------------------------------------------------------------


async def test_a_token_is_good_until_its_subject_is_cut_off(issuer: FakeIssuer, verifier: Verifier) -> None:
    token = issuer.token()
    assert verifier.verify(token).subject == "alice"
    verifier.deliver(issuer.cut_subject("alice"))
    with pytest.raises(Revoked):
        verifier.verify(token)
    assert verifier.verify(issuer.token()).subject == "alice"


@pytest.mark.parametrize("level", ["token", "session", "subject", "client", "everyone"])
@pytest.mark.parametrize("seen", [True, False])
async def test_each_level_cuts_off_what_it_names(
    issuer: FakeIssuer, verifier: Verifier, level: str, seen: bool
) -> None:
    token, other = issuer.token(jti="t", sid="s"), issuer.token(sub="bob", client_id="cron")
    if seen:
        verifier.verify(token)
    verifier.deliver(
        {
            "token": lambda: issuer.revoke_token("t", issuer.now + 300),
            "session": lambda: issuer.cut_session("alice", "s"),
            "subject": lambda: issuer.cut_subject("alice"),
            "client": lambda: issuer.cut_client("web"),
            "everyone": issuer.cut_everyone,
        }[level]()
    )
    with pytest.raises(Revoked):
        verifier.verify(token)
    if level == "everyone":
        with pytest.raises(Revoked):
            verifier.verify(other)
    else:
        assert verifier.verify(other).subject == "bob"


async def test_what_was_seen_before_is_remembered_and_still_asked_about(issuer: FakeIssuer, verifier: Verifier) -> None:
    token = issuer.token()
    grant = verifier.verify(token)
    assert verifier.verify(token) is grant
    assert verifier.verify(token.encode()) is not grant
    assert verifier.status.remembered == 2
    issuer.clock.advance(14)
    verifier.deliver(issuer.heartbeat())
    assert verifier.verify(token, max_staleness=0).claims is grant.claims
    issuer.clock.advance(61)
    with pytest.raises(Stale):
        verifier.verify(token)
    issuer.clock.advance(300)
    with pytest.raises(Expired):
        verifier.verify(token)


async def test_a_strict_route_bears_less_staleness(issuer: FakeIssuer, verifier: Verifier) -> None:
    token = issuer.token()
    issuer.clock.advance(16)
    for _ in ("new", "seen before"):
        with pytest.raises(Stale):
            verifier.verify(token, max_staleness=15)
        with pytest.raises(Stale):
            verifier.verify(token, max_staleness=float("nan"))
        assert verifier.verify(token, max_staleness=16).subject == "alice"


async def test_what_is_refused_is_not_remembered_and_betrays_nothing(issuer: FakeIssuer, verifier: Verifier) -> None:
    old = issuer.token()
    verifier.deliver(issuer.cut_everyone())
    before = state_fingerprint(verifier)
    for token in (old, issuer.token(fv=[1, 99], exp=issuer.now - 1, iat=issuer.now - 50)):
        with pytest.raises((Revoked, Expired)):
            verifier.verify(token)
    assert verifier.status.remembered == 0
    assert state_fingerprint(verifier) == before


@pytest.mark.parametrize("remember", [0, 1, 1_000])
async def test_a_key_that_changed_is_asked_again_about_tokens_seen_before(remember: int) -> None:
    issuer = FakeIssuer()
    verifier = await ready_verifier(issuer, remember=remember)
    token, key = issuer.token(), issuer.token_key
    verifier.verify(token)
    for state in ("deactivated", "active"):
        verifier.deliver(issuer.publish_keys(published(key, now=issuer.now, state=state)))
        assert verifier.verify(token).subject == "alice"
    verifier.deliver(issuer.publish_keys(published(key, now=issuer.now, lifetime=60)))
    with pytest.raises(Malformed):
        verifier.verify(token)
    verifier.deliver(issuer.publish_keys(published(key, now=issuer.now, nbf=issuer.now + 60)))
    with pytest.raises(UnknownKey):
        verifier.verify(token)
    verifier.deliver(issuer.publish_keys(published(key, now=issuer.now, state="compromised")))
    with pytest.raises(KeyCompromised):
        verifier.verify(token)
    verifier.deliver(issuer.publish_keys(published(key, now=issuer.now)))
    with pytest.raises(KeyCompromised):
        verifier.verify(token)
    await verifier.stop()


async def test_another_key_under_the_same_name_does_not_keep_the_old_keys_tokens_alive(
    issuer: FakeIssuer, verifier: Verifier
) -> None:
    token = issuer.token()
    verifier.verify(token)
    renamed = SigningKey.from_private(SigningKey.generate("ES256").private, "ES256", kid=issuer.token_key.kid)
    verifier.deliver(issuer.publish_keys(published(renamed, now=issuer.now)))
    with pytest.raises(Exception, match="signature"):
        verifier.verify(token)
    assert verifier.verify(issuer.token(key=renamed)).subject == "alice"


async def test_a_grant_loses_what_is_taken_away_later(issuer: FakeIssuer, verifier: Verifier) -> None:
    grant = verifier.verify(issuer.token(permissions=["orders:*", "reports:read"]))
    verifier.deliver(issuer.revoke_permission("orders:create"))
    assert grant.permissions == ("reports:read",)
    assert grant.allows("orders:read")
    assert not grant.allows("orders:create")
    verifier.deliver(issuer.keep_only("alice", "orders:*"))
    assert [grant.allows(p) for p in ("reports:read", "orders:read", "orders:create")] == [False, True, False]


async def test_refused_tokens_are_counted_by_reason(issuer: FakeIssuer, verifier: Verifier) -> None:
    for token in ("", "x", issuer.token(key=issuer.feed_key)):
        with pytest.raises((Malformed, UnknownKey)):
            verifier.verify(token)
    counters = verifier.status.counters
    assert (counters["token.malformed"], counters["token.unknown_key"]) == (2, 1)


# --- configuration ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"audience": ""},
        {"audience": []},
        {"audience": ["orders", ""]},
        {"sources": []},
        {"max_staleness": 0},
        {"max_staleness": -1},
        {"max_staleness": float("nan")},
    ],
    ids=str,
)
def test_what_cannot_work_is_refused_at_once(changes: dict[str, Any]) -> None:
    settings = {"audience": "orders", "sources": [ListSource([])], **changes}
    with pytest.raises(ConfigurationError):
        Verifier(FakeIssuer().anchor, **settings)


def test_the_systems_clock_is_the_default() -> None:
    verifier = Verifier(FakeIssuer().anchor, audience=["orders", "billing"], sources=[ListSource([])])
    assert isinstance(verifier.clock, SystemClock)
    assert verifier.audiences == {"orders", "billing"}


# --- life ------------------------------------------------------------------------------------------------------------


async def test_it_can_be_used_as_a_context_and_leaves_no_task(issuer: FakeIssuer) -> None:
    async with unready(issuer, ListSource([*issuer.open(), issuer.heartbeat()])) as verifier:
        assert verifier.status.ready
        assert verifier.verify(issuer.token()).subject == "alice"
        assert len(others()) == 1
    assert others() == set()
    with pytest.raises(NotReady, match="not running"):
        verifier.verify(issuer.token())


async def test_before_the_start_nothing_is_decided(issuer: FakeIssuer) -> None:
    verifier = unready(issuer, ListSource([]))
    with pytest.raises(NotReady, match="trust anchor"):
        verifier.verify(issuer.token() if issuer.open() else "")
    assert verifier.status.waiting_for is not None


@pytest.mark.parametrize(
    ("count", "beat", "said"),
    [(0, False, "trust anchor"), (1, False, "no key set"), (2, False, "no heartbeat"), (2, True, "the feed is at 1:3")],
)
async def test_who_never_becomes_ready_says_what_is_missing_and_what_the_sources_do(
    issuer: FakeIssuer, count: int, beat: bool, said: str
) -> None:
    issuer.open()
    issuer.cut_subject("bob")
    source = ListSource([*issuer.records[:count], *([issuer.heartbeat()] if beat else [])])
    verifier = unready(issuer, source, Scripted(for_ever), timeout=0.01)
    with pytest.raises(NotReady) as refusal:
        await verifier.start()
    text = str(refusal.value)
    assert text.startswith("not ready after 0.01 s: ")
    assert said in text
    assert "(list: reading; scripted: waiting: nothing there)" in text
    assert others() == set()
    assert not verifier.status.ready


async def test_a_copy_of_the_feed_from_yesterday_does_not_make_it_ready(issuer: FakeIssuer) -> None:
    old = [*issuer.open(), issuer.heartbeat()]
    issuer.clock.advance(24 * 3600)
    with pytest.raises(NotReady, match="too old"):
        await unready(issuer, ListSource(old), timeout=0.01).start()


async def test_one_good_source_is_enough(issuer: FakeIssuer) -> None:
    async def ends(sink: FeedSink) -> None:
        sink.report("done")

    good = ListSource([*issuer.open(), issuer.heartbeat()])
    async with unready(issuer, Scripted(ends), good) as verifier:
        assert verifier.verify(issuer.token()).subject == "alice"


async def test_if_every_source_ends_there_is_nothing_to_wait_for(issuer: FakeIssuer) -> None:
    async def ends(sink: FeedSink) -> None:
        sink.deliver(b"")

    with pytest.raises(NotReady):
        await unready(issuer, Scripted(ends), timeout=3_600).start()
    assert others() == set()


async def test_a_source_that_can_never_work_ends_the_start_with_its_error(issuer: FakeIssuer) -> None:
    async def broken(sink: FeedSink) -> None:
        raise SourceError("topic 'x' has 3 partitions")

    verifier = unready(issuer, Scripted(for_ever, "other"), Scripted(broken), timeout=3_600)
    with pytest.raises(SourceError, match="3 partitions"):
        await verifier.start()
    assert others() == set()
    assert verifier.status.sources["scripted"].state == "ended: topic 'x' has 3 partitions"


@pytest.mark.parametrize("surprise", [ZeroDivisionError("a secret"), asyncio.CancelledError()])
async def test_a_source_that_breaks_is_run_again_after_a_pause(
    issuer: FakeIssuer, caplog: pytest.LogCaptureFixture, surprise: BaseException
) -> None:
    runs = 0
    states: list[str] = []
    pauses: list[float] = []

    async def buggy(sink: FeedSink) -> None:
        nonlocal runs
        runs += 1
        if runs > 1:
            states.append(watched.status.sources["scripted"].state)
        if runs <= 8:
            raise surprise
        for raw in (*issuer.open(), issuer.heartbeat()):
            sink.deliver(raw)
        await asyncio.Event().wait()

    def jitter(most: float) -> float:
        pauses.append(most)
        return 0.0

    watched = unready(issuer, Scripted(buggy), jitter=jitter)
    await watched.start()
    assert watched.verify(issuer.token()).subject == "alice"
    await watched.stop()
    assert others() == set()
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]
    assert set(states) == {f"broke: {type(surprise).__name__}; it is run again"}
    assert caplog.text.count("source scripted broke") == 1


async def test_a_source_that_breaks_after_it_ran_well_is_logged_again(
    issuer: FakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    broke = asyncio.Event()
    pauses: list[float] = []

    async def buggy(sink: FeedSink) -> None:
        if len(pauses) == 2:
            issuer.clock.advance(60)
        if len(pauses) == 3:
            broke.set()
            await asyncio.Event().wait()
        raise ZeroDivisionError

    def jitter(most: float) -> float:
        pauses.append(most)
        return 0.0

    verifier = unready(issuer, Scripted(buggy), jitter=jitter)
    starting = asyncio.create_task(verifier.start())
    await asyncio.wait_for(broke.wait(), 10)
    await verifier.stop()
    with pytest.raises(NotReady):
        await starting
    assert pauses == [1, 2, 1]
    assert caplog.text.count("source scripted broke") == 2


async def test_a_source_that_only_breaks_ends_the_start_when_its_time_is_up(issuer: FakeIssuer) -> None:
    async def buggy(sink: FeedSink) -> None:
        raise ZeroDivisionError("a secret")

    with pytest.raises(NotReady, match="scripted: broke: ZeroDivisionError; it is run again") as error:
        await unready(issuer, Scripted(buggy), timeout=0.01).start()
    assert "secret" not in str(error.value)
    assert others() == set()


async def test_a_source_that_fails_later_is_reported_and_decisions_go_on(
    issuer: FakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    fail = asyncio.Event()

    async def fails(sink: FeedSink) -> None:
        for raw in (*issuer.open(), issuer.heartbeat()):
            sink.deliver(raw)
        await fail.wait()
        raise SourceError("gone for good")

    verifier = unready(issuer, Scripted(fails))
    await verifier.start()
    fail.set()
    await asyncio.wait(verifier._tasks)
    assert verifier.verify(issuer.token()).subject == "alice"
    assert verifier.status.sources["scripted"].state == "ended: gone for good"
    await verifier.stop()
    assert "gone for good" in caplog.text


async def test_stopping_twice_or_before_the_start_is_no_mistake(issuer: FakeIssuer) -> None:
    verifier = unready(issuer, ListSource([*issuer.open(), issuer.heartbeat()]))
    await verifier.stop()
    await verifier.start()
    await verifier.stop()
    await verifier.stop()
    assert others() == set()


async def test_starting_twice_is_a_mistake(issuer: FakeIssuer, verifier: Verifier) -> None:
    with pytest.raises(ConfigurationError, match="running"):
        await verifier.start()
    assert verifier.verify(issuer.token()).subject == "alice"


async def test_it_can_be_started_again_and_becomes_ready_with_the_next_heartbeat(issuer: FakeIssuer) -> None:
    class Beating(ListSource):
        async def run(self, sink: FeedSink) -> None:
            issuer.clock.advance(5)
            sink.deliver(issuer.heartbeat())
            await super().run(sink)

    verifier = unready(issuer, Beating(issuer.open()))
    for _ in range(2):
        with pytest.raises(NotReady):
            verifier.verify("")
        await verifier.start() if verifier.core.head else await _first_start(verifier, issuer)
        assert verifier.verify(issuer.token()).subject == "alice"
        await verifier.stop()


async def _first_start(verifier: Verifier, issuer: FakeIssuer) -> None:
    starting = asyncio.create_task(verifier.start())
    while verifier.core.head is None or verifier.core.head.position.seq < 2:
        await asyncio.sleep(0)
    issuer.clock.advance(5)
    verifier.deliver(issuer.heartbeat())
    await starting


async def test_what_is_delivered_to_a_stopped_verifier_does_not_make_it_ready(issuer: FakeIssuer) -> None:
    verifier = await ready_verifier(issuer)
    await verifier.stop()
    issuer.clock.advance(5)
    assert verifier.deliver(issuer.heartbeat()).outcome is Outcome.HEARTBEAT
    with pytest.raises(NotReady, match="not running"):
        verifier.verify(issuer.token())


async def test_a_start_that_is_cancelled_leaves_no_task(issuer: FakeIssuer) -> None:
    verifier = unready(issuer, Scripted(for_ever))
    starting = asyncio.create_task(verifier.start())
    while not verifier._tasks:
        await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert others() == set()


async def test_a_stop_that_is_cancelled_leaves_nothing_that_decides(issuer: FakeIssuer) -> None:
    leaving, leave = asyncio.Event(), asyncio.Event()

    async def slow_to_end(sink: FeedSink) -> None:
        for raw in (*issuer.open(), issuer.heartbeat()):
            sink.deliver(raw)
        try:
            await asyncio.Event().wait()
        finally:
            leaving.set()
            await leave.wait()

    verifier = unready(issuer, Scripted(slow_to_end))
    await verifier.start()
    stopping = asyncio.create_task(verifier.stop())
    await leaving.wait()
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    with pytest.raises(NotReady):
        verifier.verify(issuer.token())
    assert others() == set()


# --- what sources and people see -------------------------------------------------------------------------------------


async def test_a_token_refused_for_coming_from_the_future_leaves_no_trace(
    issuer: FakeIssuer, verifier: Verifier
) -> None:
    token = issuer.token(fv=[1, 2**53 - 1], iat=issuer.now + 1_000, nbf=issuer.now + 1_000, exp=issuer.now + 1_300)
    with pytest.raises(NotYetValid):
        verifier.verify(token)
    assert verifier.status.freshness == "fresh"


async def test_stop_ends_a_start_that_is_under_way(issuer: FakeIssuer) -> None:
    verifier = unready(issuer, Scripted(for_ever))
    starting = asyncio.create_task(verifier.start())
    await asyncio.sleep(0)
    with pytest.raises(ConfigurationError, match="running already"):
        await verifier.start()
    await verifier.stop()
    with pytest.raises(NotReady, match="stopped"):
        await starting
    assert others() == set()


async def test_whoever_is_cancelled_while_it_starts_is_cancelled(issuer: FakeIssuer) -> None:
    verifier = unready(issuer, Scripted(for_ever))
    starting = asyncio.create_task(verifier.start())
    await asyncio.sleep(0.01)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert others() == set()


def test_one_verifier_lives_in_one_event_loop_after_the_other(issuer: FakeIssuer) -> None:
    verifier = unready(issuer, Scripted(for_ever))

    async def live() -> None:
        async with verifier:
            raise AssertionError("nothing makes it ready")

    for _ in range(2):
        with pytest.raises(NotReady):
            asyncio.run(live())


async def test_grace_is_given_to_whoever_asks_while_there_is_no_news_until_the_token_ends(
    issuer: FakeIssuer, verifier: Verifier, caplog: pytest.LogCaptureFixture
) -> None:
    token = issuer.token()
    issuer.clock.advance(61)
    with pytest.raises(Stale):
        verifier.verify(token)
    for _ in range(3):
        assert verifier.verify(token, grace="until_exp").subject == "alice"
    issuer.clock.advance(11)
    assert verifier.verify(token, max_staleness=15, grace="until_exp").subject == "alice"
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 2
    assert all("by grace" in warning and token not in warning for warning in warnings)
    assert verifier.status.counters["token.grace"] == 4
    issuer.clock.advance(300)
    with pytest.raises(Expired):
        verifier.verify(token, grace="until_exp")


async def test_grace_forgives_silence_and_nothing_else(issuer: FakeIssuer, verifier: Verifier) -> None:
    dead, good = issuer.token(sub="mallory"), issuer.token()
    verifier.deliver(issuer.cut_subject("mallory"))
    issuer.clock.advance(61)
    with pytest.raises(Revoked):
        verifier.verify(dead, grace="until_exp")
    assert verifier.verify(good, grace="until_exp").subject == "alice"
    other = issuer.sign(IssuerCutoff(), seq=3, prev=bytes(32))
    assert verifier.deliver(other).outcome is Outcome.EQUIVOCATION
    with pytest.raises(Stale):
        verifier.verify(good, grace="until_exp")
    with pytest.raises(NotReady):
        unready(issuer, ListSource([])).verify(good, grace="until_exp")


async def test_a_reader_of_changes_is_told_that_a_snapshot_took_the_place_of_records(
    issuer: FakeIssuer, verifier: Verifier
) -> None:
    ahead = await ready_verifier(issuer)
    changes = verifier.changes()
    following = asyncio.ensure_future(anext(changes))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(verifier.wait_for(Position(1, 4), 60))
    await asyncio.sleep(0)
    for name in ("a", "b"):
        ahead.deliver(issuer.cut_subject(name))
    assert ahead.core.state is not None
    for raw in (*issuer.snapshot(ahead.core.state), issuer.heartbeat(iat=issuer.now + 1)):
        verifier.deliver(raw)
    await ahead.stop()
    assert await waiting
    with pytest.raises(Missed, match="snapshot"):
        await following


async def test_an_alarm_is_logged_once(
    issuer: FakeIssuer, verifier: Verifier, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        verifier.deliver(issuer.heartbeat(iat=issuer.now + 100))
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == [
        f"alarm clock at feed position {issuer.head}"
    ]
    assert verifier.status.alarms == ("clock",)


async def test_the_status_is_all_there_is_to_see(issuer: FakeIssuer, verifier: Verifier) -> None:
    for raw in (issuer.cut_subject("bob"), issuer.revoke_token("t", issuer.now + 9), issuer.revoke_permission("a:b")):
        verifier.deliver(raw)
    verifier.verify(issuer.token())
    issuer.clock.advance(4)
    assert verifier.status.to_dict() == {
        "ready": True,
        "waiting_for": None,
        "freshness": "fresh",
        "age": 4.0,
        "head": [1, 5],
        "known_head": [1, 5],
        "alarms": [],
        "counters": {"applied": 5, "records": 5, "heartbeat": 1},
        "sources": {
            "list": {
                "state": "reading",
                "silence": 4.0,
                "delivered": {"applied": 2, "heartbeat": 1},
                "furthest": [1, 2],
                "withholds": False,
            }
        },
        "denied": 1,
        "cutoffs": 1,
        "narrowings": 1,
        "keys": 1,
        "remembered": 1,
        "live": 0,
        "persisted": None,
    }
    assert unready(issuer, ListSource([])).status.to_dict()["head"] is None


async def test_waiting_for_a_position(issuer: FakeIssuer, verifier: Verifier) -> None:
    assert await verifier.wait_for(Position(1, 2), 0)
    assert not await verifier.wait_for(Position(1, 3), 0)
    waiting = [asyncio.create_task(verifier.wait_for(Position(1, seq), 60)) for seq in (3, 4)]
    await asyncio.sleep(0)
    verifier.deliver(issuer.cut_subject("a"))
    assert await waiting[0]
    assert not waiting[1].done()
    waiting[1].cancel()
    await asyncio.gather(waiting[1], return_exceptions=True)
    assert verifier._watchers._waiting == []


async def test_changes_are_those_from_now_on(issuer: FakeIssuer, verifier: Verifier) -> None:
    changes = verifier.changes()
    verifier.deliver(issuer.cut_subject("a"))
    verifier.deliver(issuer.heartbeat())
    verifier.deliver(issuer.cut_subject("b"))
    assert [(await anext(changes)).position.seq for _ in range(2)] == [3, 4]

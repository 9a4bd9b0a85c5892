"""Grants that are watched, on an event loop: what is told, what is cancelled, and what is left alone."""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from ostraka_consumers import (
    ConfigurationError,
    Ending,
    Expired,
    Grant,
    KeyCompromised,
    NotReady,
    PermissionDenied,
    Requirement,
    Revoked,
    Stale,
    TooManyGrants,
    UnknownKey,
    VerificationError,
    Verifier,
    any_of,
    limits,
    live,
)
from ostraka_consumers.clock import SystemClock
from ostraka_consumers.sources.base import FeedSink
from ostraka_consumers.trust.live import Held
from ostraka_schemas.jwk import SigningKey
from tests.support.fake_issuer import FakeIssuer, published
from tests.support.verifiers import ListSource, ready_verifier


@pytest.fixture
async def issuer() -> FakeIssuer:
    return FakeIssuer()


@pytest.fixture
async def verifier(issuer: FakeIssuer) -> AsyncIterator[Verifier]:
    made = await ready_verifier(issuer)
    yield made
    await made.stop()
    assert made.live == 0


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)


async def started(
    verifier: Verifier, *grants: Grant, requires: Sequence[str | Requirement] = ()
) -> list[asyncio.Task[Ending]]:
    """A task each that waits for the end."""
    before = verifier.live
    tasks = [asyncio.create_task(grant.ended(*requires)) for grant in grants]
    await until(lambda: verifier.live == before + len(grants))
    return tasks


async def ending(task: asyncio.Task[Ending]) -> Ending:
    async with asyncio.timeout(20):
        return await task


class Body:
    """The body of a watch, and what became of it."""

    def __init__(self, grant: Grant, *requires: str, then: Exception | str | None = None) -> None:
        self.said: list[str] = []
        self._requires = requires
        self._grant = grant
        self._then = then
        self.go_on = asyncio.Event()

    async def run(self) -> str:
        async with self._grant.watched(*self._requires) as grant:
            assert grant is self._grant
            self.said.append("began")
            try:
                await self.go_on.wait()
            except asyncio.CancelledError:
                self.said.append("cancelled")
                if self._then is None:
                    raise
                if isinstance(self._then, Exception):
                    raise self._then from None
                return self._then
            finally:
                self.said.append("cleaned up")
        return "ended by itself"


async def begun(verifier: Verifier, body: Body) -> asyncio.Task[str]:
    task = asyncio.create_task(body.run())
    await until(lambda: body.said == ["began"])
    return task


# --- ended -----------------------------------------------------------------------------------------------------------


def advance(issuer: FakeIssuer, seconds: float, beat: bool) -> bytes:
    issuer.clock.advance(seconds)
    return issuer.heartbeat() if beat else b""


def compromised(issuer: FakeIssuer) -> bytes:
    return issuer.publish_keys(published(issuer.token_key, now=issuer.now, state="compromised"))


ENDINGS: dict[str, tuple[Callable[[FakeIssuer], bytes], type[VerificationError]]] = {
    "revoked": (lambda issuer: issuer.cut_subject("alice"), Revoked),
    "permission_denied": (lambda issuer: issuer.revoke_permission("orders:create"), PermissionDenied),
    "expired": (lambda issuer: advance(issuer, 300, True), Expired),
    "stale": (lambda issuer: advance(issuer, 61, False), Stale),
    "key_compromised": (compromised, KeyCompromised),
    "unknown_key": (
        lambda issuer: issuer.publish_keys(published(SigningKey.generate("ES256"), now=issuer.now)),
        UnknownKey,
    ),
}


@pytest.mark.parametrize("reason", ENDINGS)
async def test_it_says_why_it_ended_and_the_body_hears_the_same(
    issuer: FakeIssuer, verifier: Verifier, reason: str
) -> None:
    said, kind = ENDINGS[reason]
    text = issuer.token()
    grant = verifier.verify(text)
    (task,) = await started(verifier, grant, requires=["orders:create"])
    body = Body(grant, "orders:create")
    watching = await begun(verifier, body)
    assert (verifier.live, verifier.status.live) == (2, 2)
    verifier.deliver(said(issuer))
    told = await ending(task)
    assert told.reason == reason
    with pytest.raises(kind) as caught:
        await watching
    assert isinstance(caught.value.__cause__, asyncio.CancelledError)
    assert str(caught.value) == told.detail
    assert text not in repr(told)
    assert body.said == ["began", "cancelled", "cleaned up"]
    error = told.error()
    assert (type(error), str(error)) == (kind, told.detail)
    assert verifier.live == 0
    # Whoever comes too late hears it at once.
    assert (await grant.ended("orders:create")).reason == reason
    with pytest.raises(kind):
        async with grant.watched("orders:create"):
            pytest.fail("it had ended")
    assert verifier.live == 0


async def test_a_stopped_verifier_ends_them_and_watches_none(issuer: FakeIssuer, verifier: Verifier) -> None:
    grant = verifier.verify(issuer.token())
    (task,) = await started(verifier, grant)
    watching = await begun(verifier, Body(grant))
    await verifier.stop()
    assert await ending(task) == Ending("closed", "the verifier was stopped")
    with pytest.raises(NotReady, match="stopped"):
        await watching
    assert isinstance((await grant.ended()).error(), NotReady)
    with pytest.raises(NotReady, match="not running"):
        async with grant.watched():
            pytest.fail("nobody watches")


async def test_a_body_may_stop_its_own_verifier(issuer: FakeIssuer, verifier: Verifier) -> None:
    with pytest.raises(NotReady, match="stopped"):
        async with verifier.verify(issuer.token()).watched():
            await verifier.stop()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_each_is_held_to_what_its_own_question_asked(issuer: FakeIssuer, verifier: Verifier) -> None:
    token = issuer.token()
    strict, ever, grace, asked = (
        verifier.verify(token, max_staleness=15),
        verifier.verify(token),
        verifier.verify(token, grace="until_exp"),
        verifier.verify(token),
    )
    assert asked is ever
    tasks = await started(verifier, strict, ever, grace)
    tasks += await started(verifier, asked, requires=["orders:read", any_of("orders:create", "orders:read")])
    verifier.deliver(issuer.revoke_permission("orders:create"))
    assert not any(task.done() for task in tasks)
    verifier.deliver(issuer.revoke_permission("orders:read"))
    assert (await ending(tasks[3])).detail == "this needs the permission orders:read"
    verifier.deliver(advance(issuer, 20, False))
    assert (await ending(tasks[0])).reason == "stale"
    assert verifier.live == 2
    verifier.deliver(advance(issuer, 45, False))
    assert (await ending(tasks[1])).reason == "stale"
    verifier.deliver(advance(issuer, 300, False))
    assert (await ending(tasks[2])).reason == "expired"


@pytest.mark.parametrize("wrong", ["orders", "", None, ("orders:read",)])
async def test_what_is_no_permission_cannot_be_required(issuer: FakeIssuer, verifier: Verifier, wrong: Any) -> None:
    grant = verifier.verify(issuer.token())
    with pytest.raises(ConfigurationError, match="is not a permission"):
        await grant.ended("orders:read", wrong)
    with pytest.raises(ConfigurationError, match="is not a permission"):
        grant.watched(wrong)


async def test_what_is_not_allowed_is_not_watched(issuer: FakeIssuer, verifier: Verifier) -> None:
    grant = verifier.verify(issuer.token())
    assert await grant.ended("reports:read") == Ending("permission_denied", "this needs the permission reports:read")
    with pytest.raises(PermissionDenied):
        async with grant.watched("reports:read"):
            pytest.fail("it does not allow that")


async def test_who_gives_up_waiting_costs_nothing_more(issuer: FakeIssuer, verifier: Verifier) -> None:
    tasks = await started(verifier, *(verifier.verify(issuer.token()) for _ in range(3)))
    tasks[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    assert verifier.live == 2
    # Told and cancelled in the same turn of the loop.
    verifier.deliver(issuer.cut_everyone())
    tasks[1].cancel()
    assert (await ending(tasks[2])).reason == "revoked"
    await asyncio.gather(*tasks, return_exceptions=True)
    assert verifier.live == 0


async def test_there_is_a_bound(issuer: FakeIssuer, verifier: Verifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LIVE_GRANTS_MAX", 2)
    grant = verifier.verify(issuer.token())
    tasks = await started(verifier, grant, grant)
    with pytest.raises(TooManyGrants, match="2 grants are watched already"):
        await grant.ended()
    with pytest.raises(TooManyGrants):
        async with grant.watched():
            pytest.fail("no room")
    tasks[0].cancel()
    await until(lambda: verifier.live == 1)
    async with grant.watched():
        assert verifier.live == 2
    tasks[1].cancel()


# --- watched ---------------------------------------------------------------------------------------------------------


async def test_a_body_that_ends_by_itself_is_left_alone(issuer: FakeIssuer, verifier: Verifier) -> None:
    body = Body(verifier.verify(issuer.token()))
    task = await begun(verifier, body)
    body.go_on.set()
    assert await task == "ended by itself"
    assert verifier.live == 0
    verifier.deliver(issuer.cut_everyone())
    # One that hears of the end itself, in its last step.
    async with verifier.verify(issuer.token()).watched():
        verifier.deliver(issuer.cut_everyone())
    await asyncio.sleep(0)
    current = asyncio.current_task()
    assert current is not None
    assert current.cancelling() == 0


async def test_a_body_that_brings_the_news_itself_is_cancelled_where_it_waits(
    issuer: FakeIssuer, verifier: Verifier
) -> None:
    steps = []

    async def body() -> None:
        async with verifier.verify(issuer.token()).watched():
            verifier.deliver(issuer.cut_everyone())
            steps.append("went on")
            await asyncio.Event().wait()

    with pytest.raises(Revoked):
        await body()
    assert steps == ["went on"]


async def test_another_error_of_the_body_is_its_own(issuer: FakeIssuer, verifier: Verifier) -> None:
    task = await begun(verifier, body := Body(verifier.verify(issuer.token()), then=KeyError("mine")))
    verifier.deliver(issuer.cut_everyone())
    with pytest.raises(KeyError, match="mine"):
        await task
    assert body.said == ["began", "cancelled", "cleaned up"]
    with pytest.raises(KeyError, match="before"):
        async with verifier.verify(issuer.token()).watched():
            raise KeyError("before")


async def test_a_body_that_makes_light_of_it_is_not_believed(issuer: FakeIssuer, verifier: Verifier) -> None:
    task = await begun(verifier, Body(verifier.verify(issuer.token()), then="nothing happened"))
    verifier.deliver(issuer.cut_everyone())
    with pytest.raises(Revoked):
        await task
    assert task.cancelling() == 0


@pytest.mark.parametrize("first", ["outside", "end"])
async def test_a_cancellation_from_outside_stays_one(issuer: FakeIssuer, verifier: Verifier, first: str) -> None:
    body = Body(verifier.verify(issuer.token()))
    task = await begun(verifier, body)
    for what in ("outside", "end") if first == "outside" else ("end", "outside"):
        if what == "outside":
            task.cancel()
        else:
            verifier.deliver(issuer.cut_everyone())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
    assert body.said == ["began", "cancelled", "cleaned up"]


async def test_a_cancellation_alone_is_none_of_ours(issuer: FakeIssuer, verifier: Verifier) -> None:
    task = await begun(verifier, Body(verifier.verify(issuer.token())))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert verifier.live == 0


async def test_watches_and_timeouts_within_each_other(issuer: FakeIssuer, verifier: Verifier) -> None:
    alice, bob = verifier.verify(issuer.token()), verifier.verify(issuer.token(sub="bob"))

    async def both() -> None:
        async with alice.watched(), asyncio.timeout(60), bob.watched():
            await asyncio.Event().wait()

    for cut, kind in (("bob", Revoked), ("alice", Revoked)):
        task = asyncio.create_task(both())
        await until(lambda: verifier.live == 2)
        verifier.deliver(issuer.cut_subject(cut))
        with pytest.raises(kind, match="the subject is cut off"):
            await task
        assert task.cancelling() == 0
        bob = verifier.verify(issuer.token(sub="bob"))
    alice, bob = verifier.verify(issuer.token()), verifier.verify(issuer.token(sub="bob"))
    task = asyncio.create_task(both())
    await until(lambda: verifier.live == 2)
    verifier.deliver(issuer.cut_everyone())
    with pytest.raises(Revoked):
        await task
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01), verifier.verify(issuer.token()).watched():
            await asyncio.Event().wait()


async def test_a_watch_is_for_one_body(issuer: FakeIssuer, verifier: Verifier) -> None:
    watch = verifier.verify(issuer.token()).watched()
    async with watch:
        with pytest.raises(ConfigurationError, match="entered already"):
            await watch.__aenter__()
    assert verifier.live == 0


# --- who and where ---------------------------------------------------------------------------------------------------


async def test_another_loop_or_thread_is_refused_in_words(issuer: FakeIssuer, verifier: Verifier) -> None:
    grant = verifier.verify(issuer.token())
    found: list[BaseException] = []

    async def watch() -> None:
        async with grant.watched():
            pytest.fail("it is another loop's")

    def elsewhere() -> None:
        for work in (grant.ended, watch):
            try:
                asyncio.run(work())
            except ConfigurationError as error:
                found.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    await asyncio.to_thread(thread.join)
    assert [str(error).startswith("a grant is watched on the event loop that its verifier") for error in found] == [
        True,
        True,
    ]
    assert verifier.live == 0


async def test_news_that_another_thread_hands_in_end_them_on_their_loop(issuer: FakeIssuer, verifier: Verifier) -> None:
    (task,) = await started(verifier, verifier.verify(issuer.token()))
    raw = issuer.cut_everyone()
    await asyncio.to_thread(verifier.deliver, raw)
    assert (await ending(task)).reason == "revoked"


async def test_a_grant_of_no_verifier_is_not_watched(issuer: FakeIssuer, verifier: Verifier) -> None:
    genuine = verifier.reader.read(issuer.token(), verifier.core.keys)
    with pytest.raises(ConfigurationError, match="not given by a verifier"):
        await Grant(verifier.core, genuine).ended()


def test_each_life_of_a_verifier_has_a_loop_of_its_own() -> None:
    issuer = FakeIssuer()
    issuer.open()

    class Beating:
        name = "beating"

        async def run(self, sink: FeedSink) -> None:
            issuer.clock.advance(1)
            for raw in [*issuer.records, issuer.heartbeat()]:
                sink.deliver(raw)
            await asyncio.Event().wait()

    verifier = Verifier(issuer.anchor, audience="orders", sources=[Beating()], clock=issuer.clock)

    async def life() -> Ending:
        async with verifier:
            (task,) = await started(verifier, verifier.verify(issuer.token()))
            verifier.deliver(issuer.cut_everyone())
            return await ending(task)

    for _ in range(2):
        assert asyncio.run(life()).reason == "revoked"


async def test_a_loop_that_is_gone_disturbs_nobody(issuer: FakeIssuer) -> None:
    """A program that ended its loop without stopping the verifier may still hand it something."""
    verifier = await ready_verifier(issuer)
    (task,) = await started(verifier, verifier.verify(issuer.token()))
    gone = asyncio.new_event_loop()
    gone.close()
    verifier._watch._loop = gone
    verifier.deliver(issuer.cut_everyone())
    assert not task.done()
    verifier._watch._loop = asyncio.get_running_loop()
    await verifier.stop()
    await ending(task)


# --- time and crowds -------------------------------------------------------------------------------------------------


async def test_the_one_timer_ends_them_by_the_machines_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    issuer = FakeIssuer()
    issuer.clock.step_wall(SystemClock().now().wall - issuer.clock.now().wall)
    issuer.open()
    source = ListSource([*issuer.records, issuer.heartbeat()])
    async with Verifier(issuer.anchor, audience="orders", sources=[source]) as verifier:
        (first,) = await started(verifier, verifier.verify(issuer.token()))
        before = asyncio.all_tasks()
        grants = [verifier.verify(issuer.token(exp=issuer.now + after)) for after in (4, 2, 3)]
        tasks = await started(verifier, *grants)
        assert len(asyncio.all_tasks() - before) == len(tasks), "one timer for all"
        order: list[int] = []
        for n, task in enumerate(tasks):
            task.add_done_callback(lambda _, n=n: order.append(n))  # type: ignore[misc]
        assert {(await ending(task)).reason for task in tasks} == {"expired"}
        assert order == [1, 2, 0]
        first.cancel()


async def test_a_clock_that_was_moved_is_looked_at_when_told(issuer: FakeIssuer, verifier: Verifier) -> None:
    (task,) = await started(verifier, verifier.verify(issuer.token()))
    issuer.clock.advance(61)
    verifier.look()
    assert (await ending(task)).reason == "stale"


async def test_others_have_their_turn_while_everyone_is_cut_off(
    issuer: FakeIssuer, verifier: Verifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = 4 * limits.LIVE_SLICE
    grant = verifier.verify(issuer.token())
    tasks = await started(verifier, *(grant for _ in range(many)))
    turns: list[int] = []

    async def other() -> None:
        while verifier.live:
            turns.append(verifier.live)
            await asyncio.sleep(0)

    verifier.deliver(issuer.cut_everyone())
    assert verifier.live == many - limits.LIVE_SLICE
    await other()
    assert turns == [many - n * limits.LIVE_SLICE for n in (1, 2, 3)]
    assert {(await ending(task)).reason for task in tasks} == {"revoked"}


async def test_what_breaks_the_timer_ends_them_all(
    issuer: FakeIssuer, verifier: Verifier, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    grant = verifier.verify(issuer.token())
    (task,) = await started(verifier, grant)

    def broken(*_: Any) -> float:
        raise ArithmeticError("a mistake")

    monkeypatch.setattr(verifier._watch._grants, "until_next", broken)
    verifier._watch._wake.set()
    assert (await ending(task)).reason == "closed"
    assert "grants can no longer be watched" in caplog.text
    assert (await grant.ended()).reason == "closed"


async def test_a_watch_that_is_over_is_garbage(issuer: FakeIssuer, verifier: Verifier) -> None:
    grant = verifier.verify(issuer.token())
    for _ in range(3):
        async with grant.watched():
            pass
        tasks = await started(verifier, grant)
        tasks[0].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        tasks.clear()
    await asyncio.sleep(0)  # the loop lets go of what it ran last
    gc.collect()
    assert not [thing for thing in gc.get_referrers(grant._token) if isinstance(thing, Held)]


def test_an_ending_in_words() -> None:
    for kind, reason in ((Revoked, "revoked"), (NotReady, "closed"), (UnknownKey, "unknown_key")):
        made = Ending.of(kind("why"))
        assert made == Ending(reason, "why")  # type: ignore[arg-type]
        assert isinstance(made.error(), kind)

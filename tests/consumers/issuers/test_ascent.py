"""Several verifiers start and stop side by side."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from ostraka_consumers import ConfigurationError, MultiIssuerVerifier, NotReady, SourceError, Verifier
from ostraka_consumers.sources.base import FeedSink
from tests.support.fake_issuer import ISSUER, FakeIssuer
from tests.support.several import PARTNER, Twins, token_of


class Door:
    """A source that brings nothing until it is opened."""

    name = "door"

    def __init__(self, issuer: FakeIssuer) -> None:
        self.opened = asyncio.Event()
        self.runs = 0
        self._source = issuer.source()

    async def run(self, sink: FeedSink) -> None:
        self.runs += 1
        await self.opened.wait()
        await self._source.run(sink)


class Useless:
    name = "useless"

    async def run(self, sink: FeedSink) -> None:
        raise SourceError("it can never work")


def following(issuer: FakeIssuer, source: Any, timeout: float = 0.01) -> Verifier:
    return Verifier(issuer.anchor, audience="orders", sources=[source], clock=issuer.clock, ready_timeout=timeout)


def idle(verifier: MultiIssuerVerifier) -> bool:
    return verifier._ascent is None and not any(inner._tasks for inner in verifier._verifiers)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


async def test_all_are_needed_unless_said_otherwise() -> None:
    twins = Twins()
    verifier = MultiIssuerVerifier([twins.ours.verifier(), following(twins.partner, Door(twins.partner))])
    with pytest.raises(NotReady, match=f"^{PARTNER}: not ready after"):
        await verifier.start()
    assert idle(verifier)
    assert not verifier.status.ready


async def test_meanwhile_those_that_are_ready_decide() -> None:
    twins = Twins()
    door = Door(twins.partner)
    verifier = MultiIssuerVerifier([twins.ours.verifier(), following(twins.partner, door, 10)])
    starting = asyncio.create_task(verifier.start())
    await until(lambda: verifier.of(ISSUER).status.ready)
    assert verifier.verify(token_of(twins.ours)).issuer == ISSUER
    with pytest.raises(NotReady):
        verifier.verify(token_of(twins.partner))
    assert verifier.status.to_dict()["ready"] is False
    door.opened.set()
    await starting
    assert verifier.status.ready
    assert verifier.verify(token_of(twins.partner)).issuer == PARTNER
    await verifier.stop()
    for issuer in twins.trusted:
        with pytest.raises(NotReady):
            verifier.verify(token_of(issuer))
    assert idle(verifier)


async def test_one_is_enough_where_the_owner_says_so_and_the_other_follows() -> None:
    twins = Twins()
    door = Door(twins.partner)
    inner = [following(twins.partner, door), twins.ours.verifier()]
    async with MultiIssuerVerifier(inner, needs="any", jitter=lambda most: 0.0) as verifier:
        assert verifier.status.ready
        await until(lambda: door.runs >= 3)
        with pytest.raises(NotReady):
            verifier.verify(token_of(twins.partner))
        assert verifier.verify(token_of(twins.ours)).issuer == ISSUER
        door.opened.set()
        await until(lambda: verifier.of(PARTNER).status.ready)
        assert verifier.verify(token_of(twins.partner)).issuer == PARTNER
    assert idle(verifier)


async def test_pauses_grow_to_a_bound() -> None:
    twins = Twins()
    asked: list[float] = []

    def jitter(most: float) -> float:
        asked.append(most)
        return 0.0

    inner = [following(twins.partner, Door(twins.partner), 0.001), twins.ours.verifier()]
    async with MultiIssuerVerifier(inner, needs="any", jitter=jitter):
        await until(lambda: len(asked) >= 7)
    assert asked[:7] == [1, 2, 4, 8, 16, 30, 30]


async def test_what_can_never_work_is_not_tried_again() -> None:
    twins = Twins()
    async with MultiIssuerVerifier(
        [following(twins.partner, Useless()), twins.ours.verifier()], needs="any"
    ) as verifier:
        await until(lambda: all(task.done() for task in verifier._ascent._tasks))  # type: ignore[union-attr]
        assert verifier.verify(token_of(twins.ours)).issuer == ISSUER
        assert not verifier.of(PARTNER).status.ready


@pytest.mark.parametrize("needs", ["all", "any"])
async def test_without_any_it_does_not_start(needs: Any) -> None:
    twins = Twins()
    verifier = MultiIssuerVerifier([following(issuer, Useless()) for issuer in twins.trusted], needs=needs)
    with pytest.raises(SourceError, match=r"^https://id\..*: it can never work$"):
        await verifier.start()
    assert idle(verifier)


async def test_a_mistake_in_a_verifier_is_not_swallowed() -> None:
    twins = Twins()

    class Broken(Verifier):
        async def start(self) -> None:
            raise ZeroDivisionError

    broken = Broken(twins.partner.anchor, audience="orders", sources=[twins.partner.source()])
    verifier = MultiIssuerVerifier([twins.ours.verifier(), broken])
    with pytest.raises(ZeroDivisionError):
        await verifier.start()
    assert idle(verifier)


async def test_stop_ends_a_start_that_waits() -> None:
    twins = Twins()
    verifier = MultiIssuerVerifier([following(issuer, Door(issuer), 100) for issuer in twins.trusted])
    starting = asyncio.create_task(verifier.start())
    await until(lambda: all(inner._tasks for inner in verifier._verifiers))
    await verifier.stop()
    with pytest.raises(NotReady, match="stopped"):
        await starting
    assert idle(verifier)


async def test_cancelling_a_start_leaves_nothing_behind() -> None:
    twins = Twins()
    verifier = MultiIssuerVerifier([following(issuer, Door(issuer), 100) for issuer in twins.trusted])
    before = asyncio.all_tasks()
    starting = asyncio.create_task(verifier.start())
    await until(lambda: all(inner._tasks for inner in verifier._verifiers))
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert idle(verifier)
    assert asyncio.all_tasks() == before


async def test_it_may_live_again_but_not_twice_at_once() -> None:
    twins = Twins()
    verifier = twins.verifier()
    for _ in range(2):
        async with verifier:
            with pytest.raises(ConfigurationError, match="running already"):
                await verifier.start()
            assert verifier.verify(token_of(twins.ours)).issuer == ISSUER
        twins.clock.advance(1)  # the heartbeats that it starts by must be new ones
    await verifier.stop()

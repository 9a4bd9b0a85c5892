"""What ``watch`` has to show, when the topic holds all of the feed and when it does not."""

import asyncio
from collections.abc import Sequence

import pytest

from ostraka_consumers import Verifier
from ostraka_consumers.limits import CHANGES_QUEUE_MAX
from ostraka_consumers.trust.effects import TrustState
from ostraka_issuer.cli.arrivals import Applied, Arrivals, Follower, begin
from ostraka_issuer.cli.guard import CommandError
from ostraka_schemas.records import Position, Record
from tests.support.fake_issuer import FakeIssuer
from tests.support.verifiers import ListSource, ready_verifier


@pytest.fixture
async def issuer() -> FakeIssuer:
    made = FakeIssuer()
    made.open()
    for _ in range(3):
        made.cut_everyone()
    return made


async def state_of(issuer: FakeIssuer) -> TrustState:
    verifier = await ready_verifier(issuer)
    try:
        state = verifier.core.state
        assert state is not None
        return state
    finally:
        await verifier.stop()


async def applied_records(issuer: FakeIssuer) -> list[Record]:
    records: list[Record] = []
    verifier = following(issuer, issuer.records, [])(False, records.extend)
    await verifier.start()
    await verifier.stop()
    return records


def following(issuer: FakeIssuer, topic: Sequence[bytes], snapshot: Sequence[bytes]) -> Follower:
    """A verifier of a topic that holds this, beside this snapshot."""

    def follower(snapshots: bool, applied: Applied) -> Verifier:
        heartbeat = issuer.heartbeat()
        found = [*issuer.root_files(), *snapshot, *topic, heartbeat] if snapshots else [*topic, heartbeat]
        return Verifier(
            issuer.anchor,
            audience="watch",
            sources=[ListSource(found)],
            clock=issuer.clock,
            ready_timeout=10,
            applied=applied,
        )

    return follower


async def taken(arrivals: Arrivals, number: int) -> list[str]:
    async with asyncio.timeout(10):
        return [_name(await arrivals.next()) for _ in range(number)]


def _name(arrived: Record | Position) -> str:
    return str(arrived.position) if isinstance(arrived, Record) else f"snapshot {arrived}"


async def test_all_that_the_topic_holds_is_shown_though_there_is_a_snapshot(issuer: FakeIssuer) -> None:
    records = issuer.records
    parts = issuer.snapshot(await state_of(issuer))
    verifier, arrivals = await begin(following(issuer, records, parts), new_only=False)
    try:
        assert await taken(arrivals, len(records)) == [f"1:{seq}" for seq in range(1, len(records) + 1)]
    finally:
        await verifier.stop()


async def test_where_the_beginning_is_gone_it_starts_from_the_snapshot_and_says_so(issuer: FakeIssuer) -> None:
    parts, until = issuer.snapshot(await state_of(issuer)), len(issuer.records)
    issuer.cut_everyone()
    verifier, arrivals = await begin(following(issuer, issuer.records[2:], parts), new_only=False)
    try:
        assert await taken(arrivals, 2) == [f"snapshot 1:{until}", f"1:{until + 1}"]
    finally:
        await verifier.stop()


async def test_a_snapshot_that_nothing_follows_is_told_as_well(issuer: FakeIssuer) -> None:
    parts, until = issuer.snapshot(await state_of(issuer)), len(issuer.records)
    verifier, arrivals = await begin(following(issuer, [], parts), new_only=False)
    try:
        assert await taken(arrivals, 1) == [f"snapshot 1:{until}"]
    finally:
        await verifier.stop()


async def test_only_what_is_new_begins_without_a_word_of_before(issuer: FakeIssuer) -> None:
    parts = issuer.snapshot(await state_of(issuer))
    verifier, arrivals = await begin(following(issuer, issuer.records, parts), new_only=True)
    try:
        verifier.deliver(issuer.cut_everyone())
        assert await taken(arrivals, 1) == [f"1:{len(issuer.records)}"]
    finally:
        await verifier.stop()


async def test_a_snapshot_in_the_middle_is_told_and_ends_nothing(issuer: FakeIssuer) -> None:
    records = await applied_records(issuer)
    arrivals = Arrivals(jumps=False)
    arrivals.put(records[:1])
    arrivals.put(records[3:4])
    assert await taken(arrivals, 3) == ["1:1", "snapshot 1:3", "1:4"]


async def test_who_is_too_slow_is_told(issuer: FakeIssuer) -> None:
    first, *_ = await applied_records(issuer)
    arrivals = Arrivals(jumps=True)
    for _ in range(CHANGES_QUEUE_MAX + 1):
        arrivals.put([first])
    with pytest.raises(CommandError, match="too slow"):
        await taken(arrivals, CHANGES_QUEUE_MAX + 1)

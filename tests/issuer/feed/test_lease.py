"""The lease: its pure rules, and two processes at one row."""

import asyncio
import subprocess
import sys
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, update

from ostraka_issuer.errors import LeaseLost
from ostraka_issuer.feed.holder import has_ended, holder_name
from ostraka_issuer.feed.lease import FREE, Lease, is_free, is_held, released, renewed, taken
from ostraka_issuer.feed.rows import database_time, read_beat, read_lease, write_beat
from ostraka_issuer.feed.tenure import Fence, Tenure
from ostraka_issuer.limits import LEASE_SECONDS
from ostraka_issuer.store import Store
from ostraka_issuer.store.tables import FEED_LEASE
from tests.postgres.fixtures import AnotherStore

NOW = 1_800_000_000.0


def test_a_lease_is_free_before_the_first_holder_and_after_its_time() -> None:
    mine = taken(FREE, "a", NOW)
    assert mine == Lease("a", 1, NOW + LEASE_SECONDS)
    assert not is_free(mine, NOW)
    assert not is_free(mine, NOW + LEASE_SECONDS - 0.001)
    assert is_free(mine, NOW + LEASE_SECONDS)
    assert taken(mine, "b", NOW + 1) is None
    assert taken(mine, "b", NOW + LEASE_SECONDS) == Lease("b", 2, NOW + 2 * LEASE_SECONDS)


def test_a_clock_that_was_set_back_holds_nobody_up() -> None:
    mine = taken(FREE, "a", NOW)
    assert mine is not None
    assert taken(mine, "b", NOW - 3_600) == Lease("b", 2, NOW - 3_600 + LEASE_SECONDS)


def test_it_is_renewed_also_after_its_time_unless_somebody_has_taken_it() -> None:
    mine = taken(FREE, "a", NOW)
    assert mine is not None
    assert renewed(mine, mine, NOW + 60) == mine._replace(until=NOW + 60 + LEASE_SECONDS)
    other = taken(mine, "b", NOW + 60)
    assert other is not None
    assert renewed(other, mine, NOW + 61) is None
    assert released(other, mine) is None


def test_it_is_free_at_once_when_it_is_released_and_keeps_its_fence() -> None:
    mine = taken(FREE, "a", NOW)
    assert mine is not None
    assert released(mine, mine) == Lease(None, 1, 0.0)
    assert taken(Lease(None, 1, 0.0), "b", NOW) == Lease("b", 2, NOW + LEASE_SECONDS)


def test_a_holder_that_is_known_to_have_ended_holds_nobody_up() -> None:
    mine = taken(FREE, "a", NOW)
    assert mine is not None
    assert taken(mine, "b", NOW + 1, ended=True) == Lease("b", 2, NOW + 1 + LEASE_SECONDS)


def test_a_process_of_this_machine_is_known_to_have_ended() -> None:
    assert not has_ended(holder_name())
    script = "from ostraka_issuer.feed.holder import holder_name; print(holder_name())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    name = done.stdout.strip()
    host, machine, pid, word = name.rsplit(":", 3)
    assert has_ended(name)
    assert not has_ended(f"{host}:{'0' * len(machine)}:{pid}:{word}"), "of another machine nothing is known"
    for other in (None, "", "a", "a:b:c:d", f"{host}:{machine}:{'9' * 30}:{word}", f"{host}:{machine}:1:{word}"):
        assert not has_ended(other)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["take", "renew", "release"]), st.floats(-10, 10))))
def test_no_fence_is_ever_given_twice_and_at_most_one_is_held(steps: list[tuple[str, str, float]]) -> None:
    row, now = FREE, NOW
    ever: set[int] = set()
    mine: dict[str, Lease] = {}
    for who, what, later in steps:
        now += later
        if what == "take":
            new = taken(row, who, now)
            if new is not None:
                assert new.fence not in ever
                ever.add(new.fence)
                mine[who] = row = new
        elif who in mine:
            change = renewed(row, mine[who], now) if what == "renew" else released(row, mine[who])
            assert (change is not None) == is_held(row, mine[who])
            row = row if change is None else change
        assert sum(is_held(row, lease) for lease in mine.values()) <= 1


async def _end_its_time(store: Store) -> None:
    async with store.write() as tx:
        await tx.execute(update(FEED_LEASE).values(until=1.0))


async def _checks(store: Store, fence: Fence) -> bool:
    try:
        await store.work(fence.check)
    except LeaseLost:
        return False
    return True


async def test_whoever_lost_it_is_told_inside_its_transaction(store: Store) -> None:
    first, second = Tenure(store, "first"), Tenure(store, "second")
    mine = await first.take()
    assert mine is not None
    assert await second.take() is None
    assert await _checks(store, mine)
    await _end_its_time(store)
    assert await _checks(store, mine), "nobody has taken it"
    other = await second.take()
    assert other is not None
    assert not await _checks(store, mine)
    assert await _checks(store, other)
    await first.release(mine)
    assert (await first.look()).holder == "second"
    await second.release(other)
    assert (await first.look()).holder is None
    assert await first.take() is not None


async def test_keeping_it_goes_on_until_it_is_lost(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ostraka_issuer.feed.tenure.LEASE_RENEW", 0.01)
    first, second = Tenure(store, "first"), Tenure(store, "second")
    mine = await first.take()
    assert mine is not None
    await _end_its_time(store)
    keeping = asyncio.create_task(first.keep(mine))
    async with asyncio.timeout(30):
        while (await first.look()).until == 1.0:
            await asyncio.sleep(0.01)
    assert not keeping.done()
    # Like whoever takes it: not while it is being renewed.
    await store.work(lambda connection: connection.execute(update(FEED_LEASE).values(until=1.0, holder=None)))
    assert await second.take() is not None
    with pytest.raises(LeaseLost):
        await asyncio.wait_for(keeping, 30)


async def test_of_many_who_want_it_one_gets_it(store: Store, another_store: AnotherStore) -> None:
    others = [another_store() for _ in range(4)]
    fences = await asyncio.gather(*(Tenure(other, f"p{number}").take() for number, other in enumerate(others)))
    assert len([fence for fence in fences if fence is not None]) == 1


async def test_the_time_is_the_databases(store: Store) -> None:
    def times(connection: Connection) -> tuple[float, Lease]:
        return database_time(connection), read_lease(connection)

    begin, lease = await store.work(times)
    assert lease == FREE
    end, _ = await store.work(times)
    assert 1_700_000_000 < begin <= end < 10_000_000_000


async def test_the_newest_heartbeat_replaces_the_one_before(store: Store) -> None:
    assert await store.work(read_beat) is None
    for raw in (b"one", b"two"):
        await store.work(partial(write_beat, raw=raw))
    assert await store.work(read_beat) == b"two"

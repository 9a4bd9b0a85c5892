import asyncio

import pytest
from sqlalchemy import Connection, func, select

from ostraka_consumers.uninterrupted import uninterrupted
from ostraka_issuer.errors import StoreUnavailable
from ostraka_issuer.store import Store
from ostraka_issuer.store.tables import INTENTS
from tests.issuer.feed.world import commit, new_sequencer, stored


async def test_a_result_and_an_error_pass_through() -> None:
    async def good() -> int:
        return 7

    async def bad() -> int:
        raise ZeroDivisionError

    assert await uninterrupted(good()) == 7
    with pytest.raises(ZeroDivisionError):
        await uninterrupted(bad())


@pytest.mark.parametrize("fails", [False, True])
async def test_a_cancellation_waits_for_the_end(fails: bool) -> None:
    go, ended = asyncio.Event(), False

    async def work() -> None:
        nonlocal ended
        await go.wait()
        ended = True
        if fails:
            raise ZeroDivisionError

    task = asyncio.create_task(uninterrupted(work()))
    for _ in range(3):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended


async def test_a_cancelled_sequencer_tells_what_it_committed(store: Store) -> None:
    await commit(store, "a")
    sequencer = new_sequencer(store)
    told: list[object] = []
    sequencer._stored = told.extend
    task = asyncio.create_task(sequencer.step())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(told) == len(await stored(store)) == 1


async def test_work_is_one_transaction_of_one_thread_and_fails_whole(store: Store) -> None:
    def count(connection: Connection) -> int:
        return connection.execute(select(func.count()).select_from(INTENTS)).scalar_one()

    def fail(connection: Connection) -> None:
        connection.execute(INTENTS.insert().values(txn="x", subject={}, event_uri="u", event={}, committed_at=1.0))
        assert count(connection) == 2
        raise ZeroDivisionError

    def repeat(connection: Connection) -> None:
        for _ in range(2):
            connection.execute(INTENTS.insert().values(txn="x", subject={}, event_uri="u", event={}, committed_at=1.0))

    await commit(store, "a")
    assert await store.work(count) == 1
    with pytest.raises(ZeroDivisionError):
        await store.work(fail)
    with pytest.raises(StoreUnavailable):
        await store.work(repeat)
    await commit(store, "b")
    assert await store.work(count) == 2
    await store.close()
    await store.close()

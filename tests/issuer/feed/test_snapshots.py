"""Snapshots: when they are made, what is in them, where they are kept, and what a start makes of them."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import delete

from ostraka_consumers.trust.core import TrustCore
from ostraka_issuer.errors import StoreUnavailable
from ostraka_issuer.feed.log import FeedLog
from ostraka_issuer.feed.regime import Regime
from ostraka_issuer.feed.roots import Roots
from ostraka_issuer.feed.snapshot import Snapshot, make_snapshot, read_parts
from ostraka_issuer.feed.snapshots import Snapshots
from ostraka_issuer.feed.start import stored_start
from ostraka_issuer.limits import SNAPSHOT_EVERY, SNAPSHOT_RECORDS
from ostraka_issuer.roots.draft import Changes
from ostraka_issuer.store import Store
from ostraka_issuer.store.snapshots import read_snapshot, replace_snapshot
from ostraka_issuer.store.tables import SNAPSHOT_PARTS
from ostraka_schemas import base64url
from ostraka_schemas.errors import MalformedError
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.records import Head, Position
from tests.issuer.feed.world import until, writer_of
from tests.issuer.front import Desk, open_desk
from tests.support.ceremony import publish_next
from tests.support.fake_issuer import ISSUER, FakeIssuer


def followed(issuer: FakeIssuer) -> TrustCore:
    """A core that has applied the whole feed of ``issuer``."""
    core = TrustCore(issuer.anchor)
    for raw in [*issuer.records, issuer.heartbeat()]:
        core.receive(raw, issuer.clock.now())
    assert core.head == issuer.head
    return core


def ids(first: int, count: int) -> list[str]:
    return [base64url.encode(number.to_bytes(16)).decode() for number in range(first, first + count)]


def busy(issuer: FakeIssuer, tokens: int = 3_000) -> FakeIssuer:
    """A feed with something of every kind in it."""
    issuer.open()
    issuer.cut_subject("alice")
    issuer.cut_session("bob", "sid-1")
    issuer.cut_client("orders-app")
    issuer.keep_only("carol", "orders:read")
    issuer.revoke_permission("reports:*")
    for first in range(0, tokens, 1_000):
        issuer.revoke_tokens(*((jti, issuer.now + 200) for jti in ids(first, min(1_000, tokens - first))))
    return issuer


async def snapshot_of(issuer: FakeIssuer, core: TrustCore, key: SigningKey | None = None) -> Snapshot:
    assert core.state is not None
    assert core.head is not None
    return await make_snapshot(
        core.state, core.head, key or issuer.feed_key, iss=ISSUER, iat=issuer.now, root_version=core.root_version
    )


# --- one snapshot ----------------------------------------------------------------------------------------------------


async def test_a_newcomer_takes_it_and_refuses_what_it_says() -> None:
    issuer = busy(FakeIssuer())
    core = followed(issuer)
    snapshot = await snapshot_of(issuer, core)
    newcomer = TrustCore(issuer.anchor)
    for raw in (*issuer.root_files(), issuer.heartbeat(), *snapshot.parts):
        newcomer.receive(raw, issuer.clock.now())
    assert newcomer.head == core.head
    assert newcomer.state is not None
    assert core.state is not None
    assert newcomer.state.denied.kept() == core.state.denied.kept()
    assert sorted(newcomer.state.cutoffs.kept()) == sorted(core.state.cutoffs.kept())
    assert [key.key for key in newcomer.keys.keys] == [key.key for key in core.keys.keys]
    # And goes on from there.
    issuer.cut_subject("dave")
    newcomer.receive(issuer.records[-1], issuer.clock.now())
    assert newcomer.head == issuer.head


async def test_the_body_is_its_parts_and_the_tag_is_the_bodys() -> None:
    issuer = busy(FakeIssuer(), tokens=30_000)
    core = followed(issuer)
    snapshot = await snapshot_of(issuer, core)
    assert len(snapshot.parts) > 1
    assert snapshot.body == b"".join(part + b"\n" for part in snapshot.parts)
    assert (snapshot.head, snapshot.iat, snapshot.kid) == (core.head, issuer.now, issuer.feed_key.kid)
    again = await snapshot_of(issuer, core)
    assert (again.body, again.etag) == (snapshot.body, snapshot.etag)
    issuer.clock.advance(1)
    assert (await snapshot_of(issuer, core)).etag != snapshot.etag
    assert snapshot.etag.startswith('"')


async def test_what_comes_meanwhile_is_not_in_it_and_everyone_has_a_turn_between_its_parts() -> None:
    issuer = busy(FakeIssuer(), tokens=60_000)
    core = followed(issuer)
    before = await snapshot_of(issuer, core)
    making = asyncio.create_task(snapshot_of(issuer, core))
    turns = 0
    await asyncio.sleep(0)
    for jti in ids(10**9, 50):
        issuer.revoke_token(jti, issuer.now + 200)
    while not making.done():
        if turns < 50:
            core.receive(issuer.records[turns - 50], issuer.clock.now())
        turns += 1
        await asyncio.sleep(0)
    assert turns >= 2 * len(before.parts)
    assert (await making).body == before.body


async def test_parts_that_are_read_back() -> None:
    issuer = busy(FakeIssuer(), tokens=30_000)
    core = followed(issuer)
    snapshot = await snapshot_of(issuer, core)
    keys, parts = [issuer.feed_key.public], list(snapshot.parts)
    other = (await snapshot_of(issuer, followed(busy(issuer, 30_000)))).parts
    found = await read_parts(parts, keys, iss=ISSUER)
    assert found is not None
    assert found.head == core.head
    flipped = bytearray(parts[1])
    flipped[-5] ^= 1
    wrong: list[list[bytes]] = [
        [],
        parts[:-1],
        parts[1:],
        parts[::-1],
        [*parts, parts[0]],
        [parts[0], bytes(flipped), *parts[2:]],
        [parts[0], other[1], *parts[2:]],
        [issuer.heartbeat()],
        [issuer.records[0]],
        [b"nonsense"],
        [b""],
    ]
    for each in wrong:
        assert await read_parts(each, keys, iss=ISSUER) is None
    assert await read_parts(parts, [SigningKey.generate("EdDSA").public], iss=ISSUER) is None
    assert await read_parts(parts, keys, iss="https://other.example") is None


# --- when one is made ------------------------------------------------------------------------------------------------


class Shop:
    """Snapshots of a feed whose regime and clock a test moves."""

    def __init__(self, store: Store, issuer: FakeIssuer, core: TrustCore | None = None) -> None:
        self.issuer = issuer
        self.core = core or followed(issuer)
        self.regime = Regime(1, issuer.feed_key, issuer.root)
        self.made: list[Snapshot] = []
        self.snapshots = Snapshots(
            self.core,
            lambda: self.regime,
            lambda: self.regime.in_force,
            issuer=ISSUER,
            store=store,
            clock=issuer.clock,
            made=self._was_made,
        )

    def _was_made(self, snapshot: Snapshot | None) -> None:
        assert snapshot is not None
        self.made.append(snapshot)

    def append(self, count: int) -> None:
        for number in range(count):
            self.issuer.cut_subject(f"user-{number}")
            self.core.receive(self.issuer.records[-1], self.issuer.clock.now())


async def test_one_at_the_start_then_after_a_time_or_so_many_records(store: Store) -> None:
    shop = Shop(store, busy(FakeIssuer()))
    assert shop.snapshots.is_due()
    await shop.snapshots.make()
    assert not shop.snapshots.is_due()
    shop.issuer.clock.advance(SNAPSHOT_EVERY - 1)
    assert not shop.snapshots.is_due()
    shop.issuer.clock.advance(1)
    assert shop.snapshots.is_due()
    await shop.snapshots.make()
    shop.append(SNAPSHOT_RECORDS - 1)
    assert not shop.snapshots.is_due()
    shop.append(1)
    assert shop.snapshots.is_due()
    await shop.snapshots.make()
    assert [snapshot.head for snapshot in shop.made[-1:]] == [shop.core.head]
    assert shop.snapshots.newest is shop.made[-1]
    assert await read_snapshot(store) == list(shop.made[-1].parts)


async def test_a_new_feed_key_and_a_new_root_document_want_a_new_one(store: Store) -> None:
    shop = Shop(store, busy(FakeIssuer()))
    await shop.snapshots.make()
    old_key = shop.regime
    shop.regime = shop.regime._replace(key=SigningKey.generate("EdDSA"))
    assert shop.snapshots.is_due()
    shop.regime = old_key
    # One that the verifier has not heard of yet has to wait: what it has applied is the old one's.
    document = shop.issuer.root.model_copy(update={"version": 2})
    shop.regime = shop.regime._replace(root=document)
    assert not shop.snapshots.is_due()
    shop.regime = Regime(2, shop.issuer.feed_key, shop.issuer.root)
    assert not shop.snapshots.is_due()


async def test_none_while_nothing_is_applied_or_the_feed_is_doubted(store: Store) -> None:
    issuer = busy(FakeIssuer())
    newcomer = Shop(store, issuer, TrustCore(issuer.anchor))
    assert not newcomer.snapshots.is_due()
    await newcomer.snapshots.make()
    assert newcomer.made == []
    doubting = Shop(store, issuer)
    doubting.core._vouching.doubted = True
    assert not doubting.snapshots.is_due()


async def test_one_that_cannot_be_kept_is_served_and_the_trouble_told(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(store, busy(FakeIssuer()))

    async def broken(*_: object) -> None:
        raise StoreUnavailable("disk full")

    with monkeypatch.context() as patch:
        patch.setattr("ostraka_issuer.feed.snapshots.replace_snapshot", broken)
        task = asyncio.create_task(shop.snapshots.run())
        await until(lambda: shop.snapshots.trouble)
        task.cancel()
        await asyncio.wait({task})
    assert shop.snapshots.trouble == "disk full"
    assert len(shop.made) == 1
    monkeypatch.setattr("ostraka_issuer.feed.snapshots.SNAPSHOT_RETRY", 0.01)
    shop.issuer.clock.advance(SNAPSHOT_EVERY)
    task = asyncio.create_task(shop.snapshots.run())
    await until(lambda: len(shop.made) == 2 and shop.snapshots.trouble is None)
    task.cancel()
    await asyncio.wait({task})


async def test_one_that_would_be_too_large_is_a_trouble_and_no_end(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(store, busy(FakeIssuer(), tokens=30_000))
    monkeypatch.setattr("ostraka_schemas.snapshots.SNAPSHOT_PARTS_MAX", 2)
    with pytest.raises(MalformedError):
        await shop.snapshots.make()
    task = asyncio.create_task(shop.snapshots.run())
    assert "more than 2 parts" in await until(lambda: shop.snapshots.trouble)
    assert not task.done()
    task.cancel()
    await asyncio.wait({task})


# --- where it is kept ------------------------------------------------------------------------------------------------


async def test_it_is_replaced_whole_or_not_at_all(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await read_snapshot(store) == []
    await replace_snapshot(store, [b"one", b"two", b"three"])
    await replace_snapshot(store, [b"four"])
    assert await read_snapshot(store) == [b"four"]
    with pytest.raises(StoreUnavailable):
        await replace_snapshot(store, [b"five", None])  # type: ignore[list-item]
    assert await read_snapshot(store) == [b"four"]


# --- a start ---------------------------------------------------------------------------------------------------------


async def made(desk: Desk) -> Snapshot:
    """Wait for the snapshot of the present head, and until it is stored."""

    async def there() -> Snapshot | None:
        newest, head = desk.issuer.snapshots.newest, desk.issuer.feed.head()
        if newest is None or newest.head != head:
            return None
        return newest if await read_snapshot(desk.issuer.store) == list(newest.parts) else None

    found: Snapshot = await until(there, "a snapshot of the head")
    return found


def applied_since_start(desk: Desk) -> tuple[int, int]:
    """How many snapshots and records the issuer's own verifier has taken."""
    counters = desk.issuer.verifier.core.counters
    return counters["snapshots"], counters["records"]


async def revoke(desk: Desk, permission: str) -> None:
    order = {"kind": "permission", "permission": permission, "reason": "a test"}
    answer = await desk.client.post("/admin/revocations", headers=await desk.bearer(), json=order)
    assert answer.status_code < 300
    await desk.applied(answer)


async def test_the_next_start_reads_the_snapshot_and_what_came_after_it(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await revoke(desk, "reports:read")
        await desk.issuer.snapshots._snapshots.make()
        snapshot = await made(desk)
        await revoke(desk, "reports:write")
    async with open_desk(tmp_path) as desk:
        assert applied_since_start(desk) == (1, 1)
        head = desk.issuer.verifier.core.head
        assert head is not None
        assert head.position == Position(1, snapshot.head.position.seq + 1)
        state = desk.issuer.verifier.core.state
        assert state is not None
        assert len(state.narrowings) == 2
        assert desk.issuer.verifier.verify((await desk.login("alice"))["access_token"]).allows("orders:read")


@pytest.mark.parametrize("damage", ["missing", "flipped", "stranger", "none"])
async def test_a_snapshot_that_is_not_good_is_left_alone(tmp_path: Path, damage: str) -> None:
    async with open_desk(tmp_path) as desk:
        parts = list((await made(desk)).parts)
        match damage:
            case "missing":
                issuer = busy(FakeIssuer(), 30_000)
                parts = list((await snapshot_of(issuer, followed(issuer))).parts)[:1]
            case "flipped":
                parts[0] = parts[0][:-9] + bytes([parts[0][-9] ^ 1]) + parts[0][-8:]
            case "stranger":
                issuer = busy(FakeIssuer())
                parts = list((await snapshot_of(issuer, followed(issuer))).parts)
        store = desk.issuer.store
        await desk.issuer.snapshots.stop()
        if damage == "none":
            await store.work(lambda connection: connection.execute(delete(SNAPSHOT_PARTS)))
        else:
            await replace_snapshot(store, parts)
    async with open_desk(tmp_path) as desk:
        assert applied_since_start(desk) == (0, 2)


async def test_a_snapshot_of_another_history_is_not_taken(tmp_path: Path) -> None:
    """Signed with the right key, at a place where this database has something else."""
    async with open_desk(tmp_path) as desk:
        snapshot = await made(desk)
        core, feed = desk.issuer.verifier.core, desk.issuer.feed
        find = stored_start(
            desk.issuer.store,
            FeedLog(desk.issuer.store),
            Roots(desk.issuer.store),
            lambda: feed.in_force,
            issuer=core.anchor.issuer,
        )
        found = await find()
        assert found is not None
        assert list(found.parts) == list(snapshot.parts)
        assert core.state is not None
        strange = Head(snapshot.head.position, bytes(32))
        other = await make_snapshot(
            core.state, strange, writer_of(feed).regime.key, iss=core.anchor.issuer, iat=1, root_version=1
        )
        await desk.issuer.snapshots.stop()
        await replace_snapshot(desk.issuer.store, other.parts)
        assert await find() is None


@pytest.mark.parametrize("new_epoch", [False, True])
async def test_a_new_feed_key_or_epoch_brings_a_new_snapshot_and_the_old_one_is_not_taken(
    tmp_path: Path, new_epoch: bool
) -> None:
    async with open_desk(tmp_path) as desk:
        old = await made(desk)
        await publish_next(desk.issuer.settings, Changes(new_epoch=new_epoch), rotate=True)
        desk.issuer.feed.wake()

        def newer() -> Snapshot | None:
            newest = desk.issuer.snapshots.newest
            return newest if newest is not None and newest.root_version == 2 else None

        new: Snapshot = await until(newer)
        assert new.kid == writer_of(desk.issuer.feed).regime.key.kid != old.kid
        assert new.head.position.epoch == (2 if new_epoch else 1)
        await desk.issuer.snapshots.stop()
        await replace_snapshot(desk.issuer.store, old.parts)
    async with open_desk(tmp_path) as desk:
        assert applied_since_start(desk)[0] == 0
        await made(desk)
    async with open_desk(tmp_path) as desk:
        assert applied_since_start(desk)[0] == 1
        assert desk.issuer.verifier.core.root_version == 2
        assert desk.issuer.verifier.verify((await desk.login("alice"))["access_token"]).allows("orders:read")


async def test_stopping_leaves_nothing(desk: Desk) -> None:
    await made(desk)
    assert desk.issuer.snapshots.troubles() == []
    await desk.issuer.snapshots.stop()
    await desk.issuer.snapshots.stop()
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert not names & {"ostraka-snapshots", "ostraka-snapshot-publisher"}


async def test_a_task_that_has_ended_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await desk.issuer.snapshots.stop()

    def broken(_self: Snapshots) -> bool:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Snapshots, "is_due", broken)
    await desk.issuer.snapshots.start()
    await until(desk.issuer.snapshots.troubles)
    answer = await desk.client.get("/readyz")
    assert answer.status_code == 503
    assert any(reason.startswith("snapshots: nobody makes") for reason in answer.json()["reasons"])

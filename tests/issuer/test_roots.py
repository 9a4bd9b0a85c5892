"""Root documents in the running issuer: what is published takes effect in the feed, at its place, without a restart."""

import asyncio
import logging
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from ostraka_consumers.anchor import TrustAnchor
from ostraka_consumers.clock import ManualClock, SystemClock
from ostraka_consumers.trust.core import TrustCore
from ostraka_issuer.errors import Conflict, HomeError, KeyStoreError, SetupError
from ostraka_issuer.feed.expiry import Calendar, warning
from ostraka_issuer.feed.log import FeedLog, StoredRecord
from ostraka_issuer.feed.regime import InForce
from ostraka_issuer.feed.roots import Roots
from ostraka_issuer.home import Home
from ostraka_issuer.keys.sealed import KeyUse
from ostraka_issuer.limits import ROOT_LIFETIME
from ostraka_issuer.provision import create_home
from ostraka_issuer.roots.draft import Changes, next_root
from ostraka_issuer.roots.publish import open_chain
from ostraka_issuer.roots.review import quorums
from ostraka_issuer.store import Store, migrate, open_store
from ostraka_issuer.store.roots import roots_in
from ostraka_schemas import base64url, jws
from ostraka_schemas.events import KeySetChanged, PermissionRevoked, RootPublished
from ostraka_schemas.jwk import SigningKey, VerificationKey
from ostraka_schemas.limits import RECORD_MAX_BYTES
from ostraka_schemas.records import GENESIS, Position, Record, read_payload
from ostraka_schemas.root import (
    RootDocument,
    RootRole,
    read_root_bytes,
    read_root_unverified,
    root_bytes,
    sign_root,
    verify_next_root,
    with_signature,
)
from tests.issuer.feed.world import writer_of
from tests.issuer.front import Desk, open_desk
from tests.issuer.world import claims_of, new_settings
from tests.support.ceremony import new_feed_key, publish_next, root_key_of, signed_next
from tests.support.fake_issuer import FakeIssuer

DAY = 24 * 3_600


async def feed_of(store: Store) -> list[StoredRecord]:
    return await FeedLog(store).after(None, 1_000)


def content_of(record: StoredRecord, keys: Sequence[VerificationKey]) -> Record:
    """Read a record that one of ``keys`` must have signed."""
    compact = jws.split(record.raw, max_bytes=RECORD_MAX_BYTES)
    header = jws.read_header(compact.header, typ=jws.TYP_EVENT)
    jws.check(compact, header, next(key for key in keys if key.kid == header.kid))
    content = read_payload(base64url.decode(compact.payload))
    assert isinstance(content, Record)
    return content


def document_of(record: Record) -> RootDocument:
    assert isinstance(record.event, RootPublished)
    return read_root_unverified({"payload": record.event.payload, "signatures": record.event.signatures})


async def in_force(desk: Desk, version: int) -> RootDocument:
    """Wait until the running issuer signs under that version, and its own verifier has followed."""
    async with asyncio.timeout(30):
        while desk.issuer.feed.in_force.version < version:
            await asyncio.sleep(0.02)
    head = desk.issuer.feed.head()
    assert head is not None
    assert await desk.issuer.verifier.wait_for(head.position, 30)
    root = desk.issuer.feed.in_force.root
    assert root is not None
    return root


async def test_a_new_feed_key_signs_from_the_record_that_names_it_on(desk: Desk) -> None:
    before = await desk.login("alice")
    old = writer_of(desk.issuer.feed).regime.key.public
    await publish_next(desk.issuer.settings, rotate=True)
    root = await in_force(desk, 2)
    (new,) = root.feed_keys()
    assert new.kid != old.kid
    await desk.issuer.revocations.permission("orders:delete")
    records = await feed_of(desk.issuer.store)
    assert [record.position for record in records] == [Position(1, seq) for seq in range(1, 5)]
    for record in records[:2]:
        content_of(record, [old])
    assert document_of(content_of(records[2], [new])) == root
    assert isinstance(content_of(records[3], [new]).event, PermissionRevoked)
    # Nobody noticed: tokens of before are good, and the issuer's own verifier is fresh by heartbeats of the new key.
    assert desk.issuer.verifier.verify(before["access_token"]).allows("orders:create")
    assert (await desk.client.get("/readyz")).json()["root"]["version"] == 2


async def test_a_new_epoch_begins_with_root_and_keys_and_ends_every_older_token(desk: Desk) -> None:
    before = await desk.login("alice")
    await desk.issuer.revocations.permission("orders:delete")
    await publish_next(desk.issuer.settings, Changes(new_epoch=True), rotate=True)
    root = await in_force(desk, 2)
    records = [record for record in await feed_of(desk.issuer.store) if record.position.epoch == 2]
    first, second = (content_of(record, root.feed_keys()) for record in records)
    assert (first.position, first.prev, document_of(first)) == (Position(2, 1), GENESIS, root)
    assert (second.position, second.prev) == (Position(2, 2), records[0].hash)
    assert isinstance(second.event, KeySetChanged)
    keys = await desk.issuer.keys.rows()
    assert [key.key().kid for key in second.event.keys] == [row.kid for row in keys]
    refused = await desk.client.get("/admin/keys", headers={"authorization": f"Bearer {before['access_token']}"})
    assert refused.status_code == 401
    fresh = (await desk.refresh(before["refresh_token"])).json()
    assert claims_of(fresh["access_token"])["fv"] == [2, 2]
    assert desk.issuer.verifier.verify(fresh["access_token"]).allows("orders:create")


async def test_an_epoch_takes_along_the_key_set_that_was_announced_and_none_that_waits(desk: Desk) -> None:
    await desk.issuer.keys.rotate(3_600)
    await publish_next(desk.issuer.settings, Changes(new_epoch=True))
    # Committed before the sequencer has looked, perhaps: its place is after the keys that the epoch began with.
    (active,) = [row for row in await desk.issuer.keys.rows() if row.state == "active"]
    await desk.issuer.keys.compromise(active.kid)
    root = await in_force(desk, 2)
    records = [
        content_of(record, root.feed_keys())
        for record in await feed_of(desk.issuer.store)
        if record.position.epoch == 2
    ]
    begun, *later = [record.event for record in records if isinstance(record.event, KeySetChanged)]
    states = [{key.key().kid: key.state for key in event.keys} for event in (begun, *later)]
    assert states[-1][active.kid] == "compromised"
    assert records[1].event is begun


async def test_versions_follow_each_other_and_are_served_as_they_were_signed(desk: Desk) -> None:
    signed = [roots_in(desk.issuer.settings)[0].raw]
    for version in (2, 3, 4):
        async with open_chain(desk.issuer.settings) as chain:
            value = signed_next(chain, Changes(new_epoch=version == 3))
            await chain.publish(value)
        signed.append(root_bytes(value))
        await in_force(desk, version)
        assert await desk.issuer.feed.signed_roots() == signed
    current = read_root_unverified(read_root_bytes(signed[0]))
    for raw in signed[1:]:
        current = verify_next_root(read_root_bytes(raw), current)
    # The same bytes as in the records.
    async with open_chain(desk.issuer.settings) as chain:
        keys = [key for document in chain.documents for key in document.feed_keys()]
        events = [content_of(record, keys).event for record in await feed_of(desk.issuer.store)]
    roots = [event for event in events if isinstance(event, RootPublished)]
    assert [root_bytes({"payload": root.payload, "signatures": root.signatures}) for root in roots] == signed


async def test_what_was_published_while_nothing_ran_is_in_force_from_the_start(tmp_path: Path) -> None:
    settings = new_settings(tmp_path)
    await create_home(settings)
    await publish_next(settings, rotate=True)
    await publish_next(settings, Changes(new_epoch=True), rotate=True)
    async with open_desk(tmp_path) as desk:
        root = await in_force(desk, 3)
        assert root.epoch == 2
        assert [record.position for record in await feed_of(desk.issuer.store)] == [
            Position(1, 1),
            Position(1, 2),
            Position(1, 3),
            Position(2, 1),
            Position(2, 2),
        ]
        assert len(await desk.issuer.feed.signed_roots()) == 3
    async with open_desk(tmp_path) as desk:
        await in_force(desk, 3)
        assert desk.issuer.verifier.verify((await desk.login("alice"))["access_token"]).allows("orders:read")


async def test_limits_hold_from_then_on(desk: Desk) -> None:
    limits = {"token_key_lifetime": 30 * DAY, "token_algorithms": ["EdDSA", "ES256"], "heartbeat_interval": 2}
    async with open_chain(desk.issuer.settings) as chain:
        with pytest.raises(Conflict, match=r"token keys in use .* lives longer"):
            await chain.publish(signed_next(chain, Changes(limits=limits)))
        with pytest.raises(Conflict, match=r"token keys in use .* algorithm ES256"):
            await chain.publish(signed_next(chain, Changes(limits={"token_algorithms": ["EdDSA"]})))
        with pytest.raises(Conflict, match=r"tokens of key .* live longer"):
            await chain.publish(signed_next(chain, Changes(limits={"token_lifetime": 60})))
    limits["token_key_lifetime"] = 100 * DAY
    await publish_next(desk.issuer.settings, Changes(limits=limits))
    await in_force(desk, 2)
    change = await desk.issuer.keys.rotate(60)
    assert change.successor is not None
    assert change.successor.exp - change.successor.nbf == 100 * DAY
    assert desk.issuer.verifier.status.freshness == "fresh"


async def test_what_no_verifier_would_take_is_not_published(tmp_path: Path) -> None:
    settings = new_settings(tmp_path)
    await create_home(settings)
    stranger = SigningKey.generate("EdDSA")
    now = 2_000_000_000
    async with open_chain(settings, clock=ManualClock(now)) as chain:
        root_key = root_key_of(chain)
        good = next_root(chain.newest, Changes(), now=now)

        async def refused(document: RootDocument, *keys: SigningKey, because: str) -> None:
            with pytest.raises(Conflict, match=because):
                await chain.publish(sign_root(document, keys))

        await refused(good, because=f"1 more of version 1's root keys must sign: {root_key.kid}")
        await refused(good, stranger, because=root_key.kid)
        await refused(good.model_copy(update={"version": 3}), root_key, because="does not follow version 1")
        await refused(good.model_copy(update={"version": 1}), root_key, because="does not follow version 1")
        await refused(good.model_copy(update={"epoch": 3}), root_key, because="epoch 3 does not follow")
        await refused(good.model_copy(update={"iss": "https://x"}), root_key, because="another issuer")
        old = next_root(chain.newest, Changes(), now=now - ROOT_LIFETIME)
        await refused(old, root_key, because="ended already")
        with pytest.raises(Conflict, match="no verifier"):
            await chain.publish({"payload": "x", "signatures": []})
        foreign = next_root(chain.newest, Changes(feed_key=stranger.public), now=now)
        with pytest.raises(KeyStoreError, match="none of the feed keys"):
            await chain.publish(sign_root(foreign, [root_key]))
    assert [root.version for root in roots_in(settings)] == [1]


async def test_only_one_of_two_that_publish_at_once_succeeds(tmp_path: Path) -> None:
    settings = new_settings(tmp_path)
    await create_home(settings)
    async with open_chain(settings) as one, open_chain(settings) as other:
        await one.publish(signed_next(one, Changes()))
        with pytest.raises(Conflict, match="at the same moment"):
            await other.publish(signed_next(other, Changes(new_epoch=True)))
    assert TrustAnchor.load(Home(settings.home).anchor).minimum == Position(1, 0)


async def test_two_of_three_and_a_root_key_that_leaves(tmp_path: Path) -> None:
    settings = new_settings(tmp_path)
    await create_home(settings)
    second, third = SigningKey.generate("EdDSA"), SigningKey.generate("EdDSA")
    async with open_chain(settings) as chain:
        first = root_key_of(chain)
        value = signed_next(chain, Changes(add=[second.public, third.public], threshold=2))
        assert [quorum.is_met for quorum in quorums(value, chain.newest)] == [True, False]
        with pytest.raises(Conflict, match="1 more of version 2's root keys"):
            await chain.publish(value)
        await chain.publish(with_signature(value, third))
    async with open_chain(settings) as chain:
        leaving = signed_next(chain, Changes(remove=[first.kid], new_epoch=True), [second, third])
        await chain.publish(leaving)
    anchor = TrustAnchor.load(Home(settings.home).anchor)
    assert anchor == TrustAnchor(settings.issuer, (second.kid, third.kid), Position(2, 0), root_threshold=2)
    async with open_chain(settings) as chain:
        # The new anchor leads to version 3: of version 2's signatures, it trusts one only.
        assert [document.version for document in chain.documents] == [3]
        assert len(chain.stored) == 3
    async with open_desk(tmp_path) as desk:
        await in_force(desk, 3)
        assert desk.issuer.verifier.verify((await desk.login("alice"))["access_token"]).allows("orders:read")


async def test_fewer_root_keys_than_must_sign_mislead_no_newcomer(tmp_path: Path) -> None:
    """Each makes a feed of its own, as it pleases. Whoever has the anchor of the home only must not follow it."""
    settings = new_settings(tmp_path)
    await create_home(settings)
    second, third = SigningKey.generate("EdDSA"), SigningKey.generate("EdDSA")
    home = Home(settings.home)
    async with open_chain(settings) as chain:
        first = root_key_of(chain)
        assert TrustAnchor.load(home.anchor) == TrustAnchor(settings.issuer, (first.kid,))
        await chain.publish(signed_next(chain, Changes(add=[second.public, third.public], threshold=2), [first, third]))
    of_three = TrustAnchor.load(home.anchor)
    assert of_three == TrustAnchor(settings.issuer, (first.kid, second.kid, third.kid), root_threshold=2)
    async with open_chain(settings) as chain:
        await chain.publish(signed_next(chain, Changes(remove=[third.kid]), [first, second]))
    of_two = TrustAnchor.load(home.anchor)
    assert of_two == TrustAnchor(settings.issuer, (first.kid, second.kid), root_threshold=2)
    for keys in ([first], [second], [third], [second, third]):
        assert not misled(of_two, keys)
    for keys in ([first], [second], [third]):
        assert not misled(of_three, keys)
    # Two of the three are enough for the file of their time, also when one of them has left. Hence the new one.
    assert misled(of_three, [second, third])
    assert misled(of_two, [first, second])
    # And it leads to the feed: the issuer's own verifier follows it, and one that has nothing but this file.
    async with open_desk(tmp_path) as desk:
        await in_force(desk, 3)
        signed = [root.raw for root in roots_in(settings)]
        assert [follows(anchor, signed) for anchor in (of_three, of_two)] == [3, 3]


def misled(anchor: TrustAnchor, keys: Sequence[SigningKey]) -> bool:
    """Whether a verifier that knows this anchor believes a feed that these root keys sign, of a later epoch."""
    thief = FakeIssuer(issuer=anchor.issuer, epoch=7)
    role = RootRole(keys=[key.public.to_jwk() for key in keys], threshold=1)
    thief.root = thief.root.model_copy(update={"root": role})
    thief.signed_roots = [sign_root(thief.root, keys)]
    core = TrustCore(anchor)
    for raw in (*thief.root_files(), *thief.open(), thief.heartbeat()):
        core.receive(raw, thief.clock.now())
    return core.freshness(thief.clock.now()) == "fresh"


def follows(anchor: TrustAnchor, signed: Sequence[bytes]) -> int:
    """Which version a verifier arrives at that knows this anchor."""
    core = TrustCore(anchor)
    for raw in signed:
        core.receive(raw, SystemClock().now())
    return core.root_version


async def test_a_chain_that_was_tampered_with_stops_the_issuer(tmp_path: Path) -> None:
    settings = new_settings(tmp_path)
    await create_home(settings)
    await publish_next(settings)
    with sqlite3.connect(Home(settings.home).database) as connection:
        (raw,) = connection.execute("SELECT raw FROM root_documents WHERE version = 2").fetchone()
        value = read_root_bytes(raw)
        forged = sign_root(read_root_unverified(value), [SigningKey.generate("EdDSA")])
        connection.execute("UPDATE root_documents SET raw = ? WHERE version = 2", (root_bytes(forged),))
    connection.close()
    with pytest.raises(HomeError, match="root document version 2"):
        async with open_desk(tmp_path):
            pass


async def test_without_its_feed_key_it_does_not_start(tmp_path: Path) -> None:
    settings = new_settings(tmp_path)
    await create_home(settings)
    async with open_chain(settings) as chain:
        await chain.keys().remove(KeyUse.FEED, chain.newest.feed_keys()[0].kid)
    with pytest.raises(SetupError, match="none of the feed keys that root document version 1 names"):
        async with open_desk(tmp_path):
            pass


async def test_another_process_may_have_put_it_into_the_feed(desk: Desk, tmp_path: Path, store_url: str | None) -> None:
    """Two issuers on one home: the one that did not take the document signs by it all the same."""
    async with open_desk(tmp_path, database=store_url) as other:
        await publish_next(desk.issuer.settings, rotate=True)
        await asyncio.gather(in_force(desk, 2), in_force(other, 2))
        for one in (desk, other):
            await one.issuer.revocations.permission("orders:delete")
        async with asyncio.timeout(30):
            while len(await feed_of(desk.issuer.store)) < 5:
                await asyncio.sleep(0.02)
    (new,) = (await in_force(desk, 2)).feed_keys()
    for record in (await feed_of(desk.issuer.store))[2:]:
        content_of(record, [new])


async def test_a_database_of_before_gets_its_chain_from_its_intents(tmp_path: Path, store_url: str | None) -> None:
    settings = new_settings(tmp_path, database=store_url)
    await create_home(settings)
    async with open_desk(tmp_path, database=store_url) as desk:
        raw = (await desk.issuer.feed.signed_roots())[0]
    await asyncio.to_thread(migrate, settings, "0001")
    await asyncio.to_thread(migrate, settings)
    (root,) = roots_in(settings)
    assert (root.version, root.raw, root.position) == (1, raw, Position(1, 1))


async def test_a_draft_changes_what_it_is_told_to_and_nothing_else(tmp_path: Path) -> None:
    settings = new_settings(tmp_path)
    await create_home(settings)
    async with open_chain(settings) as chain:
        current = chain.newest
        renewed = next_root(current, Changes(), now=current.iat + 100)
        assert renewed == current.model_copy(
            update={
                "version": 2,
                "iat": current.iat + 100,
                "exp": current.iat + 100 + ROOT_LIFETIME,
                "feed": current.feed.model_copy(update={"exp": current.iat + 100 + ROOT_LIFETIME}),
            }
        )
        key = new_feed_key(chain)
    changed = next_root(
        current,
        Changes(new_epoch=True, feed_key=key.public, lifetime=10 * DAY, limits={"late": 60}),
        now=current.iat,
    )
    assert (changed.epoch, changed.exp, changed.feed.exp) == (2, current.iat + 10 * DAY, current.iat + 10 * DAY)
    assert [key.kid for key in changed.feed_keys()] == [key.kid]
    assert changed.limits == current.limits.model_copy(update={"late": 60})


async def test_the_end_is_announced_thirty_days_before(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = new_settings(tmp_path)
    await create_home(settings)
    async with open_chain(settings) as chain:
        root = chain.newest
    clock = ManualClock(root.exp - 31 * DAY)
    calendar = Calendar(lambda: InForce(1, root), clock)
    with caplog.at_level(logging.WARNING):
        assert calendar.look() is None
        clock.advance(1.5 * DAY)
        assert calendar.look() == warning(root, clock.now().wall)
        assert "the root document ends at" in caplog.text
        assert "in 29 days" in caplog.text
        calendar.look()
        assert len(caplog.records) == 1
        clock.advance(DAY)
        calendar.look()
        assert len(caplog.records) == 2
    sooner = root.model_copy(update={"feed": root.feed.model_copy(update={"exp": root.exp - DAY})})
    assert str(warning(sooner, root.exp - 2 * DAY)).startswith("the feed key ends at")
    assert "every verifier refuses; now" in str(warning(root, root.exp + 1))
    assert warning(None, root.exp) is None


async def test_ready_says_when_it_ends(desk: Desk) -> None:
    document = (await desk.client.get("/readyz")).json()
    assert document["root"]["version"] == 1
    assert document["root"]["warning"] is None
    await publish_next(desk.issuer.settings, Changes(lifetime=20 * DAY))
    root = await in_force(desk, 2)
    document = (await desk.client.get("/readyz")).json()
    assert document["ready"] is True
    assert document["root"]["ends"] == root.exp
    assert "in 19 days" in document["root"]["warning"]


async def test_the_chain_is_read_once_and_again_after_news(tmp_path: Path) -> None:
    settings = new_settings(tmp_path)
    await create_home(settings)
    store = open_store(settings)
    try:
        roots = Roots(store)
        assert await roots.signed_roots() == []
        assert await roots.waiting()
        with sqlite3.connect(Home(settings.home).database) as connection:
            connection.execute("UPDATE root_documents SET epoch = 1, seq = 1")
        connection.close()
        assert await roots.signed_roots() == []
        roots.told()
        assert len(await roots.signed_roots()) == 1
        assert not await roots.waiting()
    finally:
        await store.close()

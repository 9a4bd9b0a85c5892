"""Root documents with everything real: an issuer process, Apache Kafka, verifiers, and root keys that lie elsewhere.

What a stolen feed key can do, and from when on it can do nothing any more.
"""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ostraka_consumers import Grant, TrustAnchor, Verifier
from ostraka_consumers.clock import ManualClock
from ostraka_consumers.errors import NotReady, Revoked, VerificationError
from ostraka_consumers.sources import KafkaSource
from ostraka_consumers.status import Status
from ostraka_issuer.api_client import ApiClient, Tokens
from ostraka_issuer.cli.exits import Exit
from ostraka_issuer.home import Home
from ostraka_issuer.keys.files import KeyDirectory
from ostraka_issuer.keys.sealed import KeyUse
from ostraka_issuer.keys.vault import Vault
from ostraka_schemas.events import KeySetChanged
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.records import Head, Position, record_hash, sign_heartbeat, sign_record
from ostraka_schemas.subjects import Uri
from tests.cli.test_life import PASSWORD, Desk, until_ready
from tests.issuer.feed.world import produce, topic_values
from tests.kafka.broker import Broker
from tests.kafka.fixtures import FreshTopic
from tests.support.fake_issuer import FakeIssuer, published

SECONDS = 60.0


async def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come"
        await asyncio.sleep(0.02)


@dataclass
class Caller:
    """Logs in once, and then asks every verifier about a fresh token, again and again."""

    api: ApiClient
    verifiers: dict[str, Verifier]
    refused: list[str] = field(default_factory=list)
    asked: int = 0
    tokens: Tokens | None = None

    async def run(self) -> None:
        self.tokens = await self.api.login("alice", PASSWORD)
        while True:
            for name, verifier in self.verifiers.items():
                self.asked += 1
                try:
                    verifier.verify(self.tokens.access_token)
                except VerificationError as error:
                    self.refused.append(f"{name}: {error.code}: {error}")
            await asyncio.sleep(0.02)
            if self.asked % 25 == 0:
                self.tokens = await self.api.refresh(self.tokens.refresh_token)


@asynccontextmanager
async def calling(caller: Caller) -> AsyncIterator[None]:
    task = asyncio.create_task(caller.run())
    try:
        await until(lambda: caller.asked > 50 or task.done(), "the first answers")
        yield
        asked = caller.asked
        await until(lambda: caller.asked > asked + 50 or task.done(), "further answers")
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled(), task.exception()


def follower(desk: Desk, anchor: TrustAnchor, kafka: Broker, **more: float) -> Verifier:
    wait = 500 if kafka.true_kafka else 10
    source = KafkaSource(kafka.bootstrap, topic=desk.variables["OSTRAKA_FEED_TOPIC"], fetch_max_wait_ms=wait)
    return Verifier(anchor, audience="orders", sources=[source], ready_timeout=more.get("patience", SECONDS))


def feed_key(home: Path) -> SigningKey:
    """The one feed key that is in a home."""
    directory = KeyDirectory(Home(home).keys, Vault.load(Home(home).secret))
    (kid,) = directory.names(KeyUse.FEED)
    return directory.load(KeyUse.FEED, kid)


def ceremony(desk: Desk, stick: Path, version: int, *options: str, keys: tuple[str, ...] = ("a.pem",)) -> None:
    """Draft in the home, sign with keys that are elsewhere, publish in the home."""
    file = str(stick / f"root-{version}.json")
    assert desk("root", "new", "--out", file, *options).code == Exit.OK
    for key in keys:
        nowhere = {"OSTRAKA_HOME": str(stick / "no-home")}
        ran = Desk.__call__(_elsewhere(desk, nowhere), "root", "sign", file, "--key", str(stick / key))
        assert ran.code == Exit.OK, ran
    ran = desk("root", "publish", file)
    assert ran.code == Exit.OK, ran


def _elsewhere(desk: Desk, variables: dict[str, str]) -> Desk:
    place = object.__new__(Desk)
    place.variables = variables
    return place


@asynccontextmanager
async def serving(desk: Desk) -> AsyncIterator[ApiClient]:
    async with AsyncExitStack() as stack:
        process = stack.enter_context(desk.process("serve"))
        await until_ready(desk.url, process)
        yield await stack.enter_async_context(ApiClient(desk.url))


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    path = tmp_path / "stick"
    path.mkdir()
    return path


@pytest.fixture
def desk(tmp_path: Path, kafka: Broker, topic_prefix: str, stick: Path) -> Desk:
    """A home whose root key lies on a stick."""
    desk = Desk(tmp_path / "home", kafka, f"{topic_prefix}.feed")
    made = desk("init", "--root-key", str(stick / "a.pem"))
    assert made.code == Exit.OK, made
    ran = desk("users", "add", "alice", "-p", "orders:create", "--password-stdin", stdin=PASSWORD)
    assert ran.code == Exit.OK, ran
    return desk


@pytest.mark.true_kafka
async def test_keys_and_epochs_change_under_verifiers_that_know_the_first_anchor_only(
    desk: Desk, stick: Path, kafka: Broker
) -> None:
    first = TrustAnchor.load(Home(desk.home).anchor)
    stolen = feed_key(desk.home)
    async with serving(desk) as api, follower(desk, first, kafka) as old:
        verifiers = {"old": old}
        caller = Caller(api, verifiers)
        # Two of three root keys from now on, and then a new feed key: nobody who is in good standing notices anything.
        async with calling(caller):
            await asyncio.to_thread(_two_of_three, desk, stick)
            assert await old.wait_for(Position(1, 3), SECONDS)
            await asyncio.to_thread(ceremony, desk, stick, 3, "--rotate-feed-key", keys=("b.pem", "c.pem"))
            assert await old.wait_for(Position(1, 4), SECONDS)
            await until(lambda: old.status.freshness == "fresh", "a heartbeat by the new key")
        assert caller.refused == []
        assert caller.asked > 100
        assert old.status.alarms == ()
        async with follower(desk, first, kafka) as late:
            assert late.status.head == old.status.head

        # A new epoch: what was minted before is dead, sessions live, and who refreshes goes on.
        before = await api.login("alice", PASSWORD)
        assert old.verify(before.access_token).allows("orders:create")
        await asyncio.to_thread(ceremony, desk, stick, 4, "--rotate-feed-key", "--new-epoch", keys=("a.pem", "c.pem"))
        assert await old.wait_for(Position(2, 2), SECONDS)
        with pytest.raises(Revoked):
            old.verify(before.access_token)
        after = await api.refresh(before.refresh_token)
        assert _accepted(old, after.access_token).allows("orders:create")
        await until(lambda: old.status.freshness == "fresh", "a heartbeat of the new epoch")

        second = TrustAnchor.load(Home(desk.home).anchor)
        assert second.minimum == Position(2, 0)
        async with follower(desk, first, kafka) as late, follower(desk, second, kafka) as new:
            verifiers |= {"late": late, "new": new}
            await _attack(desk, kafka, stolen, verifiers, after.access_token)
    # The issuer, too, starts over what the thief has left in the topic.
    async with serving(desk) as api:
        fresh = await api.login("alice", PASSWORD)
        async with follower(desk, first, kafka) as again:
            assert again.verify(fresh.access_token).allows("orders:create")


def _two_of_three(desk: Desk, stick: Path) -> None:
    for name in ("b", "c"):
        made = desk("root", "key", "--out", str(stick / f"{name}.pem"))
        (stick / f"{name}.json").write_text(made.out)
    keys = [option for name in ("b", "c") for option in ("--add-root-key", str(stick / f"{name}.json"))]
    ceremony(desk, stick, 2, *keys, "--threshold", "2", keys=("a.pem", "b.pem"))


def _refusals(status: Status) -> int:
    return sum(times for outcome, times in status.counters.items() if outcome.startswith("refused."))


def _accepted(verifier: Verifier, token: str) -> Grant:
    return verifier.verify(token)


async def _attack(desk: Desk, kafka: Broker, stolen: SigningKey, verifiers: dict[str, Verifier], good: str) -> None:
    """Whoever holds the first feed key says that a key of his signs tokens, and beats on."""
    clock = ManualClock(time.time())
    forger = FakeIssuer(clock=clock, issuer=desk.url, feed_key=stolen)
    forged = forger.token()
    before = {name: verifier.status for name, verifier in verifiers.items()}
    keys = KeySetChanged(keys=[published(forger.token_key, now=forger.now)])
    lies = []
    for position in (Position(1, 5), Position(1, 6), Position(2, 3), Position(3, 1)):
        raw = sign_record(
            stolen,
            iss=desk.url,
            iat=forger.now,
            jti=f"lie {position}",
            txn=f"lie {position}",
            position=position,
            prev=bytes(32),
            subject=Uri(uri=desk.url),
            event=keys,
        )
        head = Head(position, record_hash(raw))
        lies += [raw, sign_heartbeat(stolen, iss=desk.url, iat=int(time.time()), jti="lie", head=head)]
    await produce(kafka.bootstrap, desk.variables["OSTRAKA_FEED_TOPIC"], *lies)
    for name, verifier in verifiers.items():
        wanted = _refusals(before[name]) + len(lies)
        await until(lambda verifier=verifier, wanted=wanted: _refusals(verifier.status) >= wanted, f"{name}: refusals")  # type: ignore[misc]
        status = verifier.status
        assert status.head == before[name].head
        assert status.keys == before[name].keys
        assert status.alarms == ()
        assert status.freshness == "fresh"
        assert verifier.verify(good).allows("orders:create")
        with pytest.raises(VerificationError):
            verifier.verify(forged)


@pytest.mark.true_kafka
async def test_a_thief_who_is_alone_with_a_newcomer_convinces_only_the_old_anchor(
    desk: Desk, stick: Path, kafka: Broker, fresh_topic: FreshTopic
) -> None:
    """Cut off from everything else, nobody can know better than the anchor says; so the anchor says it."""
    first = TrustAnchor.load(Home(desk.home).anchor)
    stolen = feed_key(desk.home)
    async with serving(desk), follower(desk, first, kafka) as verifier:
        epoch_1 = [raw for raw in await topic_values(kafka.bootstrap, desk.variables["OSTRAKA_FEED_TOPIC"]) if raw]
        await asyncio.to_thread(ceremony, desk, stick, 2, "--rotate-feed-key", "--new-epoch")
        assert await verifier.wait_for(Position(2, 2), SECONDS)
    second = TrustAnchor.load(Home(desk.home).anchor)
    desk.variables["OSTRAKA_FEED_TOPIC"] = alone = await fresh_topic("alone")
    records = epoch_1[:2]
    head = Head(Position(1, 2), record_hash(records[-1]))
    beat = sign_heartbeat(stolen, iss=desk.url, iat=int(time.time()), jti="lie", head=head)
    await produce(kafka.bootstrap, alone, *records, beat)
    async with follower(desk, first, kafka) as deceived:
        assert deceived.status.ready
    with pytest.raises(NotReady, match="asks for at least 2:0"):
        await follower(desk, second, kafka, patience=3.0).start()


@pytest.mark.true_kafka
async def test_a_restored_backup_goes_on_in_a_new_epoch(desk: Desk, stick: Path, kafka: Broker, tmp_path: Path) -> None:
    first = TrustAnchor.load(Home(desk.home).anchor)
    backup = tmp_path / "backup"
    async with AsyncExitStack() as stack:
        async with serving(desk) as api:
            verifier = await stack.enter_async_context(follower(desk, first, kafka))
            before = await api.login("alice", PASSWORD)
        shutil.copytree(desk.home, backup)
        async with serving(desk) as api:
            await asyncio.to_thread(ceremony, desk, stick, 2)
            assert await verifier.wait_for(Position(1, 3), SECONDS)
        shutil.rmtree(desk.home)
        shutil.copytree(backup, desk.home)

        with desk.process("serve") as process:
            _, said = await asyncio.to_thread(process.communicate, timeout=SECONDS)
        assert process.returncode == Exit.FAILED
        assert "older copy than the topic" in said
        assert "ostraka root new --new-epoch" in said

        # What was published since the backup is published again: the chain has no holes.
        assert desk("root", "publish", str(stick / "root-2.json")).code == Exit.OK
        await asyncio.to_thread(ceremony, desk, stick, 3, "--new-epoch")
        async with serving(desk) as api:
            assert await verifier.wait_for(Position(2, 2), SECONDS)
            await until(lambda: verifier.status.freshness == "fresh", "a heartbeat of the new epoch")
            with pytest.raises(Revoked):
                verifier.verify(before.access_token)
            after = await api.refresh(before.refresh_token)
            assert _accepted(verifier, after.access_token).allows("orders:create")
            async with follower(desk, first, kafka) as newcomer:
                assert newcomer.verify(after.access_token).allows("orders:create")

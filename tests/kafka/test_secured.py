"""The whole feed on a Kafka that takes TLS and SCRAM-SHA-512 only, and lets each user do no more than it must."""

import asyncio
import dataclasses
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from aiokafka.errors import TopicAuthorizationFailedError

from ostraka_consumers import Revoked, Verifier
from ostraka_consumers.sources import KafkaSecurity, KafkaSource
from ostraka_consumers.sources._aiokafka import safe_stop
from ostraka_issuer.cli.following import follow
from ostraka_issuer.home import Home
from ostraka_schemas.records import Position
from ostraka_schemas.topics import snapshots_topic
from tests.consumers.sources.recording import BRISK, RecordingSink, running
from tests.issuer.front import Desk, open_desk
from tests.kafka.acl import Operation, allow
from tests.kafka.broker import choose_broker
from tests.kafka.fixtures import start_broker
from tests.kafka.runner import ApacheKafka
from tests.kafka.secured import make_certificates, secured_properties, user_arguments
from tests.kafka.topics import create_topic

pytestmark = pytest.mark.true_kafka

PASSWORDS = {"issuer": "issuer-s3cret", "reader": "reader-s3cret"}
ISSUER_MAY = (Operation.CREATE, Operation.DESCRIBE, Operation.DESCRIBE_CONFIGS, Operation.READ, Operation.WRITE)
READER_MAY = (Operation.DESCRIBE, Operation.READ)
PATIENCE = 30.0


@dataclass(frozen=True)
class Secured:
    broker: ApacheKafka
    authority: Path

    async def new_topic(self, name: str) -> str:
        """The name of a topic that is not there yet; the issuer may make and write it, the reader may read it."""
        for topic in (name, snapshots_topic(name)):
            await allow(self.broker.bootstrap, "issuer", topic, ISSUER_MAY)
            await allow(self.broker.bootstrap, "reader", topic, READER_MAY)
        return name

    def security(self, user: str, password: str | None = None) -> KafkaSecurity:
        context = ssl.create_default_context(cafile=str(self.authority))
        return KafkaSecurity(context, user, password or PASSWORDS[user])

    def source(self, topic: str, security: KafkaSecurity | None) -> KafkaSource:
        return KafkaSource(self.broker.second_bootstrap, topic=topic, security=security, timing=BRISK)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def secured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Secured]:
    choice = choose_broker(killable=True)
    if not isinstance(choice.broker, ApacheKafka):
        pytest.skip(f"needs Apache Kafka from Maven, whose properties can be set; there is {choice.broker.kind}")
    certificates = make_certificates(tmp_path_factory.mktemp("certificates"))
    broker = ApacheKafka(secured_properties(certificates), format_arguments=user_arguments(PASSWORDS))
    try:
        await start_broker(broker, request.config)
        yield Secured(broker, certificates.authority)
    finally:
        await broker.stop()


@pytest.fixture
def access(secured: Secured, tmp_path: Path) -> dict[str, Any]:
    """The issuer's settings for this Kafka."""
    password = tmp_path / "kafka-password"
    password.write_text(PASSWORDS["issuer"] + "\n")
    return {
        "kafka": secured.broker.second_bootstrap,
        "kafka_ca_file": secured.authority,
        "kafka_username": "issuer",
        "kafka_password_file": password,
    }


async def says(desk: Desk, *words: str) -> None:
    """Wait until the issuer says these words about publishing."""
    doing = ""

    async def look() -> bool:
        nonlocal doing
        doing = (await desk.issuer.feed.state()).publishing
        return all(word in doing for word in words)

    try:
        async with asyncio.timeout(PATIENCE):
            while not await look():
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"it says {doing!r} and not {words}")


async def test_from_the_issuer_to_a_refusal(
    secured: Secured, access: dict[str, Any], tmp_path: Path, topic_prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    topic = await secured.new_topic(f"{topic_prefix}.feed")
    async with open_desk(tmp_path, feed_topic=topic, **access) as desk:
        source = secured.source(topic, secured.security("reader"))
        verifier = Verifier(desk.issuer.anchor, audience="orders", sources=[source], ready_timeout=PATIENCE)
        async with verifier:
            token = (await desk.login("alice"))["access_token"]
            assert verifier.verify(token).allows("orders:create")
            answer = await desk.client.post(
                "/admin/revocations",
                json={"kind": "subject", "username": "alice"},
                headers=await desk.bearer(),
            )
            assert answer.status_code == 200, answer.text
            body = answer.json()
            assert await verifier.wait_for(Position(body["epoch"], body["seq"]), PATIENCE)
            with pytest.raises(Revoked):
                verifier.verify(token)
        shown = f"{desk.issuer!r} {desk.issuer.settings!r} {source!r} {caplog.text}"
    assert not [password for password in PASSWORDS.values() if password in shown]


async def test_the_commands_read_it_with_what_the_environment_says(
    secured: Secured, access: dict[str, Any], tmp_path: Path, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = await secured.new_topic(f"{topic_prefix}.feed")
    async with open_desk(tmp_path, feed_topic=topic, **access) as desk:
        monkeypatch.setenv("OSTRAKA_KAFKA_CA_FILE", str(secured.authority))
        monkeypatch.setenv("OSTRAKA_KAFKA_USERNAME", "reader")
        monkeypatch.setenv("OSTRAKA_KAFKA_PASSWORD", PASSWORDS["reader"])
        anchor = Home(desk.issuer.settings.home).anchor
        verifier = follow(
            home=tmp_path, anchor=anchor, kafka=access["kafka"], topic=topic, audience=["orders"], patience=PATIENCE
        )
        async with verifier:
            assert verifier.verify((await desk.login("alice"))["access_token"]).allows("orders:create")


async def test_who_may_only_read_cannot_write_or_make_topics(secured: Secured, topic_prefix: str) -> None:
    topic = await secured.new_topic(f"{topic_prefix}.feed")
    options = secured.security("reader").client_options()
    producer = AIOKafkaProducer(bootstrap_servers=secured.broker.second_bootstrap, request_timeout_ms=5_000, **options)
    sink = RecordingSink()
    try:
        await producer.start()
        async with running(secured.source(topic, secured.security("reader")), sink):
            await sink.says("the topic does not exist")
        await create_topic(secured.broker.bootstrap, topic)
        with pytest.raises(TopicAuthorizationFailedError):
            await producer.send_and_wait(topic, b"not ours", partition=0)
    finally:
        await safe_stop(producer)


async def test_without_a_right_to_the_snapshots_the_feed_is_read_all_the_same(
    secured: Secured, topic_prefix: str
) -> None:
    topic = f"{topic_prefix}.feed"
    await allow(secured.broker.bootstrap, "reader", topic, READER_MAY)
    await create_topic(secured.broker.bootstrap, topic)
    sink = RecordingSink()
    async with running(secured.source(topic, secured.security("reader")), sink):
        await sink.says("reading")
        async with AIOKafkaProducer(bootstrap_servers=secured.broker.bootstrap) as producer:
            await producer.send_and_wait(topic, b"a record", partition=0)
        await sink.holds(b"a record")


async def test_an_issuer_that_may_not_write_says_so_and_becomes_able_to(
    secured: Secured, access: dict[str, Any], tmp_path: Path, topic_prefix: str
) -> None:
    topic = f"{topic_prefix}.feed"
    async with open_desk(tmp_path, feed_topic=topic, **access) as desk:
        await says(desk, "ACL", topic)
        answer = await desk.client.get("/readyz")
        assert answer.status_code == 503
        assert any("ACL" in reason for reason in answer.json()["reasons"])
        await secured.new_topic(topic)
        await says(desk, "publishing")
        assert (await desk.client.get("/readyz")).status_code == 200


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kafka_password_file": None, "kafka_password": "wr0ng-word"}, ("refuses to authenticate 'issuer'", "SCRAM")),
        ({"kafka_mechanism": "PLAIN"}, ("does not offer", "PLAIN")),
        ({"kafka_ca_file": None, "kafka_tls": True}, ("TLS fails", "certificate")),
        ({"kafka_ca_file": None}, ("ends the connection", "may want TLS")),
    ],
    ids=["password", "mechanism", "authority", "no TLS"],
)
async def test_the_issuer_says_why_it_is_not_let_in(
    access: dict[str, Any],
    tmp_path: Path,
    change: dict[str, Any],
    words: tuple[str, ...],
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with open_desk(tmp_path, **access | change) as desk:
        await says(desk, *words)
        answer = await desk.client.get("/readyz")
    assert "wr0ng-word" not in answer.text + caplog.text


async def test_a_verifier_says_why_it_is_not_let_in(secured: Secured) -> None:
    right, sink = secured.security("reader"), RecordingSink()
    async with running(secured.source("feed", secured.security("reader", "wr0ng-word")), sink):
        await sink.says("refuses to authenticate 'reader'")
    async with running(secured.source("feed", dataclasses.replace(right, ssl_context=None)), sink):
        await sink.says("ends the connection")
    async with running(secured.source("feed", right), sink):
        await sink.says("not allowed to read the topic feed")
    assert not [state for state in sink.states if "wr0ng-word" in state]

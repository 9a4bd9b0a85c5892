"""FastStream's logic without a broker: which handler is called, with which grant."""

import json
import math
from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from blockbuster import blockbuster_ctx
from faststream import AckPolicy, Depends
from faststream.kafka import KafkaBroker, KafkaRouter, TestKafkaBroker

from ostraka_consumers import ConfigurationError, Grant, Stale, Verifier
from ostraka_consumers.integrations.faststream import OstrakaMiddleware, current_grant, requires
from tests.support.fake_issuer import FakeIssuer
from tests.support.verifiers import ready_verifier


@pytest.fixture
def issuer() -> FakeIssuer:
    return FakeIssuer()


@pytest.fixture
async def verifier(issuer: FakeIssuer) -> AsyncIterator[Verifier]:
    verifier = await ready_verifier(issuer)
    yield verifier
    await verifier.stop()


class Service:
    """A broker with one handler, which notes what it was called with."""

    def __init__(self, verifier: Verifier, *permissions: str, **options: Any) -> None:
        self.calls: list[tuple[Any, Grant]] = []
        bounds = options.pop("bounds", {})
        self.broker = KafkaBroker()
        # On the router: a TestKafkaBroker reads what publishers publish, through the middlewares of the broker.
        guarded = KafkaRouter(middlewares=[OstrakaMiddleware(verifier, **options)])
        dependency = requires(*permissions, **bounds) if permissions else _anybody

        @guarded.subscriber("orders", group_id="orders", ack_policy=AckPolicy.ACK)
        @guarded.publisher("done")
        async def take(order: dict[str, Any], grant: Annotated[Grant, Depends(dependency)]) -> dict[str, Any]:
            self.calls.append((order, grant))
            grant.require(order.get("needs", "orders:read"))
            return order

        self.broker.include_router(guarded)


async def _anybody() -> Grant:
    return current_grant()


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any, dict[str, str]]]:
    """What is written to any topic of a TestKafkaBroker: topic, body, headers."""
    from faststream.kafka.testing import FakeProducer

    written: list[tuple[str, Any, dict[str, str]]] = []
    real = FakeProducer.publish

    async def publish(self: FakeProducer, cmd: Any) -> None:
        written.append((cmd.destination, cmd.body, dict(cmd.headers)))
        await real(self, cmd)

    monkeypatch.setattr(FakeProducer, "publish", publish)
    return written


Published = list[tuple[str, Any, dict[str, str]]]


async def test_the_handler_gets_the_grant(issuer: FakeIssuer, verifier: Verifier, published: Published) -> None:
    service = Service(verifier, "orders:create")
    async with TestKafkaBroker(service.broker) as broker:
        with blockbuster_ctx():
            await broker.publish({"order": 1}, "orders", headers=bearer(issuer.token(sub="bob")))
    [(order, grant)] = service.calls
    assert (order, grant.subject) == ({"order": 1}, "bob")
    assert [topic for topic, *_ in published] == ["orders", "done"]


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        (None, "no_token"),
        ({"authorization": "Bearer a.b.c"}, "malformed"),
        ({"authorization": "Basic x"}, "malformed"),
    ],
)
async def test_without_a_good_token_the_handler_is_not_called_and_nothing_is_published_for_it(
    verifier: Verifier, published: Published, headers: dict[str, str] | None, reason: str
) -> None:
    service = Service(verifier, "orders:create")
    async with TestKafkaBroker(service.broker) as broker:
        await broker.publish({"order": 1}, "orders", headers=headers)
    assert service.calls == []
    assert [topic for topic, *_ in published] == ["orders", "orders.rejected"]
    _, body, found = published[1]
    assert (json.loads(body), found["ostraka-reason"]) == ({"order": 1}, reason)
    assert float(found["ostraka-rejected-at"]) == verifier.clock.now().wall


async def test_a_permission_that_is_missing_or_gone(
    issuer: FakeIssuer, verifier: Verifier, published: Published
) -> None:
    service = Service(verifier, "orders:create")
    token = issuer.token()
    async with TestKafkaBroker(service.broker) as broker:
        await broker.publish({"order": 1}, "orders", headers=bearer(issuer.token(permissions=["reports:read"])))
        await broker.publish({"order": 2}, "orders", headers=bearer(token))
        verifier.deliver(issuer.revoke_permission("orders:create"))
        await broker.publish({"order": 3}, "orders", headers=bearer(token))
    assert [order["order"] for order, _ in service.calls] == [2]
    rejected = [headers["ostraka-reason"] for topic, _, headers in published if topic == "orders.rejected"]
    assert rejected == ["permission_denied"] * 2


async def test_a_permission_that_the_handler_asks_for_itself(
    issuer: FakeIssuer, verifier: Verifier, published: Published
) -> None:
    service = Service(verifier)
    async with TestKafkaBroker(service.broker) as broker:
        await broker.publish({"needs": "reports:read"}, "orders", headers=bearer(issuer.token()))
    assert len(service.calls) == 1
    assert [topic for topic, *_ in published] == ["orders", "orders.rejected"]


async def test_permissions_that_every_message_needs(issuer: FakeIssuer, verifier: Verifier) -> None:
    service = Service(verifier, require=["reports:read"])
    async with TestKafkaBroker(service.broker) as broker:
        await broker.publish({}, "orders", headers=bearer(issuer.token()))
        await broker.publish(
            {"needs": "reports:read"}, "orders", headers=bearer(issuer.token(permissions=["reports:read"]))
        )
    assert len(service.calls) == 1


async def test_refused_messages_go_where_the_owner_says(verifier: Verifier, published: Published) -> None:
    service = Service(verifier, rejected_topic=lambda topic: f"quarantine.{topic}")
    async with TestKafkaBroker(service.broker) as broker:
        await broker.publish({}, "orders")
    assert [topic for topic, *_ in published] == ["orders", "quarantine.orders"]


async def test_a_message_waits_for_a_verifier_that_cannot_decide(
    issuer: FakeIssuer, verifier: Verifier, published: Published
) -> None:
    service = Service(verifier, "orders:create")
    token = issuer.token()
    issuer.clock.advance(100)
    looks = 0
    real = verifier.verify

    def verify(*args: Any, **options: Any) -> Grant:
        nonlocal looks
        looks += 1
        if looks == 3:
            verifier.deliver(issuer.heartbeat())
        return real(*args, **options)

    verifier.verify = verify  # type: ignore[method-assign]
    async with TestKafkaBroker(service.broker) as broker:
        await broker.publish({"order": 1}, "orders", headers=bearer(token))
    assert looks == 3
    assert [topic for topic, *_ in published] == ["orders", "done"]


async def test_a_token_that_dies_while_its_message_waits_is_refused(
    issuer: FakeIssuer, verifier: Verifier, published: Published
) -> None:
    service = Service(verifier, "orders:create")
    token = issuer.token()
    issuer.clock.advance(100)
    real, looks = verifier.verify, 0

    def verify(*args: Any, **options: Any) -> Grant:
        nonlocal looks
        looks += 1
        if looks == 2:
            verifier.deliver(issuer.cut_subject("alice"))
            verifier.deliver(issuer.heartbeat())
        return real(*args, **options)

    verifier.verify = verify  # type: ignore[method-assign]
    async with TestKafkaBroker(service.broker) as broker:
        await broker.publish({"order": 1}, "orders", headers=bearer(token))
    assert service.calls == []
    assert published[1][2]["ostraka-reason"] == "revoked"


@pytest.mark.parametrize("died", [False, True])
async def test_a_handler_that_bears_less_staleness_waits_for_news(
    issuer: FakeIssuer, verifier: Verifier, published: Published, died: bool
) -> None:
    service = Service(verifier, "orders:create", bounds={"max_staleness": 15})
    token = issuer.token()
    issuer.clock.advance(30)
    real, looks = verifier.verify, []

    def verify(*args: Any, **options: Any) -> Grant:
        looks.append(options["max_staleness"])
        if len(looks) == 4:
            if died:
                verifier.deliver(issuer.cut_subject("alice"))
            verifier.deliver(issuer.heartbeat())
        return real(*args, **options)

    verifier.verify = verify  # type: ignore[method-assign]
    async with TestKafkaBroker(service.broker) as broker:
        await broker.publish({"order": 1}, "orders", headers=bearer(token))
    assert looks == [math.inf, 15, 15, 15]
    assert len(service.calls) == (0 if died else 1)
    assert [topic for topic, *_ in published] == ["orders", "orders.rejected" if died else "done"]
    if died:
        assert published[1][2]["ostraka-reason"] == "revoked"


async def test_the_middleware_may_bear_less_and_give_grace(issuer: FakeIssuer, verifier: Verifier) -> None:
    token = issuer.token()
    issuer.clock.advance(30)
    strict = OstrakaMiddleware(verifier, max_staleness=15)
    headers = [("authorization", f"Bearer {token}".encode())]
    with pytest.raises(Stale):
        strict.decide(headers)
    assert OstrakaMiddleware(verifier).decide(headers).subject == "alice"
    issuer.clock.advance(100)
    with pytest.raises(Stale):
        OstrakaMiddleware(verifier).decide(headers)
    lenient = Service(verifier, "orders:create", grace="until_exp")
    async with TestKafkaBroker(lenient.broker) as broker:
        await broker.publish({"order": 1}, "orders", headers=bearer(token))
    assert len(lenient.calls) == 1
    assert verifier.status.counters["token.grace"] == 1


async def test_a_handler_without_grace_under_a_middleware_that_gives_it(
    issuer: FakeIssuer, verifier: Verifier, caplog: pytest.LogCaptureFixture
) -> None:
    token = issuer.token()
    issuer.clock.advance(100)
    options: dict[str, Any] = {"grace": "until_exp", "patience": 0, "jitter": lambda _: 0.0}
    for bounds, calls in (({"max_staleness": 60}, 0), ({"max_staleness": 60, "grace": "until_exp"}, 1)):
        service = Service(verifier, "orders:create", bounds=bounds, **options)
        async with TestKafkaBroker(service.broker) as broker:
            await broker.publish({"order": 1}, "orders", headers=bearer(token))
        assert len(service.calls) == calls
    assert caplog.text.count("the verifier cannot decide") == 1


@pytest.mark.parametrize("bounds", [{"max_staleness": 0}, {"max_staleness": float("nan")}, {"grace": "ever"}])
def test_a_bound_that_is_none_is_said_at_once(verifier: Verifier, bounds: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        requires("orders:read", **bounds)
    with pytest.raises(ConfigurationError):
        OstrakaMiddleware(verifier, **bounds)


async def test_the_grant_does_not_outlive_its_message(issuer: FakeIssuer, verifier: Verifier) -> None:
    service = Service(verifier)
    async with TestKafkaBroker(service.broker) as broker:
        await broker.publish({}, "orders", headers=bearer(issuer.token()))
    with pytest.raises(ConfigurationError, match="no grant here"):
        current_grant()


async def test_a_handler_that_requires_without_the_middleware_is_not_called(issuer: FakeIssuer) -> None:
    broker = KafkaBroker()
    called = False

    @broker.subscriber("orders")
    async def take(order: dict[str, Any], grant: Annotated[Grant, Depends(requires("orders:create"))]) -> None:
        nonlocal called
        called = True

    async with TestKafkaBroker(broker):
        with pytest.raises(ConfigurationError, match="no grant here"):
            await broker.publish({}, "orders", headers=bearer(issuer.token()))
    assert not called


async def test_batches_are_refused_with_the_reason(issuer: FakeIssuer, verifier: Verifier) -> None:
    broker = KafkaBroker(middlewares=[OstrakaMiddleware(verifier, jitter=lambda most: 0.0)])
    called = False

    @broker.subscriber("orders", batch=True)
    async def take(orders: list[dict[str, Any]]) -> None:
        nonlocal called
        called = True

    async with TestKafkaBroker(broker):
        with pytest.raises(ConfigurationError, match="batch subscribers are not supported"):
            await broker.publish_batch({"order": 1}, {"order": 2}, topic="orders", headers=bearer(issuer.token()))
    assert not called


async def test_synchronous_handlers_see_the_grant_too(issuer: FakeIssuer, verifier: Verifier) -> None:
    broker = KafkaBroker(middlewares=[OstrakaMiddleware(verifier)])
    subjects = []

    @broker.subscriber("orders")
    def take(order: dict[str, Any]) -> None:
        subjects.append(current_grant().subject)

    async with TestKafkaBroker(broker):
        await broker.publish({}, "orders", headers=bearer(issuer.token()))
    assert subjects == ["alice"]


@pytest.mark.parametrize("permissions", [(), ("",), ("orders",), (None,), ("orders:create", "x y:z")])
def test_a_requirement_that_is_none_is_a_mistake_at_once(permissions: tuple[Any, ...]) -> None:
    with pytest.raises(ConfigurationError):
        requires(*permissions)


@pytest.mark.parametrize("require", [[], (), "", "orders", ["orders"], [None]])
def test_so_it_is_for_the_middleware(verifier: Verifier, require: Any) -> None:
    with pytest.raises(ConfigurationError):
        OstrakaMiddleware(verifier, require=require)

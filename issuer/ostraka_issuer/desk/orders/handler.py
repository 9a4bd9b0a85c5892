"""The handler of events: takes orders and makes reports from two topics, and says on a third what it has done."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

from aiokafka import ConsumerRecord
from faststream import AckPolicy, Depends, FastStream
from faststream.kafka import KafkaBroker, KafkaMessage

from ostraka_consumers.grant import Grant
from ostraka_consumers.integrations.faststream import OstrakaMiddleware, requires

from .settings import READY, OrdersSettings

GROUP = "orders-handler"


def create_app(settings: OrdersSettings) -> FastStream:
    """The service as a FastStream application."""
    verifier = settings.verifier()
    broker = KafkaBroker(
        settings.kafka,
        middlewares=[OstrakaMiddleware(verifier)],
        acks="all",
        allow_auto_create_topics=False,
        logger=None,
    )

    # One subscriber for both topics: one consumer, one group to join.
    subscriber = broker.subscriber(
        settings.orders,
        settings.reports,
        group_id=f"{settings.topics}{GROUP}",
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.ACK,
        # An incoming header must not choose where the answer goes.
        no_reply=True,
        fetch_max_wait_ms=settings.fetch_wait_ms,
    )

    async def done(order: dict[str, Any], grant: Grant) -> None:
        await broker.publish({"order": order.get("order"), "for": grant.subject}, settings.done)

    @subscriber(filter=_from_topic(settings.orders))
    async def take_order(order: dict[str, Any], grant: Annotated[Grant, Depends(requires("orders:create"))]) -> None:
        await done(order, grant)

    @subscriber(filter=_from_topic(settings.reports))
    async def make_report(order: dict[str, Any], grant: Annotated[Grant, Depends(requires("reports:read"))]) -> None:
        await done(order, grant)

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with verifier:
            yield

    app = FastStream(broker, lifespan=lifespan, logger=None)

    @app.after_startup
    async def ready() -> None:
        logging.getLogger("orders").warning(READY)

    return app


def _from_topic(name: str) -> Callable[[KafkaMessage], Awaitable[bool]]:
    async def matches(message: KafkaMessage) -> bool:
        record = message.raw_message
        return isinstance(record, ConsumerRecord) and record.topic == name

    return matches


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(create_app(OrdersSettings.from_environment()).run())

"""A handler of events that takes orders from whoever may create them; each message carries its sender's token.

OSTRAKA_ANCHOR=anchor.json OSTRAKA_KAFKA=kafka:9092 python orders_handler.py

The topics ``orders`` and ``orders.rejected`` must be there; some brokers make them when they are first used.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from faststream import AckPolicy, Depends, FastStream
from faststream.kafka import KafkaBroker

from ostraka_consumers import Grant, TrustAnchor, Verifier
from ostraka_consumers.integrations.faststream import OstrakaMiddleware, requires
from ostraka_consumers.sources import KafkaSource

anchor, kafka = TrustAnchor.load(os.environ["OSTRAKA_ANCHOR"]), os.environ["OSTRAKA_KAFKA"]
verifier = Verifier(anchor, audience="orders", sources=[KafkaSource(kafka)])
broker = KafkaBroker(kafka, middlewares=[OstrakaMiddleware(verifier)])


@broker.subscriber("orders", group_id="orders", auto_offset_reset="earliest", ack_policy=AckPolicy.ACK, no_reply=True)
async def handle(order: dict[str, int], grant: Annotated[Grant, Depends(requires("orders:create"))]) -> None:
    print(f"order {order} of {grant.subject}", flush=True)


@asynccontextmanager
async def lifespan() -> AsyncIterator[None]:
    async with verifier:  # nothing is consumed before tokens can be decided
        yield


app = FastStream(broker, lifespan=lifespan)

if __name__ == "__main__":
    asyncio.run(app.run())

"""A plain aiokafka consumer that takes orders from whoever may create them; each message carries its sender's token.

OSTRAKA_ANCHOR=anchor.json OSTRAKA_KAFKA=kafka:9092 python orders_aiokafka.py

The topics ``orders`` and ``orders.rejected`` must be there; some brokers make them when they are first used.
"""

import asyncio
import os

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from ostraka_consumers import TrustAnchor, Verifier
from ostraka_consumers.integrations.aiokafka import secured
from ostraka_consumers.sources import KafkaSource


async def main() -> None:
    anchor, kafka = TrustAnchor.load(os.environ["OSTRAKA_ANCHOR"]), os.environ["OSTRAKA_KAFKA"]
    verifier = Verifier(anchor, audience="orders", sources=[KafkaSource(kafka)])
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all")
    consumer = AIOKafkaConsumer(
        "orders",
        bootstrap_servers=kafka,
        group_id="orders-aiokafka",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    async with verifier, producer, consumer:
        async for record, grant in secured(consumer, verifier, producer=producer, requires="orders:create"):
            print(f"order {record.value!r} of {grant.subject}", flush=True)
            await consumer.commit()


if __name__ == "__main__":
    asyncio.run(main())

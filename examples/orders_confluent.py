"""A confluent-kafka consumer that takes orders from whoever may create them; each message carries its sender's token.

OSTRAKA_ANCHOR=anchor.json OSTRAKA_KAFKA=kafka:9092 python orders_confluent.py

The topics ``orders`` and ``orders.rejected`` must be there; some brokers make them when they are first used.
"""

import os
import signal
import threading

from confluent_kafka import Consumer, Producer

from ostraka_consumers import TrustAnchor
from ostraka_consumers.integrations.confluent import secured
from ostraka_consumers.integrations.threads import ThreadVerifier
from ostraka_consumers.sources import KafkaSource

anchor, kafka = TrustAnchor.load(os.environ["OSTRAKA_ANCHOR"]), os.environ["OSTRAKA_KAFKA"]
verifier = ThreadVerifier(anchor, audience="orders", sources=[KafkaSource(kafka)])


def main() -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    producer = Producer({"bootstrap.servers": kafka})
    consumer = Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": "orders-confluent",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe(["orders"])
    with verifier:
        for message, grant in secured(consumer, verifier, producer=producer, requires="orders:create", stop=stop):
            print(f"order {message.value()!r} of {grant.subject}", flush=True)
            consumer.commit(message=message)
    consumer.close()


if __name__ == "__main__":
    main()

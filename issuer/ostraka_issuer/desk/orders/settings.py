"""What the two services are told by environment variables."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

from ostraka_consumers.anchor import TrustAnchor
from ostraka_consumers.sources.kafka import KafkaSource
from ostraka_consumers.verifier import Verifier

AUDIENCE: Final = "orders"
READY: Final = "ready: takes orders"
"""What a service writes to its log when it does."""

_PREFIX: Final = "OSTRAKA_"


@dataclass(frozen=True, slots=True)
class OrdersSettings:
    """Settings of a service.

    Attributes:
        anchor: path of the trust anchor.
        kafka: bootstrap servers.
        feed_topic: topic of the feed.
        topics: what the names of the services' own topics begin with.
        http_port: where the web service listens, on 127.0.0.1.
        fetch_wait_ms: how long the broker may hold back an empty answer; low for the embedded one, which looks twice in
            that time and not more often.
    """

    anchor: str
    kafka: str
    feed_topic: str
    topics: str
    http_port: int = 8401
    fetch_wait_ms: int = 500

    def to_environment(self) -> dict[str, str]:
        """As environment variables."""
        return {f"{_PREFIX}{field.name.upper()}": str(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "OrdersSettings":
        """Read what ``to_environment`` wrote."""
        values = {field.name: environment[f"{_PREFIX}{field.name.upper()}"] for field in fields(cls)}
        return cls(
            anchor=values["anchor"],
            kafka=values["kafka"],
            feed_topic=values["feed_topic"],
            topics=values["topics"],
            http_port=int(values["http_port"]),
            fetch_wait_ms=int(values["fetch_wait_ms"]),
        )

    @property
    def orders(self) -> str:
        """Topic of orders to take; needs ``orders:create``."""
        return f"{self.topics}orders"

    @property
    def reports(self) -> str:
        """Topic of reports to make; needs ``reports:read``."""
        return f"{self.topics}reports"

    @property
    def done(self) -> str:
        """Topic on which the handler says what it has done."""
        return f"{self.topics}orders.done"

    def verifier(self) -> Verifier:
        """The verifier that decides for the service."""
        source = KafkaSource(self.kafka, topic=self.feed_topic, fetch_max_wait_ms=self.fetch_wait_ms)
        return Verifier(TrustAnchor.load(self.anchor), audience=AUDIENCE, sources=[source])

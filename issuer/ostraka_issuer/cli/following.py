"""A verifier for commands that look at the feed themselves: ``verify`` and ``watch``."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Final

from ostraka_consumers.anchor import TrustAnchor
from ostraka_consumers.sources.kafka import KafkaSource
from ostraka_consumers.verifier import Verifier
from ostraka_issuer.home import Home
from ostraka_issuer.settings import load_kafka_access
from ostraka_schemas.records import Record

PATIENCE: Final = 15.0
"""Three heartbeats: a feed that is alive answers sooner."""


def follow(
    *,
    home: Path,
    anchor: Path | None,
    kafka: str,
    topic: str,
    audience: Collection[str],
    patience: float = PATIENCE,
    snapshots: bool = True,
    applied: Callable[[Sequence[Record]], None] | None = None,
) -> Verifier:
    """Make a verifier, not started, that waits up to ``patience`` seconds for the feed.

    How to authenticate to Kafka is among the settings, as for the issuer.

    Args:
        snapshots: whether it may start from a snapshot; if not, it reads all that the topic holds.
        applied: called with the records that take effect.

    Raises:
        ConfigurationError: there is no trust anchor, or the address is none.
        SetupError: what they say about Kafka cannot be used.
    """
    trusted = TrustAnchor.load(anchor.expanduser() if anchor else Home(home.expanduser()).anchor)
    security = load_kafka_access().kafka_security
    source = KafkaSource(
        kafka, topic=topic, snapshots=None if snapshots else "", client_id="ostraka-cli", security=security
    )
    return Verifier(trusted, audience=audience, sources=[source], ready_timeout=patience, applied=applied)

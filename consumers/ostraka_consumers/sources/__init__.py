"""Where the feed comes from."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .http import HttpSource
    from .kafka import KafkaSource
    from .security import KafkaSecurity

__all__ = ["HttpSource", "KafkaSecurity", "KafkaSource"]


def __getattr__(name: str) -> Any:
    # Only who uses Kafka loads aiokafka, and only who uses HTTP httpx; the verifier needs this package for its seam.
    if name == "HttpSource":
        from .http import HttpSource  # noqa: PLC0415

        return HttpSource
    if name == "KafkaSource":
        from .kafka import KafkaSource  # noqa: PLC0415

        return KafkaSource
    if name == "KafkaSecurity":
        from .security import KafkaSecurity  # noqa: PLC0415

        return KafkaSecurity
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

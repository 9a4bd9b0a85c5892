"""Texts in settings that must have a form of their own: addresses, names of topics, URLs."""

import re
from typing import Final
from urllib.parse import urlsplit

PORT_MAX: Final = 65_535
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")
"""What Kafka lets a topic be called (org.apache.kafka.common.internals.Topic)."""
_LONGEST_ENDING: Final = len(".snapshots")


def is_kafka_address(text: str) -> bool:
    """Whether it is ``host:port``."""
    host, _, port = text.strip().rpartition(":")
    return bool(host) and " " not in host and port.isascii() and port.isdecimal() and 1 <= int(port) <= PORT_MAX


def is_feed_topic(text: str) -> bool:
    """Whether a topic can be called so, and another one with an ending more."""
    return bool(_TOPIC.fullmatch(text)) and text not in (".", "..") and len(text) + _LONGEST_ENDING <= 249


def is_issuer(text: str) -> bool:
    """Whether it is an issuer identifier: an URL without query and fragment (RFC 8414 §2), and without a user.

    Plain http is for the desk; nothing here rests on TLS.
    """
    try:
        parts = urlsplit(text)
        port_fits = parts.port is None or parts.port > 0
    except ValueError:
        return False
    good = parts.scheme in ("http", "https") and bool(parts.hostname) and port_fits and text.isprintable()
    return good and "@" not in parts.netloc and " " not in text and not (parts.query or parts.fragment)

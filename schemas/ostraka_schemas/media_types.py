"""The `typ` of every JWS in the system; each kind has its own (RFC 8725, section 3.11)."""

from typing import Final

ACCESS_TOKEN: Final = "at+jwt"
"""RFC 9068, section 2.1."""

FEED_RECORD: Final = "secevent+jwt"
"""RFC 8417, section 2.3: feed records and heartbeats."""

ROOT_DOCUMENT: Final = "ostraka-root+jwt"
"""A root document, signed by the root keys."""

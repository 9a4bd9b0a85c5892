"""Every bound of the wire formats, in one place, each with its reason.

Sizes are bytes of the encoded form, times are seconds. A signer refuses to sign what a verifier would refuse to read.
"""

from typing import Final

TOKEN_MAX_BYTES: Final = 8 * 1024
"""A token travels in an HTTP header; common servers stop at 8 KiB."""

RECORD_MAX_BYTES: Final = 64 * 1024
"""One feed record. Small enough to read whole, large enough for some 1,200 revoked token ids."""

SNAPSHOT_PART_MAX_BYTES: Final = 256 * 1024
"""One part of a snapshot, the one kind allowed above ``RECORD_MAX_BYTES``: some 9,000 denied tokens."""

SNAPSHOT_PARTS_MAX: Final = 1_024
"""Some nine million denied tokens: more than a verifier holds."""

ROOT_MAX_BYTES: Final = 32 * 1024
"""A root document must fit, base64url-encoded, into one feed record."""

ROOT_WIRE_MAX_BYTES: Final = 48 * 1024
"""The same with its signatures, as JSON."""

ROOT_VERSIONS_MAX: Final = 1_024
"""Steps from the version a verifier was deployed with to the newest: one a month for a lifetime (TUF §5.3.3)."""

KID_MAX_CHARS: Final = 64
"""A SHA-256 thumbprint (RFC 7638) has 43 characters; 64 leaves room for foreign issuers."""

ID_MAX_CHARS: Final = 255
"""Subjects, clients, sessions, token ids, transaction ids (OpenID Connect Core §2 bounds ``sub`` the same way)."""

TEXT_MAX_CHARS: Final = 1_024
"""A reason that a person wrote."""

PERMISSION_MAX_CHARS: Final = 128
PERMISSIONS_MAX: Final = 256
"""Permissions in one token: more would not fit into ``TOKEN_MAX_BYTES`` anyway."""

AUDIENCES_MAX: Final = 32
TOKENS_PER_RECORD_MAX: Final = 2_048
"""Entries of one bulk revocation; ``RECORD_MAX_BYTES`` is met first for ids of 128 bits."""

TOKEN_KEYS_MAX: Final = 16
"""Keys in the key set: the active one, its successor and those whose tokens still live."""

ROOT_KEYS_MAX: Final = 16
ROOT_SIGNATURES_MAX: Final = 2 * ROOT_KEYS_MAX
"""Those of the version before may all differ from this one's."""

FEED_KEYS_MAX: Final = 4

ERRORS_LISTED_MAX: Final = 64
"""A text can be wrong in a hundred thousand places; to list them took most of a second. Beyond it they are counted."""

JSON_MAX_DEPTH: Final = 16
"""No structure of ours is deeper than nine."""

SEQ_MAX: Final = 2**53 - 1
"""The largest integer that every JSON reader keeps exact (RFC 8259 §6)."""

CLOCK_TOLERANCE: Final = 10
"""How far two clocks may differ (FAPI 2.0 §5.3.2.1 accepts ``iat`` and ``nbf`` up to 10 s ahead)."""

HEARTBEAT_INTERVAL: Final = 5
"""Three heartbeats may be lost before a verifier stops being fresh."""

MAX_STALENESS: Final = 60
"""How long a verifier decides without news; the promise to operators rests on it."""

TOKEN_LIFETIME: Final = 300
TOKEN_LIFETIME_MAX: Final = 900
"""A deny-list entry lives as long as the longest token, so this bounds memory too."""

TOKEN_KEY_LIFETIME_MAX: Final = 366 * 24 * 3600
"""Longest life of one token-signing key (NIST SP 800-57 part 1 §5.3.6: 1 to 3 years for signature keys)."""

RSA_MIN_BITS: Final = 2_048
RSA_MAX_BITS: Final = 4_096
"""Verification cost grows with the square of the size; nothing larger is needed before 2030."""

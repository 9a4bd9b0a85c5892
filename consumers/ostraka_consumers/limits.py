"""Every bound of the verifier, in one place, each with its reason. Times are seconds, sizes bytes.

What both sides must agree on stands in ``ostraka_schemas.limits``.
"""

from typing import Final

from ostraka_schemas.limits import CLOCK_TOLERANCE, HEARTBEAT_INTERVAL

HOLD_MAX_RECORDS: Final = 1_024
HOLD_MAX_BYTES: Final = 1024 * 1024
"""Records that came before their turn. More than this is no reordering but a gap: read again."""

HASH_WINDOW: Final = 4_096
"""How many positions back a second content for one position is recognised, and a repeat costs no signature check."""

EVIDENCE_MAX_BYTES: Final = 1024 * 1024
"""Newest records kept whole, so that both sides of an equivocation can be shown."""

EVIDENCE_MAX: Final = 8
"""Equivocations kept. One is enough to prove it; more would let a thief of the feed key fill the memory."""

FRESH_FOR: Final = 3 * HEARTBEAT_INTERVAL
"""Two heartbeats may be lost."""

DENY_BUCKETS: Final = 16
"""A look-up asks each bucket, so few; an entry outstays its time by at most one bucket, so not too few."""

DENY_BUCKET_MIN_SECONDS: Final = 60

STATE_ENTRIES_MAX: Final = 8_000_000
"""Deny-list entries, cut-offs and narrowings together: some 800 MB. Beyond it the verifier stops vouching."""

COMPROMISED_KEYS_MAX: Final = 1_024
"""A compromised key stays compromised whatever a later key set says."""

HEADER_CACHE_MAX: Final = 64
"""Token headers already read: one a key, and some spellings of it."""

REMEMBERED_TOKENS: Final = 100_000
"""Verified tokens remembered by default, some 1.5 kB each."""

CHANGES_QUEUE_MAX: Final = 10_000
"""Applied records waiting for one slow watcher; beyond it the watcher is told that it missed some."""

READY_TIMEOUT: Final = 30.0
"""How long a service waits for the feed at start before it gives up and says why."""

STALENESS_MARGIN: Final = CLOCK_TOLERANCE
"""What the clocks of issuer and verifier may differ by, on top of ``max_staleness``."""

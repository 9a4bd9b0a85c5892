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

CLOCK_STEP_TOLERANCE: Final = 2.0
"""Heartbeats are in step with the time if they come as far apart as they were signed, give or take this."""

CLOCKS_AGREED_FOR: Final = 60.0
"""After so long in which wall clock and heartbeats agree, a signed time ahead of both is no longer believed."""

DENY_BUCKETS: Final = 16
"""A look-up asks each bucket, so few; an entry outstays its time by at most one bucket, so not too few."""

DENY_BUCKET_MIN_SECONDS: Final = 60

STATE_WEIGHT_MAX: Final = 8_000_000
"""All that is remembered, a denied token or a permission in a narrowing being 1 (some 120 bytes): some 1 GB. Beyond it
the verifier stops vouching."""

HOLDER_WEIGHT: Final = 6
"""What a cut-off or a narrowing weighs, beside the permissions in it: each has a name and a place (some 700 bytes)."""

ISSUER_CLOCK_ERROR_MAX: Final = 2 * 3600
"""An issuer's clock may be wrong by a time zone and summer time, so within this it is not believed what a record says
of its time. Older ones are taken at their word: it costs memory not to, for a history that is all over. What claims to
be from further in the future is kept as if it were from there: only a thief says so."""

HORIZON_STEPS: Final = 16
"""Revocations are forgotten in steps of this part of the time that they are kept: they outstay it by at most one."""

HORIZON_STEPS_MAX: Final = 1_024
"""Steps ahead. A long history that is read at once has more; then the oldest ones wait for the next."""

COMPROMISED_KEYS_MAX: Final = 1_024
"""A compromised key stays compromised whatever a later key set says."""

HEADER_CACHE_MAX: Final = 64
"""Token headers already read: one a key, and some spellings of it."""

REMEMBERED_TOKENS: Final = 100_000
"""Verified tokens remembered by default, some 1.5 kB each."""

CHANGES_QUEUE_MAX: Final = 10_000
"""Applied records waiting for one slow watcher; beyond it the watcher is told that it missed some."""

FOLLOW_RETRY_MIN: Final = 1.0
FOLLOW_RETRY_MAX: Final = 30.0
FOLLOW_STEADY: Final = 60.0
"""Pauses before a source that broke is run again reach from 0 to 1, 2, 4 … 30 s, by chance; from 1 s again after one
that ran for a minute. It should not happen, so whatever does it is not to be done in a hurry."""

READY_TIMEOUT: Final = 30.0
"""How long a service waits for the feed at start before it gives up and says why."""

STALENESS_MARGIN: Final = CLOCK_TOLERANCE
"""What the clocks of issuer and verifier may differ by, on top of ``max_staleness``."""

SNAPSHOT_AFTER: Final = 2.0
"""How long records may be missing before a snapshot is wanted in their stead; rereading comes first."""

GRACE_LOG_EVERY: Final = 10.0
"""Between two lines in the log about tokens accepted by grace; the counter counts each."""

# --- live grants -----------------------------------------------------------------------------------------------------

LIVE_GRANTS_MAX: Final = 250_000
"""Grants that are watched at once, some 2 kB each with the task that waits. No process holds more connections."""

LIVE_SLICE: Final = 200
"""Grants looked at before other tasks get their turn: some 2 ms, with those whose end it is."""

LIVE_LOOK_MAX: Final = 1.0
"""Longest sleep of the one timer while a grant is watched: a clock that is set forward is noticed as soon."""

LIVE_LOOK_MIN: Final = 0.005
"""Its shortest, since a moment that has just been reached may be rounded to just before."""

# --- the Kafka source ------------------------------------------------------------------------------------------------

SOURCE_SILENCE_MAX: Final = 3 * HEARTBEAT_INTERVAL
"""No verified heartbeat for so long: the consumer is built anew, whatever it says about itself."""

SOURCE_CHECK_EVERY: Final = 0.5
"""How often a reader that gets nothing looks whether its log is still the one it was reading."""

SOURCE_INCOMPLETE_MAX: Final = 1.0
"""How long records may be known and missing after everything was read, before the log is read again."""

SOURCE_REREAD_MIN: Final = 5.0
SOURCE_REREAD_MAX: Final = 60.0
"""Seconds between two readings of the whole log for that reason; doubled each time it did not help."""

SOURCE_RETRY_MIN: Final = 0.25
SOURCE_RETRY_MAX: Final = 5.0
"""Longest pause between attempts: a verifier is to be fresh one heartbeat after its broker came back."""

SOURCE_RETRY_BACKOFF_MS: Final = 500
"""Milliseconds between a client's own attempts to reach a broker that went away: at most two a second."""

SOURCE_WAIT_MAX: Final = 1.0
"""Longest pause while brokers answer but the topic is not there yet."""

SOURCE_STEADY: Final = 10.0
"""A connection that lasted so long was a good one: the next pause starts from the shortest again."""

SOURCE_OPEN_MAX: Final = SOURCE_SILENCE_MAX
"""Connecting and finding the position, all steps together: a client that was told a wrong address goes on asking there,
and is to be built anew as soon as one that has fallen silent."""

SOURCE_REQUEST_MAX: Final = 10.0
"""One request. Every answer but a long poll comes within milliseconds."""

SOURCE_METADATA_MAX: Final = 10.0
"""Age at which partitions are counted again."""

SOURCE_BATCH_RECORDS: Final = 64
SOURCE_SLICE: Final = 0.005
"""Seconds of applying records before other tasks get their turn."""

SOURCE_FETCH_BYTES: Final = 1024 * 1024
"""One fetch: thousands of records; more made reading a backlog no faster."""

SOURCE_FRAME_BYTES: Final = 4 * SOURCE_FETCH_BYTES + 1024 * 1024
"""One answer of a broker. A fetch is of some more bytes than were asked for only if one batch is (KIP-74); all other
answers are about two topics."""

SNAPSHOT_WINDOW: Final = 64
SNAPSHOT_WINDOW_GROWTH: Final = 4
"""Records looked at first, from the end of the snapshots' topic; then four times as many, and so on."""

SNAPSHOT_SCAN_MAX: Final = 65_536
"""The largest snapshot has 1,024 parts; more than some of those lies there only if somebody floods it."""

SNAPSHOT_TITLES_MAX: Final = 16_384
"""Snapshots that parts are remembered of, some 10 MB. A handful lies there; as the log is read from its end, those that
find no room are the ones before a flood."""

SNAPSHOT_SEARCH_MAX: Final = 60.0
"""Seconds for all of it. After that the feed is read from where it begins."""

SNAPSHOT_MARGIN: Final = 60
"""Reading begins where the feed was so long before the snapshot: the clocks of broker and issuer may differ."""

# --- the HTTP source -------------------------------------------------------------------------------------------------

HTTP_RETRY_MIN: Final = 1.0
HTTP_RETRY_MAX: Final = 30.0
"""Pauses between attempts reach from 0 to 1, 2, 4 … 30 s, by chance: a thousand verifiers do not come back in step."""

HTTP_RETRY_AFTER_MAX: Final = 60.0
"""A server may ask for patience, but not for so much that news are a minute late once it is well again."""

HTTP_CONNECT_EVERY: Final = 0.5
"""At most two connections a second are opened, whatever the server does with them."""

HTTP_CONNECT_MAX: Final = 5.0
HTTP_ANSWER_MAX: Final = 10.0
"""Until an answer begins, and for small ones until it is whole. A server that is well takes milliseconds."""

HTTP_ROOTS_MAX: Final = 30.0
"""All root documents that are new, together; a thousand of them take seconds."""

HTTP_ROOTS_EVERY: Final = 10.0
"""Whoever sends records of unknown keys causes at most one look for root documents in this time."""

HTTP_SNAPSHOT_MAX: Final = 120.0
"""One snapshot, whole: the largest has 256 MiB."""

HTTP_POLL_WAIT: Final = HEARTBEAT_INTERVAL
"""How long a server may hold a question back. Each answer ends with a heartbeat, and those must not be missed."""

HTTP_POLL_EVERY: Final = 1.0
"""Between two questions if the first one brought nothing new."""

HTTP_POLL_MAX: Final = 60.0
HTTP_POLL_BYTES: Final = 16 * 1024 * 1024
"""One answer. Whatever it holds beyond is asked for again, after what was applied."""

HTTP_ERROR_BYTES: Final = 4 * 1024
"""Of an answer that says no. It is read only so that the connection can be used again."""

HTTP_EVENT_LINES: Final = 32
"""Lines of one server-sent event; ours have three."""

HTTP_USELESS_MAX: Final = 2_048
HTTP_USELESS_RATE: Final = 64.0
"""What taught nothing: so many at once and so many a second. Beyond it the connection is given up, which costs a server
that lies more than the verifier, and one whose news come by Kafka first no more than a question."""

HTTP_ETAG_CHARS: Final = 128

# --- the state directory ---------------------------------------------------------------------------------------------

STATE_JOURNAL_RECORDS: Final = 20_000
STATE_JOURNAL_BYTES: Final = 32 * 1024 * 1024
"""Records kept since the beginning or the last snapshot: some two seconds of signatures at the next start. Beyond it a
snapshot is the faster start, so nothing is kept until there is one."""

STATE_QUEUE_MAX: Final = 4_096
STATE_QUEUE_BYTES: Final = 8 * 1024 * 1024
"""What waits for the disk. What finds no room is not kept; the next start asks for it anew. Snapshots, which take the
place of all before them, are not counted: at most one waits."""

STATE_READ_BYTES: Final = 256 * 1024
STATE_READ_FRAMES: Final = 64
"""Read and applied before other tasks get their turn: one part of a snapshot, or some milliseconds of signatures."""

STATE_SYNC_EVERY: Final = 1.0
"""Between two times that the position is written down and what was written is made durable."""

STATE_RETRY_MIN: Final = 1.0
STATE_RETRY_MAX: Final = 30.0
"""Pauses between attempts at a disk that fails; doubled each time."""

STATE_LOG_EVERY: Final = 60.0
"""Between two lines in the log about it; the counter counts each failure."""

STATE_ANSWER_MAX: Final = 10.0
"""How long a start waits for one read, and a stop for the last write. A disk that hangs keeps nobody from deciding."""

# --- the integrations ------------------------------------------------------------------------------------------------

RETRY_AFTER: Final = HEARTBEAT_INTERVAL
"""Told to HTTP clients with a 503: what ends it is news from the feed."""

MESSAGE_PATIENCE: Final = 30.0
"""How long a message waits for a verifier that cannot decide; well below Kafka's ``max.poll.interval`` of 300 s."""

MESSAGE_LOOK: Final = 0.1
"""How often it looks."""

MESSAGE_PAUSE_MAX: Final = 5.0
"""Longest pause before a message is taken again that could be neither handled nor refused."""

MESSAGE_WRITE_MAX: Final = 30.0
"""How long a copy of a refused message may take to be acknowledged, where the client sets no bound of its own."""

THREAD_STOP_MAX: Final = 30.0
"""How long a stop waits for the thread that follows the feed; its sources and its disk have shorter bounds."""

# --- for tests of services -------------------------------------------------------------------------------------------

TESTING_PATIENCE: Final = 10.0
"""How long a fake issuer waits for the event loop of a verifier in another thread to take what it says."""

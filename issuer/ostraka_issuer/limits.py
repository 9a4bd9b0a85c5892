"""Every bound of the issuer, in one place, each with its reason. Times are seconds, sizes bytes, unless said otherwise.

The bounds of what travels are in ``ostraka_schemas.limits``.
"""

from typing import Final

# --- store -----------------------------------------------------------------------------------------------------------

DATABASE_CONNECTIONS: Final = 8
"""SQLite has one writer at a time; seven readers keep two cores busy. On PostgreSQL one more, for the feed."""

DATABASE_WAIT: Final = 5.0
"""How long a transaction waits for its turn. Longer than any of ours takes, shorter than a client's patience."""

DATABASE_IDLE: Final = 3.0
"""PostgreSQL takes back a transaction whose client has said nothing for this long: one that was stopped must not keep
the feed's lock for longer than the lease, or a user's row for longer than a revocation waits for it."""

DATABASE_STATEMENT: Final = 8.0
"""The server ends a statement that takes longer; the largest of ours, a snapshot, is written in one second."""

DATABASE_SILENCE: Final = 10.0
"""A server that has not even ended the statement by then is away, and the connection is given up."""

DATABASE_RECONNECT: Final = 1.0
"""How often the connection that tells of changes is looked after, and made again when it broke."""

DATABASE_LOOK: Final = 0.05
"""How often a SQLite file is asked whether another process changed it: some 50 µs each."""

STORE_TROUBLE: Final = 10.0
"""So long after a write that failed the issuer is not ready, unless one has succeeded. Then it may try again."""

# --- passwords and logins --------------------------------------------------------------------------------------------

PASSWORD_MIN_CHARS: Final = 8
"""NIST SP 800-63B §5.1.1.2."""

PASSWORD_MAX_BYTES: Final = 1_024
"""Argon2 first hashes the whole input, so the input is bounded; nobody types more."""

USERNAME_MAX_CHARS: Final = 255
HASHING_THREADS: Final = 2
"""Each holds up to 64 MiB while it hashes."""

HASHING_NICENESS: Final = 10
"""Of a thread that hashes: it has what the event loop leaves, a tenth where both want the same core."""

HASHING_QUEUE: Final = 32
"""Logins that wait for a thread: some two seconds' worth. Beyond that the caller is told to come back."""

STRANGERS_SAMPLE: Final = 20_000
STRANGERS_READ_EVERY: Final = 60.0
STRANGERS_KINDS: Final = 8
"""With what parameters passwords are stored is read once a minute at most, from so many users (ids are random, so these
are as good as any): tens of milliseconds. Nobody changes the parameters so often that there are more than eight."""

LOGIN_WAIT_FIRST: Final = 1.0
ACCOUNT_FAILURES_FREE: Final = 4
ACCOUNT_WAIT_MAX: Final = 3_600.0
ACCOUNT_FAILURES_MAX: Final = 100
ACCOUNT_FAILURES_FORGIVEN: Final = 1
"""Four mistakes cost nothing; after the fifth the wait is a second, and doubles up to an hour. After 100 it is a day
(NIST SP 800-63B-4 §3.2.2 names both 100 and the hour). One is forgiven each day: beyond the first hundred, nobody has
more than one guess a day for ever."""

ADDRESS_FAILURES_FREE: Final = 100
ADDRESS_WAIT_MAX: Final = 60.0
"""Behind one address may be a whole office. A list of names tried from there gets on at one a minute."""

PLACES_KEPT: Final = 8
PLACES_KEPT_FOR: Final = 90 * 24 * 3_600.0
PLACES_NOTED_EVERY: Final = 24 * 3_600.0
"""Addresses from which an account logged in within 90 days, the newest eight: each has tries of its own, so there must
not be many. That it was there again is noted once a day."""

FAILURES_FORGOTTEN: Final = 24 * 3_600.0
FAILURES_KEPT_FOR: Final = FAILURES_FORGOTTEN * ACCOUNT_FAILURES_MAX / ACCOUNT_FAILURES_FORGIVEN
FAILURES_KEPT: Final = 100_000
FAILURES_PRUNED_EVERY: Final = 256
"""Each try adds two rows at most; every 256th takes away what is forgotten and the oldest beyond a hundred thousand,
512 rows of either at most: some 15 MB are kept, for a hundred days."""

TRUSTED_PROXIES_MAX: Final = 32
FORWARDED_MAX: Final = 32
"""Networks of proxies that can be named, and addresses of ``X-Forwarded-For`` that are looked at."""

GRANTED_TEXT_MAX: Final = 4_096
"""Characters of all permissions of one user: they travel in every token, and a token has 8 KiB."""

# --- accounts --------------------------------------------------------------------------------------------------------

ROLES_OF_A_USER_MAX: Final = 64
"""More say the same several times over: all of a user's permissions must fit into a token."""

NARROWED_USERS_MAX: Final = 128
"""A role that loses a permission is announced for each user by itself up to so many: half of what the sequencer signs
in one transaction. Beyond it one record tells everyone's older tokens."""

CLIENT_KEYS_MAX: Final = 8
"""Keys of one client: one in use, its successor, and those of a few instances."""

CLIENT_SECRET_MAX_CHARS: Final = 128
"""Ours have 43. Whoever presents more presents something else, and is not hashed at length."""

# --- sessions --------------------------------------------------------------------------------------------------------

REFRESH_GRACE: Final = 10.0
"""A refresh token works once more this long after it was used, for the client whose answer got lost (FAPI 2.0 §5.3.2.1
asks for rotation only if a retry with the old token still succeeds)."""

REFRESH_LOOKS: Final = 2
"""How often a refresh looks at its session: again if somebody else was faster. Then its token is no longer the newest,
and nothing is left to be done that could fail again."""

SESSION_IDLE: Final = 30 * 24 * 3_600
SESSION_TOTAL: Final = 90 * 24 * 3_600
"""A session ends after 30 days without a refresh, and 90 days after the login whatever happens."""

GENERATION_MAX: Final = 2**32 - 1
"""Four bytes of a refresh token; one rotation a second lasts longer than any session."""

# --- token keys ------------------------------------------------------------------------------------------------------

KEY_LIFETIME: Final = 90 * 24 * 3_600
"""From first use to the end of the last token (four rotations a year)."""

KEY_LEAD: Final = 24 * 3_600
"""How long a successor is published before it signs: every verifier meets it long before the first token."""

KEY_LEAD_MIN: Final = 1
KEY_LEAD_MAX: Final = 30 * 24 * 3_600
ROOT_LIFETIME: Final = 366 * 24 * 3_600
"""A root document is signed anew once a year (TUF §6.1 advises a year for the root role)."""

ROOT_LIFETIME_MAX: Final = 10 * ROOT_LIFETIME
"""Whoever wants to be bothered less often has forgotten where the root keys are by then."""

ROOT_WARNING: Final = 30 * 24 * 3_600
"""Time to find the holders of the root keys and to let them sign."""

ROOT_LOOK: Final = 3_600.0
"""How often the calendar is looked at; the log is told once a day."""

KEY_KEEPER_INTERVAL: Final = 5.0
"""The keeper looks at the keys at least this often, whatever it believes to be due next: another process may have
changed them."""

KEY_KEEPER_LOOK: Final = 1.0
"""A process that leaves the keys to another one looks at them so often: what is compromised is out of its memory by
then, and a new key is open before the first login needs it."""

KEY_KEEPER_RETRY: Final = 1.0
"""After an error the keeper waits this long."""

# --- revocations -----------------------------------------------------------------------------------------------------

CONFIRM_WAIT: Final = 5.0
"""How long an answer waits for the revocation's place in the feed; it is committed already."""

PAGE_MAX: Final = 200
"""Entries of one listing."""

# --- HTTP ------------------------------------------------------------------------------------------------------------

BODY_MAX_BYTES: Final = 16 * 1024
"""A refresh token, a password and a reason fit many times."""

BODY_SECONDS: Final = 10.0
"""A request's body must have arrived by then."""

HTTP_CONNECTIONS_MAX: Final = 8_192
"""Beyond it requests get 503 at once; sooner where the process may not open twice as many files."""

HTTP_WAITING_MAX: Final = 1_024
"""Connections over which no request is under way. More take the place of those that wait longest: what remains of
``HTTP_CONNECTIONS_MAX`` is for ``FEED_READERS_MAX`` readers and as many again as wait here. An eighth of them, where
there may be fewer."""

HTTP_ACCEPTED_AT_ONCE: Final = 256
HTTP_QUEUE: Final = 4_096
"""Connections taken in one turn of the event loop, and those that may queue for it in the system: all services of a
large installation come back in the same second. A quarter of ``HTTP_WAITING_MAX``: two turns later they are read."""

HTTP_HEAD_SECONDS: Final = 10.0
"""A request's head must have arrived by then, from the connection's begin or the answer before."""

HTTP_HEAD_MAX_BYTES: Final = 16 * 1024
"""A token of the greatest size in its header, twice. All that wait together hold 16 MiB at most."""

HTTP_KEEP_ALIVE: Final = 5
"""A connection is kept so long after an answer."""

HTTP_GRACE: Final = 5
"""On a clean stop, requests that are under way are given so long. The longest of ours waits ``CONFIRM_WAIT``, after
what it asked for is committed."""

HTTP_PARTING: Final = 0.5
"""The last part of ``HTTP_GRACE``: whoever still waits is told to ask again. Sending that takes milliseconds."""

STOP_MOST: Final = 8.7
"""A clean stop that takes longer is cut short: a database that is frozen would hold it for a minute. ``HTTP_GRACE`` and
``FEED_DRAIN`` fit in; containers are given ten seconds, and nothing that is committed needs this process any more."""

HTTP_UNREAD: Final = 30
"""A client that takes nothing of what it was sent for so long is cut off by the system (RFC 5482)."""

HTTP_UNSENT: Final = 16 * 1024
"""Of what the system's own buffer has no room for, a connection holds so much before whoever writes must wait. If it
does not shrink within ``FEED_READER_PATIENCE``, the connection is given up and what it holds with it: closing it in
order would wait for the reader. Every usual answer fits in whole."""

FORM_FIELDS_MAX: Final = 16
"""Fields of a token request; RFC 6749 and RFC 8693 together define twelve."""

ACTORS_MAX: Final = 4
"""Clients that may have acted one after the other in one exchanged token: a request rarely passes through more."""

ASSERTION_LIFETIME_MAX: Final = 3_600
"""A client's assertion is remembered until its end, so its end is bounded; common libraries take an hour."""

ASSERTION_MAX_BYTES: Final = 8 * 1024
ASSERTIONS_PRUNED: Final = 8
"""Each assertion used takes so many away that have ended."""

INTROSPECT_WAIT: Final = 2.0
"""A token minted further on than the issuer's own verifier has come is waited for: milliseconds, usually."""

INTROSPECTED_TOKENS: Final = 10_000
"""Tokens whose signature was found good lately: services ask about the same one again and again. Some 15 MB."""

KEY_SET_MAX_AGE: Final = 300
"""How long others' libraries may cache the JWKS. A successor is published ``KEY_LEAD`` before it signs."""

# --- feed ------------------------------------------------------------------------------------------------------------

FEED_BATCH: Final = 256
"""Intents sequenced in one transaction: some 20 ms of signing, during which nobody else can write."""

FEED_BATCHES_TO_SETTLE: Final = 64
"""A heartbeat waits for at most so many batches; if revocations still keep coming, the next one speaks for them."""

FEED_POLL: Final = 1.0
"""The sequencer is woken by commits. Should a wake-up get lost (the api in another process), it looks this often."""

LEASE_SECONDS: Final = 3.0
LEASE_RENEW: Final = 1.0
LEASE_TRY: Final = 0.5
"""How long the feed's lease is held without renewal, how often it is renewed, and how often somebody who stands by
looks whether it is free. Two renewals may fail before another process takes over, within 5 s of the last one."""

FEED_FOLLOW: Final = 0.05
"""How often a process looks in the database for what another one has committed, where it is not told."""

FEED_DRAIN: Final = 3.0
"""On a clean stop, what is committed is placed and published within this time, as far as the broker takes it; what is
not, is sent by whoever writes next. With ``HTTP_GRACE`` less than the ten seconds that containers are given."""

FEED_REFUSED: Final = 100
"""Intents that cannot be made into records. One is an accident; so many mean that this issuer does not work."""

FEED_PAGE: Final = 256
"""Records read from the database at once: 150 KiB usually, 16 MiB if every one has the greatest size."""

FEED_MEMORY: Final = 1_024
"""Records kept for a follower that is slower than the sequencer; past that it reads the database."""

FEED_IN_FLIGHT: Final = 512
"""Records sent and not acknowledged. The Kafka client sends one batch (64 KiB) at a time anyway."""

FEED_SEND: Final = 5.0
"""A record not acknowledged within this time: the connection is given up and made anew. The idempotent producer itself
would try for ever, on a connection that may never come back: aiokafka never goes back to the addresses it was given."""

FEED_PROMPT: Final = 1.0
"""An acknowledgement outstanding for longer means for /readyz that the broker is not there."""

FEED_HEAD_START: Final = 0.001
"""The bus gets a new record so much earlier than anybody in this process: its readers are many, and all wait."""

FEED_RECENT_RECORDS: Final = 4_096
FEED_RECENT_BYTES: Final = 8 * 1024 * 1024
"""The newest records, held for all readers over HTTP: four snapshots' distance. Twice these bytes in memory."""

FEED_READERS_MAX: Final = 6_144
"""Readers over HTTP held at once, streams and long polls together; the rest of the connections is for the others.
However far behind it is and however little it takes, a stream has ``HTTP_UNSENT`` and a slice in its connection's
buffer, and the slice that waits: some 80 KiB. If all of them take nothing, that is 480 MiB, and gone after
``FEED_READER_PATIENCE``. A record above ``FEED_SLICE`` is a slice of its own: at worst, twice as much."""

FEED_SLICE: Final = 32 * 1024
"""Of the records that a stream has before it, given to the connection at once: some fifty."""

FEED_READS: Final = 2
FEED_READ_PAGE: Final = 128
"""Pages that they read from the database at once: a quarter of its connections. A page is one answer, or two slices."""

FEED_ANSWER_RECORDS: Final = 256
FEED_ANSWER_BYTES: Final = 64 * 1024
"""Records in one answer: some hundred. A reader who is further behind asks again, or better takes a snapshot. It lies
whole in the connection's buffer, and its seat is free by then: 512 MiB if every connection has one that is not read."""

FEED_ANSWERS: Final = 16
"""Answers kept for those who ask the same: thousands of readers have one of very few places."""

FEED_WAIT_MAX: Final = 30.0
"""A long poll waits so long at most: less than proxies in between usually bear."""

FEED_READER_PATIENCE: Final = 20.0
"""A reader who takes nothing for so long is dropped; it is stale by then anyway."""

FEED_WAKE: Final = 128
"""Readers woken at once: some 5 ms of sending, then everyone else has a turn."""

SNAPSHOT_EVERY: Final = 120.0
SNAPSHOT_RECORDS: Final = 1_000
"""A newcomer reads at most so much of the feed after its snapshot: a verifier holds 1,024 records out of order."""

SNAPSHOT_LOOK: Final = 1.0
SNAPSHOT_RETRY: Final = 10.0
"""How often it is asked whether one is due, and how long after one that could not be made."""

SNAPSHOT_REPUBLISH: Final = 225.0
"""The topic gets the newest one again after this time, even if there is no newer one. Kafka may have deleted what is 15
minutes old, so it never holds fewer than three."""

SNAPSHOT_IN_FLIGHT: Final = 8
"""Parts sent and not acknowledged: 2 MiB."""

SNAPSHOT_BACKOFF_MAX: Final = 30.0
"""Between attempts to publish one, full jitter. Whoever waits for it has HTTP, and the feed itself is not touched."""

SNAPSHOT_READERS_MAX: Final = 128
"""Large snapshots being sent at once over HTTP, each some 200 KiB of buffers; those that fit into one go are not
counted."""

SNAPSHOT_SLICE: Final = 64 * 1024
"""Of a snapshot, given to a connection at once: what its buffer takes without waiting."""

SNAPSHOT_SECONDS: Final = 120.0
"""A client has so long to take one whole; after that there is a newer one anyway."""

FEED_HEARD: Final = 10.0
"""The issuer's own verifier waits so long for a heartbeat that vouches for a stored snapshot, then reads everything."""

FEED_MARK: Final = 0.05
"""Published records are marked this much later, many at once: a mark is a write that a revocation would wait for, and a
lost one only makes identical bytes go out twice."""

FEED_LOOK: Final = 0.05
"""A request hears of its place within a few ms. If it does not, the database is asked whether it had one before."""

FEED_WAITERS: Final = 4_096
"""Requests that wait for their place in the feed, and places remembered for those that come late."""

FEED_TOPIC_ATTEMPTS: Final = 20
FEED_TOPIC_PAUSE: Final = 0.05
"""A topic just made is not described by every broker at once; on the embedded one a client may remake a deleted one."""

FEED_CHECK_HOLD: Final = 20.0
"""The first heartbeat over HTTP waits so long for the comparison with the topic, where a broker answers: an older copy
of the database is to vouch for nothing. A third of what verifiers bear without news: no broker may keep it back."""

FEED_LOOK_BACK: Final = 20.0
"""Seconds between two looks at whether the topic still holds what was sent last: a third of what verifiers bear without
news."""

FEED_CHECK_PAGE: Final = 500
FEED_CHECK_SILENCE: Final = 5.0
"""Records of the topic compared in one go (a few ms), and how long the broker may be silent while it is read."""

SECRET_FILE_MAX_BYTES: Final = 4_096
"""Read of a file with a password; nobody's is longer."""

CONFIG_FILE_MAX_BYTES: Final = 64 * 1024
"""Of a settings file; all settings with their longest values take a tenth."""

KAFKA_REQUEST: Final = 5.0
"""A broker that answers no request for this long is away."""

KAFKA_STOP: Final = 1.0
"""Time for a Kafka client to say goodbye; what is not delivered then is sent again by the next one."""

KAFKA_BACKOFF_FIRST: Final = 0.1
KAFKA_BACKOFF_MAX: Final = 2.0
"""Between attempts to reach the broker, full jitter. Short: one issuer is no herd, and verifiers wait for news."""

LOG_TEXT_MAX_CHARS: Final = 8_192
"""Of one text in a line of the log; a broker's or a database's words may be of any length."""

REQUEST_ID_MAX_CHARS: Final = 64
"""Of a request id that a caller brings: room for a UUID with a prefix."""

TRACED_COMMITS: Final = 4_096
"""Commits whose span is remembered until their record is published; later ones find each other by ``txn``."""

"""What a scrape looks at: name, meaning, and where the value is."""

from collections.abc import Callable
from typing import Final, NamedTuple

from ..feed.state import FeedState
from .look import Look


class Family(NamedTuple):
    """A metric without labels whose value exists already; absent where there is none."""

    name: str
    help: str
    read: Callable[[Look], float | None]

    @property
    def kind(self) -> str:
        """``counter`` or ``gauge``."""
        return "counter" if self.name.endswith("_total") else "gauge"


def _feed(read: Callable[[FeedState], float | None]) -> Callable[[Look], float | None]:
    return lambda look: None if look.feed is None else read(look.feed)


def _writer(read: Callable[[FeedState], float | None]) -> Callable[[Look], float | None]:
    """What only the process that writes the feed can tell."""
    return lambda look: None if look.feed is None or not look.feed.writing else read(look.feed)


LOOKED_AT: Final = (
    Family("ostraka_feed_running", "1 while the feed works.", _feed(lambda f: f.running)),
    Family(
        "ostraka_feed_writing",
        "1 if this process writes the feed: it has the lease. Of all processes exactly one should.",
        _feed(lambda f: f.writing),
    ),
    Family(
        "ostraka_feed_lease_fence",
        "Grows whenever the lease changes hands.",
        _feed(lambda f: f.lease.fence),
    ),
    Family(
        "ostraka_feed_epoch",
        "Epoch of the newest record.",
        _feed(lambda f: None if f.head is None else f.head.position.epoch),
    ),
    Family(
        "ostraka_feed_seq",
        "Place in its epoch of the newest record.",
        _feed(lambda f: None if f.head is None else f.head.position.seq),
    ),
    Family(
        "ostraka_feed_heartbeat_age_seconds",
        "Since the newest heartbeat was signed that others can hear; absent before the first.",
        lambda look: look.heartbeat_age,
    ),
    Family(
        "ostraka_feed_broker_connected",
        "1 while the broker takes records, as far as acknowledgements tell. Shown by the writer.",
        _writer(lambda f: f.connected),
    ),
    Family(
        "ostraka_feed_unpublished_records",
        "Records that the topic is not known to have.",
        _feed(lambda f: f.unpublished),
    ),
    Family(
        "ostraka_feed_oldest_unpublished_age_seconds",
        "Age of the oldest of them; 0 while there is none.",
        _feed(lambda f: f.oldest_unpublished or 0.0),
    ),
    Family(
        "ostraka_feed_set_aside_changes",
        "Committed changes that could not be made into records: no verifier knows them. Shown by the writer.",
        _writer(lambda f: f.set_aside),
    ),
    Family(
        "ostraka_feed_refills_total",
        "How often the topic had lost records and was filled again. Shown by the writer.",
        _writer(lambda f: f.refills),
    ),
    Family(
        "ostraka_feed_foreign_entries",
        "Entries of the topic, when it was last read, that are not the issuer's. Shown by the writer.",
        _writer(lambda f: f.foreign),
    ),
    Family("ostraka_feed_alarms", "What an operator must look at; /readyz says what.", _feed(lambda f: len(f.alarms))),
    Family(
        "ostraka_root_version",
        "Version of the root document in force; 0 while the feed has none.",
        _feed(lambda f: f.root_version),
    ),
    Family(
        "ostraka_root_ends_timestamp_seconds",
        "When verifiers stop believing what is signed under it.",
        _feed(lambda f: f.root_ends),
    ),
    Family(
        "ostraka_store_works",
        "1 if the database answers and could be written when that was last tried.",
        lambda look: look.store_works,
    ),
    Family(
        "ostraka_passwords_pending",
        "Passwords that are being hashed, or wait for it.",
        lambda look: look.passwords_pending,
    ),
    Family(
        "ostraka_passwords_places",
        "So many may be pending; beyond that logins are refused (429).",
        lambda look: look.passwords_places,
    ),
    Family("ostraka_token_keys_kept", "1 while the token keys are moved along.", lambda look: look.keys_kept),
    Family(
        "ostraka_snapshots_work",
        "1 if the newest snapshot could be made, kept and published.",
        lambda look: look.snapshots_work,
    ),
)
"""Everything that a look gives."""

"""How the feed is doing, for /readyz and for people."""

from dataclasses import dataclass

from ostraka_schemas.records import Head

from .lease import Lease


@dataclass(frozen=True, slots=True)
class FeedState:
    """One look at the feed.

    Attributes:
        running: whether the feed works at all.
        writing: whether this process writes it; of what only the writer knows, the others have nothing to tell.
        lease: who does, as the database has it.
        head: the newest record.
        connected: whether the broker takes records, as far as acknowledgements tell.
        publishing: what the publisher is doing: ``connecting``, ``publishing``, ``waiting: <why>``, …
        unpublished: stored records that the topic is not known to have.
        oldest_unpublished: age of the oldest of them, in seconds.
        set_aside: committed changes that could not be made into records: verifiers do not know them.
        refills: how often the topic had lost records and was filled again.
        foreign: entries of the topic, when it was last read, that are not ours.
        root_version: of the root document in force; 0 while the feed has none.
        root_ends: when verifiers stop believing what is signed under it, in seconds since the epoch.
        root_warning: what to say of that end, if it is near.
        alarms: what an operator must look at.
    """

    running: bool
    writing: bool
    lease: Lease
    head: Head | None
    connected: bool
    publishing: str
    unpublished: int
    oldest_unpublished: float | None
    set_aside: int
    refills: int
    foreign: int
    root_version: int
    root_ends: int | None
    root_warning: str | None
    alarms: tuple[str, ...]

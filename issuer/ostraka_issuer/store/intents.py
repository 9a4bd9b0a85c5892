"""Intents: what the feed must say, written in the transaction of the change that it announces."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import insert, literal, select

from ostraka_schemas.events import Event
from ostraka_schemas.records import Position
from ostraka_schemas.subjects import SubjectIdentifier

from .engine import Transaction
from .tables import FEED_RECORDS, INTENTS


@dataclass(frozen=True, slots=True)
class Intent:
    """A stored intent. It has a ``position`` once it is in the feed, and is ``published`` once the topic has it."""

    txn: str
    subject: dict[str, Any]
    event_uri: str
    event: dict[str, Any]
    committed_at: float
    position: Position | None
    published: bool


async def add_intent(tx: Transaction, *, txn: str, subject: SubjectIdentifier, event: Event, now: float) -> None:
    """Write an intent.

    Args:
        tx: the transaction of the change.
        txn: names the operator's request; each intent has its own.
        now: seconds since the epoch.
    """
    await tx.execute(
        insert(INTENTS).values(
            txn=txn,
            subject=subject.model_dump(mode="json", exclude_none=True),
            event_uri=event.uri,
            event=event.model_dump(mode="json", exclude_none=True),
            committed_at=now,
        )
    )


async def list_intents(
    tx: Transaction, *, without: Sequence[str] = (), before: str | None = None, limit: int
) -> list[Intent]:
    """The newest intents, newest first.

    Args:
        without: event URIs that are left out.
        before: only those older than the intent of this txn; an unknown one means no older ones.
    """
    query = (
        select(INTENTS, FEED_RECORDS.c.epoch, FEED_RECORDS.c.seq.label("record_seq"), FEED_RECORDS.c.published_at)
        .outerjoin(FEED_RECORDS, FEED_RECORDS.c.txn == INTENTS.c.txn)
        .where(INTENTS.c.event_uri.not_in(without))
        .order_by(INTENTS.c.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(INTENTS.c.id < select(INTENTS.c.id).where(INTENTS.c.txn == before).scalar_subquery())
    return [
        Intent(
            txn=row.txn,
            subject=row.subject,
            event_uri=row.event_uri,
            event=row.event,
            committed_at=row.committed_at,
            position=None if row.epoch is None else Position(row.epoch, row.record_seq),
            published=row.published_at is not None,
        )
        for row in (await tx.execute(query)).all()
    ]


NEWEST: Final = (
    select(FEED_RECORDS.c.epoch, FEED_RECORDS.c.seq)
    .order_by(FEED_RECORDS.c.epoch.desc(), FEED_RECORDS.c.seq.desc())
    # As a parameter it would have the query planned anew each time: the server cannot know that it is a small one.
    .limit(literal(1, literal_execute=True))
)
"""Where the feed ends; no row while it is empty."""


async def newest_position(tx: Transaction) -> Position | None:
    """Where the feed ends in this transaction's view, or ``None`` while it is empty."""
    row = (await tx.execute(NEWEST)).first()
    return None if row is None else Position(row.epoch, row.seq)

"""Intents: what the api has committed and the feed has yet to say."""

from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

from pydantic import TypeAdapter
from sqlalchemy import Connection, Text, bindparam, cast, select, update

from ostraka_schemas import strict_json
from ostraka_schemas.errors import MalformedError
from ostraka_schemas.events import Event, KeySetChanged, UnknownEvent, read_event
from ostraka_schemas.model import validated
from ostraka_schemas.records import Position
from ostraka_schemas.subjects import SubjectIdentifier

from ..store.tables import INTENTS

_T: Final = INTENTS.c
_SUBJECT: Final[TypeAdapter[Any]] = TypeAdapter(SubjectIdentifier)


class WaitingIntent(NamedTuple):
    """One row. ``subject`` and ``event`` are still the JSON text that was stored."""

    id: int
    txn: str
    event_uri: str
    subject: str
    event: str


def waiting(connection: Connection, *, but: Collection[int], limit: int) -> list[WaitingIntent]:
    """The oldest ``limit`` intents without a place in the feed, in commit order, except those with an id in ``but``."""
    # As text, not as JSON: one unreadable row must not make the whole batch unreadable.
    query = (
        select(_T.id, _T.txn, _T.event_uri, cast(_T.subject, Text), cast(_T.event, Text))
        .where(_T.seq.is_(None))
        .order_by(_T.id)
        .limit(limit)
    )
    if but:
        query = query.where(_T.id.not_in(but))
    return [WaitingIntent(*row) for row in connection.execute(query).all()]


def newest_placed(connection: Connection, uri: str) -> WaitingIntent | None:
    """The newest intent of one kind that has its place in the feed."""
    query = (
        select(_T.id, _T.txn, _T.event_uri, cast(_T.subject, Text), cast(_T.event, Text))
        .where(_T.event_uri == uri, _T.seq.is_not(None))
        .order_by(_T.id.desc())
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else WaitingIntent(*row)


def place(connection: Connection, places: Sequence[tuple[WaitingIntent, Position]]) -> None:
    """Write down where the intents stand in the feed; that makes them done."""
    change = update(INTENTS).where(_T.id == bindparam("intent")).values(seq=bindparam("place"))
    connection.execute(change, [{"intent": intent.id, "place": position.seq} for intent, position in places])


def is_outdated(connection: Connection, intent: WaitingIntent) -> bool:
    """Whether the feed already says something newer that ``intent`` would undo: only key sets replace one another."""
    if intent.event_uri != KeySetChanged.uri:
        return False
    newer = select(_T.id).where(_T.event_uri == intent.event_uri, _T.id > intent.id, _T.seq.is_not(None)).limit(1)
    return connection.execute(newer).one_or_none() is not None


def read(intent: WaitingIntent) -> tuple[SubjectIdentifier, Event]:
    """Build the subject and the event that an intent stored.

    Raises:
        MalformedError: not what a verifier would understand.
    """
    subject: SubjectIdentifier = validated(lambda: _SUBJECT.validate_python(_object(intent.subject)), "subject")
    event = read_event(intent.event_uri, _object(intent.event), subject)
    if isinstance(event, UnknownEvent):
        raise MalformedError("an event of no known kind")
    return subject, event


def root_value(intent: WaitingIntent) -> dict[str, Any]:
    """The signed root document that an intent brings, not verified.

    Raises:
        MalformedError: no JSON object.
    """
    return _object(intent.event)


def _object(text: object) -> dict[str, Any]:
    if not isinstance(text, str):
        raise MalformedError("no JSON is stored")
    return strict_json.loads_object(text.encode("utf-8", "replace"))

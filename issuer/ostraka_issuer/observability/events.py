"""Names for the kinds of events, as short as a label."""

from typing import Final

from ostraka_schemas import base64url, jws
from ostraka_schemas.errors import OstrakaError
from ostraka_schemas.events import EVENTS
from ostraka_schemas.limits import RECORD_MAX_BYTES
from ostraka_schemas.records import Record, read_payload

from ..feed.log import StoredRecord

OTHER: Final = "other"
_NAMES: Final = {uri: uri.rsplit("/", 1)[-1].rsplit(":", 1)[-1] for uri in EVENTS}


def kind_of(record: StoredRecord) -> str:
    """The kind of its event: ``session-revoked``, ``key-set``, …; ``other`` if this version knows no such kind."""
    try:
        said = read_payload(base64url.decode(jws.split(record.raw, max_bytes=RECORD_MAX_BYTES).payload))
    except OstrakaError:
        return OTHER
    return OTHER if not isinstance(said, Record) or said.event is None else _NAMES.get(said.event.uri, OTHER)

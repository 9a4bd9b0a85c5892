"""What happens in the issuer, told to whoever wants to count or trace it. Those who tell do not know to whom.

None of these functions may raise or wait.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .feed.log import StoredRecord

Headers = Sequence[tuple[str, bytes]]


class Sending(NamedTuple):
    """A record on its way to Kafka.

    Attributes:
        headers: to send beside it; nobody decides by them.
        ended: called with ``None`` when the broker has it, else with what went wrong.
    """

    headers: Headers
    ended: Callable[[BaseException | None], None]


def _nothing(*_told: object) -> None:
    """Nobody wants to know."""


def _plainly(_record: StoredRecord) -> Sending:
    return Sending((), _nothing)


@dataclass(frozen=True, slots=True)
class Happenings:
    """Who wants to know what; by default nobody.

    Attributes:
        login: a login ended: ``accepted``, or the code of the error.
        token: an access token was issued by this grant: ``password``, ``refresh_token``, …
        placed: records were committed into the feed; called in the context of whoever committed them.
        sending: a record is handed to the Kafka client.
    """

    login: Callable[[str], None] = _nothing
    token: Callable[[str], None] = _nothing
    placed: Callable[[Sequence[StoredRecord]], None] = _nothing
    sending: Callable[[StoredRecord], Sending] = _plainly


NOBODY = Happenings()
"""Nobody wants to know anything."""

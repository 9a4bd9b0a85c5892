"""One look at everything that a running issuer can say of itself, for a scrape."""

from dataclasses import dataclass

from ostraka_consumers.status import Status
from ostraka_schemas import base64url, jws
from ostraka_schemas.errors import OstrakaError
from ostraka_schemas.limits import RECORD_MAX_BYTES
from ostraka_schemas.records import Heartbeat, read_payload

from ..errors import StoreUnavailable
from ..feed.state import FeedState
from ..runtime import Issuer


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen.

    Attributes:
        feed: ``None`` if the database does not answer.
        heartbeat_age: seconds since the newest heartbeat was signed that is shown to others; ``None`` before the first.
        verifier: the issuer's own.
        store_works: whether the database answers and was written to when that was last tried.
        passwords_pending: passwords that are hashed or wait for it.
        passwords_places: so many at most; beyond that a login is refused.
        keys_kept: whether the token keys are moved along.
        snapshots_work: whether the newest snapshot could be made, kept and published.
    """

    feed: FeedState | None
    heartbeat_age: float | None
    verifier: Status
    store_works: bool
    passwords_pending: int
    passwords_places: int
    keys_kept: bool
    snapshots_work: bool


async def look_at(issuer: Issuer) -> Look:
    """Look. Asks the database once."""
    try:
        feed = await issuer.feed.state()
    except StoreUnavailable:
        feed = None
    return Look(
        feed=feed,
        heartbeat_age=_heartbeat_age(issuer),
        verifier=issuer.verifier.status,
        store_works=feed is not None and issuer.store.trouble is None,
        passwords_pending=issuer.passwords.pending,
        passwords_places=issuer.passwords.places,
        keys_kept=issuer.keeper.running,
        snapshots_work=not issuer.snapshots.troubles(),
    )


def _heartbeat_age(issuer: Issuer) -> float | None:
    beat = issuer.feed.channel.beat
    if beat is None:
        return None
    try:
        said = read_payload(base64url.decode(jws.split(beat.raw, max_bytes=RECORD_MAX_BYTES).payload))
    except OstrakaError:
        return None
    return max(0.0, issuer.clock.now().wall - said.iat) if isinstance(said, Heartbeat) else None

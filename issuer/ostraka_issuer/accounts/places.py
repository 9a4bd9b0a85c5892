"""Where an account has logged in from, as it is kept: such a place is not slowed down by failures of others."""

from typing import NamedTuple

from sqlalchemy import delete, select

from ostraka_issuer.limits import PLACES_KEPT, PLACES_KEPT_FOR, PLACES_NOTED_EVERY
from ostraka_issuer.store import Transaction
from ostraka_issuer.store.tables import LOGIN_PLACES, USERS
from ostraka_issuer.store.upsert import insert_into

from .names import is_text
from .people import by_name

_T = LOGIN_PLACES.c


class Seen(NamedTuple):
    """What is known of an account and a place.

    Attributes:
        user_id: ``None`` if there is no such user.
        resets: how often the account's failures were made forgotten.
        used_at: when the account was last seen to log in from the place, seconds since the epoch; ``None`` if never.
    """

    user_id: str | None = None
    resets: int = 0
    used_at: float | None = None


async def look_up(tx: Transaction, username: str, network: str, now: float) -> Seen:
    """What is known of the account of that name and of ``network``, a hash, at ``now``."""
    if not is_text(username):
        return Seen()  # nobody is called that, and the database could not even be asked
    joined = USERS.outerjoin(LOGIN_PLACES, (_T.user_id == USERS.c.id) & (_T.network == network))
    query = select(USERS.c.id, USERS.c.failures_reset, _T.used_at).select_from(joined)
    row = (await tx.execute(by_name(query, username))).first()
    if row is None:
        return Seen()
    known = row.used_at is not None and abs(now - row.used_at) < PLACES_KEPT_FOR
    return Seen(row.id, int(row.failures_reset), row.used_at if known else None)


async def remember(tx: Transaction, user_id: str, network: str, seen: Seen, now: float) -> None:
    """The user has logged in from ``network``. The newest few places are kept."""
    if seen.used_at is not None and abs(now - seen.used_at) < PLACES_NOTED_EVERY:
        return
    row = insert_into(tx, LOGIN_PLACES, {"user_id": user_id, "network": network, "used_at": now})
    await tx.execute(row.on_conflict_do_update(index_elements=[_T.user_id, _T.network], set_={"used_at": now}))
    if seen.used_at is None:
        newest = select(_T.network).where(_T.user_id == user_id).order_by(_T.used_at.desc(), _T.network == network)
        kept = newest.limit(PLACES_KEPT)
        await tx.execute(delete(LOGIN_PLACES).where(_T.user_id == user_id, _T.network.not_in(kept)))

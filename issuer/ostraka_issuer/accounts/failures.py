"""Failed logins as they are kept: rows of the database that are raised before a password is looked at, and lowered."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import case, delete, select, update

from ostraka_issuer.limits import FAILURES_KEPT, FAILURES_KEPT_FOR, FAILURES_PRUNED_EVERY
from ostraka_issuer.store import Transaction
from ostraka_issuer.store.tables import LOGIN_FAILURES
from ostraka_issuer.store.upsert import insert_into

from .backoff import Schedule, seconds_left, still_counted

_T = LOGIN_FAILURES.c


@dataclass(frozen=True, slots=True)
class Track:
    """Something that failures are counted of: an account or an address.

    Attributes:
        key: its row.
        failures, failed_at: what was there before this try; the time is in seconds since the epoch.
        claimed, claimed_at: what is there with it.
    """

    key: str
    schedule: Schedule
    failures: int = 0
    failed_at: float = 0.0
    claimed: int = 0
    claimed_at: float = 0.0


def wait_of(tracks: Sequence[Track], now: float) -> float:
    """Seconds until all of them let somebody in."""
    return max(seconds_left(track.schedule, track.failures, track.failed_at, now) for track in tracks)


async def look(tx: Transaction, tracks: Sequence[Track]) -> tuple[Track, ...]:
    """What is known of ``tracks``."""
    rows = (await tx.execute(select(LOGIN_FAILURES).where(_T.key.in_([track.key for track in tracks])))).all()
    known = {row.key: row for row in rows}
    return tuple(_with_past(track, known.get(track.key)) for track in tracks)


async def claim(tx: Transaction, tracks: Sequence[Track], now: float) -> tuple[tuple[Track, ...], float]:
    """Count a failure of each, unless there is a wait. Nobody else counts any of them until ``tx`` ends.

    Returns:
        The tracks, in the order of their keys, and the wait in seconds; if there is one, nothing was counted.
    """
    # In the order of the keys, so that two transactions never wait for each other.
    tracks = sorted(tracks, key=lambda track: track.key)
    insert = insert_into(tx, LOGIN_FAILURES, [{"key": track.key, "failures": 0, "failed_at": now} for track in tracks])
    # An update that changes nothing: it holds the row, whether it was there or not, and says what stands in it.
    hold = insert.on_conflict_do_update(index_elements=[_T.key], set_={"failures": _T.failures})
    rows = (await tx.execute(hold.returning(_T.key, _T.failures, _T.failed_at))).all()
    held = {row.key: row for row in rows}
    past = tuple(_with_past(track, held[track.key]) for track in tracks)
    if (wait := wait_of(past, now)) > 0:
        return past, wait
    claimed = tuple(_raised(track, now) for track in past)
    insert = insert_into(
        tx,
        LOGIN_FAILURES,
        [{"key": track.key, "failures": track.claimed, "failed_at": track.claimed_at} for track in claimed],
    )
    new = {"failures": insert.excluded.failures, "failed_at": insert.excluded.failed_at}
    await tx.execute(insert.on_conflict_do_update(index_elements=[_T.key], set_=new))
    return claimed, 0.0


async def give_back(tx: Transaction, track: Track) -> None:
    """The try was no failure: as if it had not been, as far as nobody has failed since."""
    at = case((_T.failed_at == track.claimed_at, track.failed_at), else_=_T.failed_at)
    # What was forgotten by the time of the try comes back, too, or else it would be forgotten twice.
    untouched = (_T.failed_at == track.claimed_at) & (_T.failures == track.claimed)
    left = case((untouched, track.failures), else_=_T.failures - 1)
    await tx.execute(update(LOGIN_FAILURES).where(_T.key == track.key).values(failures=left, failed_at=at))
    await tx.execute(delete(LOGIN_FAILURES).where(_T.key == track.key, _T.failures <= 0))


async def forget(tx: Transaction, track: Track) -> None:
    """All failures of it are forgotten."""
    await tx.execute(delete(LOGIN_FAILURES).where(_T.key == track.key))


class Pruning:
    """Keeps the table small."""

    def __init__(self) -> None:
        self._claims = itertools.count()

    async def __call__(self, tx: Transaction, now: float) -> None:
        """Now and then, take away what counts no more, and the oldest of what is too much."""
        if next(self._claims) % FAILURES_PRUNED_EVERY:
            return
        old = select(_T.key).where(_T.failed_at < now - FAILURES_KEPT_FOR)
        many = select(_T.key).order_by(_T.failed_at.desc()).offset(FAILURES_KEPT)
        for some in (old, many):
            keys = some.limit(FAILURES_PRUNED_EVERY * 2).with_for_update(skip_locked=True)
            await tx.execute(delete(LOGIN_FAILURES).where(_T.key.in_(keys)))


def _with_past(track: Track, row: Any) -> Track:
    if row is None:
        return track
    return replace(track, failures=int(row.failures), failed_at=row.failed_at)


def _raised(track: Track, now: float) -> Track:
    counted = still_counted(track.schedule, track.failures, track.failed_at, now) + 1
    return replace(track, claimed=counted, claimed_at=now)

"""Slowing down whoever guesses passwords: the rules of ``backoff``, kept in the database.

Failures are counted by the name that was given, whether there is such a user or not, and by address: an IPv4 address or
an IPv6 /64, which is what one subscriber has (RFC 6177). Neither is stored: a key is an HMAC of it.
"""

import hmac
import ipaddress
import itertools
from dataclasses import dataclass
from typing import Any

from sqlalchemy import case, delete, select, update

from ostraka_consumers.clock import Clock, SystemClock
from ostraka_issuer.keys.vault import Vault
from ostraka_issuer.limits import FAILURES_FORGOTTEN, FAILURES_KEPT, FAILURES_PRUNED, FAILURES_PRUNED_EVERY
from ostraka_issuer.store import Store, Transaction
from ostraka_issuer.store.tables import LOGIN_FAILURES
from ostraka_issuer.store.upsert import insert_into
from ostraka_schemas import base64url

from .backoff import ACCOUNT, ADDRESS, Schedule, Standing, seconds_left, standing, still_counted
from .errors import TooManyFailures

_PURPOSE = "ostraka login failures 1"
_T = LOGIN_FAILURES.c


@dataclass(frozen=True, slots=True)
class _Track:
    """What is known of an account or an address. ``claimed``: this try is in ``failures`` already."""

    key: str
    schedule: Schedule
    failures: int = 0
    failed_at: float = 0.0
    claimed: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """A try that was let in. It ends with ``failed``, ``succeeded`` or ``abandoned``."""

    account: _Track
    address: _Track | None

    @property
    def tracks(self) -> tuple[_Track, ...]:
        """Always in the order of the keys, so that two transactions never wait for each other."""
        known = (self.account,) if self.address is None else (self.account, self.address)
        return tuple(sorted(known, key=lambda track: track.key))


class Throttle:
    """Lets tries in, and remembers how they ended."""

    def __init__(self, store: Store, vault: Vault, *, clock: Clock | None = None) -> None:
        self._store = store
        self._secret = vault.derive(_PURPOSE)
        self._clock = clock or SystemClock()
        self._failures = itertools.count()

    async def admit(self, username: str, address: str | None) -> Attempt:
        """Let a try in.

        Args:
            address: where it comes from; ``None`` if nobody knows.

        Raises:
            TooManyFailures: it has to wait, and the error says how long.
            StoreUnavailable
        """
        now = self._now()
        tracks = self._tracks(username, address)
        async with self._store.read() as tx:
            rows = (await tx.execute(select(LOGIN_FAILURES).where(_T.key.in_([track.key for track in tracks])))).all()
        known = {row.key: row for row in rows}
        tracks = tuple(_with_past(track, known.get(track.key)) for track in tracks)
        wait = max(seconds_left(track.schedule, track.failures, track.failed_at, now) for track in tracks)
        if wait > 0:
            raise TooManyFailures(wait)
        if any(_standing(track, now) is Standing.CLAIM for track in tracks):
            tracks = await self._claim(tracks, now)
        return Attempt(tracks[0], tracks[1] if len(tracks) > 1 else None)

    async def failed(self, attempt: Attempt) -> None:
        """Count a try that failed.

        Raises:
            StoreUnavailable
        """
        now = self._now()
        async with self._store.write() as tx:
            for track in attempt.tracks:
                if not track.claimed:
                    await _count(tx, track, now)
            await self._prune(tx, now)

    async def succeeded(self, tx: Transaction, attempt: Attempt) -> None:
        """Forget the account's failures, in the transaction that opens the session. The address keeps its own."""
        for track in attempt.tracks:
            if track is attempt.account and track.failures:
                await tx.execute(delete(LOGIN_FAILURES).where(_T.key == track.key))
            elif track.claimed:
                await _give_back(tx, track)

    async def abandoned(self, attempt: Attempt) -> None:
        """Nobody has looked at the password: the try counts for nothing.

        Raises:
            StoreUnavailable
        """
        if any(track.claimed for track in attempt.tracks):
            async with self._store.write() as tx:
                for track in attempt.tracks:
                    if track.claimed:
                        await _give_back(tx, track)

    async def _claim(self, tracks: tuple[_Track, ...], now: float) -> tuple[_Track, ...]:
        claimed: dict[str, _Track] = {}
        async with self._store.write() as tx:
            for track in sorted(tracks, key=lambda track: track.key):
                if _standing(track, now) is Standing.CLAIM:
                    claimed[track.key] = await _claim(tx, track, now)
        return tuple(claimed.get(track.key, track) for track in tracks)

    async def _prune(self, tx: Transaction, now: float) -> None:
        old = select(_T.key).where(_T.failed_at < now - FAILURES_FORGOTTEN).limit(FAILURES_PRUNED)
        await tx.execute(delete(LOGIN_FAILURES).where(_T.key.in_(old.with_for_update(skip_locked=True))))
        if next(self._failures) % FAILURES_PRUNED_EVERY == 0:
            many = select(_T.key).order_by(_T.failed_at.desc()).offset(FAILURES_KEPT).limit(FAILURES_PRUNED_EVERY * 2)
            await tx.execute(delete(LOGIN_FAILURES).where(_T.key.in_(many.with_for_update(skip_locked=True))))

    def _tracks(self, username: str, address: str | None) -> tuple[_Track, ...]:
        account = _Track(self._key("account", username), ACCOUNT)
        return (account,) if address is None else (account, _Track(self._key("address", network_of(address)), ADDRESS))

    def _key(self, kind: str, text: str) -> str:
        data = f"{kind}\x00{text}".encode("utf-8", "surrogatepass")
        return base64url.encode(hmac.digest(self._secret, data, "sha256")).decode()

    def _now(self) -> float:
        return self._clock.now().wall

    def __repr__(self) -> str:
        return "Throttle(…)"


def network_of(address: str) -> str:
    """The network that is slowed down together: an IPv4 address, an IPv6 /64, or the text itself if it is neither."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed), 64), strict=False))
    return str(parsed)


def _standing(track: _Track, now: float) -> Standing:
    return standing(track.schedule, track.failures, track.failed_at, now)


def _with_past(track: _Track, row: Any) -> _Track:
    return track if row is None else _Track(track.key, track.schedule, int(row.failures), row.failed_at)


def _still(track: _Track) -> Any:
    """The row, as long as nobody else has touched it."""
    return (_T.key == track.key) & (_T.failures == track.failures) & (_T.failed_at == track.failed_at)


async def _claim(tx: Transaction, track: _Track, now: float) -> _Track:
    counted = still_counted(track.schedule, track.failures, track.failed_at, now) + 1
    done = await tx.execute(update(LOGIN_FAILURES).where(_still(track)).values(failures=counted, failed_at=now))
    if done.rowcount != 1:
        raise TooManyFailures(1.0)
    return _Track(track.key, track.schedule, counted, now, claimed=True)


async def _give_back(tx: Transaction, track: _Track) -> None:
    await tx.execute(update(LOGIN_FAILURES).where(_still(track)).values(failures=track.failures - 1))


async def _count(tx: Transaction, track: _Track, now: float) -> None:
    forgotten = track.schedule.forgotten
    insert = insert_into(tx, LOGIN_FAILURES, {"key": track.key, "failures": 1, "failed_at": now})
    old = (_T.failed_at <= now - forgotten) | (_T.failed_at >= now + forgotten)
    counted = case((old, 1), else_=_T.failures + 1)
    await tx.execute(
        insert.on_conflict_do_update(index_elements=[_T.key], set_={"failures": counted, "failed_at": now})
    )

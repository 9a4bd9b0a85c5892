"""Revocations. Each is one transaction: what ends, ends in the database, and the feed is told by the same commit.

    token       this one token is dead (deny list); its session lives
    session     the login session, its refresh lineage and its access tokens
    subject     every session and every older token of one user
    client      every session and every older token of one client
    permission  no older token carries it any more; nobody holds it until it is granted again
    all         every session and every older token of everyone

``committed_at`` in the answer is read just after the commit: from then on the revocation survives anything.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, select, true, update

from ostraka_consumers.clock import Clock, SystemClock
from ostraka_schemas.events import (
    Event,
    InitiatingEntity,
    IssuerCutoff,
    PermissionRevoked,
    SessionRevoked,
    TokenRevoked,
)
from ostraka_schemas.limits import ID_MAX_CHARS, TEXT_MAX_CHARS, TOKEN_LIFETIME_MAX
from ostraka_schemas.permissions import is_permission
from ostraka_schemas.subjects import Complex, IssSub, JwtId, Opaque, SubjectIdentifier, Uri

from .accounts.users import find_user, withdraw_everywhere
from .errors import BadRequest, NotFound
from .failpoints import hit
from .identifiers import RandomBytes, new_id
from .store import Store, Transaction
from .store.intents import add_intent
from .store.tables import SESSIONS


@dataclass(frozen=True, slots=True)
class Revoked:
    """A committed revocation.

    Attributes:
        txn: names it on the feed.
        committed_at: seconds since the epoch.
        sessions: how many sessions it ended.
        grants: how many users' grants it took away.
    """

    txn: str
    committed_at: float
    sessions: int = 0
    grants: int = 0


class Revocations:
    """Carries out revocations.

    Args:
        issuer: the issuer identifier.
        longest_lifetime: seconds the longest-lived token may live (root document).
    """

    def __init__(
        self,
        store: Store,
        *,
        issuer: str,
        longest_lifetime: int = TOKEN_LIFETIME_MAX,
        clock: Clock | None = None,
        random_bytes: RandomBytes = secrets.token_bytes,
    ) -> None:
        self._store = store
        self._issuer = issuer
        self._longest_lifetime = longest_lifetime
        self._clock = clock or SystemClock()
        self._random_bytes = random_bytes

    def follow(self, longest_lifetime: int) -> None:
        """The root document has changed. Entries never become shorter: older tokens live as long as they were given."""
        self._longest_lifetime = max(self._longest_lifetime, longest_lifetime)

    async def token(self, jti: str, *, exp: int | None = None, reason: str | None = None) -> Revoked:
        """Put one token on the deny list, for at least as long as any token can live.

        ``exp`` can only lengthen that: whoever names the token may be mistaken about its end, or deceived.

        Raises:
            BadRequest: ``jti`` or the reason is too long or empty.
            StoreUnavailable
        """
        _check_id(jti, "jti")
        subject = JwtId(iss=self._issuer, jti=jti)

        async def work(tx: Transaction, _txn: str, now: float) -> tuple[int, int]:
            ends = max(exp or 0, int(now) + self._longest_lifetime)
            event = TokenRevoked(exp=ends, reason_admin=_reason(reason))
            await add_intent(tx, txn=_txn, subject=subject, event=event, now=now)
            return 0, 0

        return await self._commit(work, reason)

    async def session(self, session_id: str, *, reason: str | None = None) -> Revoked:
        """End one login session.

        Raises:
            NotFound: there was never such a session.
            BadRequest, StoreUnavailable
        """
        _check_id(session_id, "a session id")

        async def work(tx: Transaction, txn: str, now: float) -> tuple[int, int]:
            row = (await tx.execute(select(SESSIONS.c.user_id).where(SESSIONS.c.id == session_id))).first()
            if row is None:
                raise NotFound("there is no such session")
            ended = await revoke_session(
                tx,
                issuer=self._issuer,
                user_id=row.user_id,
                session_id=session_id,
                txn=txn,
                now=now,
                reason=reason,
            )
            return ended, 0

        return await self._commit(work, reason)

    async def subject(
        self, subject: str | None = None, *, username: str | None = None, reason: str | None = None
    ) -> Revoked:
        """Cut off one user, named by ``sub`` or by user name.

        Raises:
            NotFound: there is no such user.
            BadRequest, StoreUnavailable
        """
        _check_id(username or subject or "", "a subject")

        async def work(tx: Transaction, txn: str, now: float) -> tuple[int, int]:
            user = await find_user(tx, user_id=subject, username=username)
            about = IssSub(iss=self._issuer, sub=user.id)
            return await self._cut_off(tx, SESSIONS.c.user_id == user.id, about, txn, now, reason), 0

        return await self._commit(work, reason)

    async def client(self, client_id: str, *, reason: str | None = None) -> Revoked:
        """Cut off one client.

        Raises:
            NotFound: no session of that client was ever opened.
            BadRequest, StoreUnavailable
        """
        _check_id(client_id, "a client id")

        async def work(tx: Transaction, txn: str, now: float) -> tuple[int, int]:
            of_client = SESSIONS.c.client_id == client_id
            if (await tx.execute(select(SESSIONS.c.id).where(of_client).limit(1))).first() is None:
                raise NotFound("no session of such a client was ever opened")
            about = Complex(application=Opaque(id=client_id))
            return await self._cut_off(tx, of_client, about, txn, now, reason), 0

        return await self._commit(work, reason)

    async def permission(self, permission: str, *, reason: str | None = None) -> Revoked:
        """Take a permission, or all that a pattern means, from every older token and from every user.

        Users lose each grant that still allows any of it, also a wider one: else the next refresh would bring it back.

        Raises:
            BadRequest: not a permission.
            StoreUnavailable
        """
        if not is_permission(permission):
            raise BadRequest("a permission is resource:action, each of A-Z a-z 0-9 . _ - or a single *")

        async def work(tx: Transaction, txn: str, now: float) -> tuple[int, int]:
            grants = await withdraw_everywhere(tx, permission)
            event = PermissionRevoked(permission=permission, reason_admin=_reason(reason))
            await add_intent(tx, txn=txn, subject=Uri(uri=self._issuer), event=event, now=now)
            return 0, grants

        return await self._commit(work, reason)

    async def everyone(self, *, reason: str | None = None) -> Revoked:
        """End every session and every older token.

        Raises:
            BadRequest, StoreUnavailable
        """

        async def work(tx: Transaction, txn: str, now: float) -> tuple[int, int]:
            ended = await end_sessions(tx, true(), now=now, reason=reason)
            event = IssuerCutoff(reason_admin=_reason(reason))
            await add_intent(tx, txn=txn, subject=Uri(uri=self._issuer), event=event, now=now)
            return ended, 0

        return await self._commit(work, reason)

    async def _cut_off(
        self,
        tx: Transaction,
        which: ColumnElement[bool],
        about: SubjectIdentifier,
        txn: str,
        now: float,
        reason: str | None,
    ) -> int:
        ended = await end_sessions(tx, which, now=now, reason=reason)
        await add_intent(tx, txn=txn, subject=about, event=_session_revoked(now, reason), now=now)
        return ended

    async def _commit(self, work: Callable[[Transaction, str, float], Any], reason: str | None) -> Revoked:
        _reason(reason)
        txn, now = new_id(self._random_bytes), self._clock.now().wall
        async with self._store.announce() as tx:
            sessions, grants = await work(tx, txn, now)
            hit("revoke.before_commit")
        committed_at = self._clock.now().wall
        hit("revoke.after_commit")
        return Revoked(txn, committed_at, sessions, grants)


async def revoke_session(
    tx: Transaction,
    *,
    issuer: str,
    user_id: str,
    session_id: str,
    txn: str,
    now: float,
    reason: str | None,
    initiating_entity: InitiatingEntity = "admin",
) -> int:
    """End a session and write the intent that says so, in the caller's transaction. Returns how many ended: 0 or 1."""
    ended = await end_sessions(tx, SESSIONS.c.id == session_id, now=now, reason=reason)
    about = Complex(user=IssSub(iss=issuer, sub=user_id), session=Opaque(id=session_id))
    event = _session_revoked(now, reason, initiating_entity)
    await add_intent(tx, txn=txn, subject=about, event=event, now=now)
    return ended


async def end_sessions(tx: Transaction, which: ColumnElement[bool], *, now: float, reason: str | None) -> int:
    """End the sessions that ``which`` selects and that still run; returns how many. Nothing is published."""
    done = await tx.execute(
        update(SESSIONS)
        .where(which, SESSIONS.c.ended_at.is_(None))
        .values(ended_at=now, end_reason=reason or "revoked")
    )
    return int(done.rowcount)


def _session_revoked(now: float, reason: str | None, entity: InitiatingEntity = "admin") -> Event:
    return SessionRevoked(event_timestamp=int(now), initiating_entity=entity, reason_admin=_reason(reason))


def _reason(text: str | None) -> dict[str, str] | None:
    if text is None:
        return None
    if len(text) > TEXT_MAX_CHARS or not _is_unicode(text):
        raise BadRequest(f"a reason has at most {TEXT_MAX_CHARS} characters, all of them Unicode")
    return {"en": text}


def _check_id(text: str, what: str) -> None:
    if not 1 <= len(text) <= ID_MAX_CHARS or not _is_unicode(text):
        raise BadRequest(f"{what} has 1 to {ID_MAX_CHARS} characters")


def _is_unicode(text: str) -> bool:
    # Arguments of a command may hold bytes that are no text, as lone surrogates.
    return not any("\ud800" <= char <= "\udfff" for char in text)

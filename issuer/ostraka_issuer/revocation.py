"""Revocations. Each is one transaction: what ends, ends in the database, and the feed is told by the same commit.

    token       this one token is dead (deny list); its session lives
    session     the login session, its refresh lineage and its access tokens
    subject     every session and every older token of one user
    client      every session and every older token of one client
    permission  no older token carries it any more; nobody holds it until it is granted again
    all         every session and every older token of everyone

``committed_at`` in the answer is read just after the commit: from then on the revocation survives anything. What must
not be missed is held first: whoever is about to mint for that user or client has finished, or waits and then sees it.
"""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import ColumnElement, select, true

from ostraka_consumers.clock import Clock, SystemClock
from ostraka_schemas.events import Event, IssuerCutoff, SessionRevoked, TokenRevoked
from ostraka_schemas.limits import ID_MAX_CHARS, TOKEN_LIFETIME_MAX
from ostraka_schemas.permissions import is_permission
from ostraka_schemas.subjects import Complex, IssSub, JwtId, Opaque, SubjectIdentifier, Uri

from .accounts.actors import HOME, Actor
from .accounts.ledger import Change, Ledger
from .accounts.names import is_text
from .accounts.narrowing import Announcement, client_cut_off, permissions_gone, subject_cut_off
from .accounts.people import find_user
from .accounts.withdrawal import withdraw_everywhere
from .ending import end_sessions, revoke_session
from .errors import BadRequest, NotFound
from .failpoints import hit
from .identifiers import RandomBytes
from .store import Store, locks
from .store.tables import CLIENTS, SESSIONS

__all__ = ["Revocations", "Revoked", "end_sessions", "revoke_session"]


@dataclass(frozen=True, slots=True)
class Revoked:
    """A committed revocation.

    Attributes:
        txn: names it on the feed; of several records, the last.
        committed_at: seconds since the epoch.
        sessions: how many sessions it ended.
        grants: how many grants to users, roles and clients it took away.
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
        self._issuer = issuer
        self._longest_lifetime = longest_lifetime
        self._clock = clock or SystemClock()
        self._ledger = Ledger(store, issuer=issuer, clock=clock, random_bytes=random_bytes)

    def follow(self, longest_lifetime: int) -> None:
        """The root document has changed. Entries never become shorter: older tokens live as long as they were given."""
        self._longest_lifetime = max(self._longest_lifetime, longest_lifetime)

    async def token(self, jti: str, *, exp: int | None = None, reason: str | None = None, by: Actor = HOME) -> Revoked:
        """Put one token on the deny list, for at least as long as any token can live.

        ``exp`` can only lengthen that: whoever names the token may be mistaken about its end, or deceived.

        Raises:
            BadRequest: ``jti`` or the reason is too long or empty.
            StoreUnavailable
        """
        _check_id(jti, "jti")
        async with self._revocation(by, reason) as change:
            ends = max(exp or 0, int(change.cause.at) + self._longest_lifetime)
            event = TokenRevoked(exp=ends, reason_admin=change.cause.reason_admin)
            await _tell(change, JwtId(iss=self._issuer, jti=jti), event)
            await change.record("revoke.token", jti)
        return _revoked(change)

    async def session(self, session_id: str, *, reason: str | None = None, by: Actor = HOME) -> Revoked:
        """End one login session.

        Raises:
            NotFound: there was never such a session.
            BadRequest, StoreUnavailable
        """
        _check_id(session_id, "a session id")
        async with self._revocation(by, reason) as change:
            row = (await change.tx.execute(select(SESSIONS.c.user_id).where(SESSIONS.c.id == session_id))).first()
            if row is None:
                raise NotFound("there is no such session")
            await _end(change, SESSIONS.c.id == session_id)
            about = Complex(user=IssSub(iss=self._issuer, sub=row.user_id), session=Opaque(id=session_id))
            await _tell(change, about, SessionRevoked(event_timestamp=int(change.cause.at), reason_admin=_why(change)))
            await change.record("revoke.session", session_id)
        return _revoked(change)

    async def subject(
        self,
        subject: str | None = None,
        *,
        username: str | None = None,
        reason: str | None = None,
        by: Actor = HOME,
    ) -> Revoked:
        """Cut off one user, named by ``sub`` or by user name.

        Raises:
            NotFound: there is no such user.
            BadRequest, StoreUnavailable
        """
        _check_id(username or subject or "", "a subject")
        async with self._revocation(by, reason) as change:
            user = await find_user(change.tx, user_id=subject, username=username, for_update=True)
            await _end(change, SESSIONS.c.user_id == user.id)
            await change.announce([subject_cut_off(change.cause, user.id)])
            await change.record("revoke.subject", user.id)
        return _revoked(change)

    async def client(self, client_id: str, *, reason: str | None = None, by: Actor = HOME) -> Revoked:
        """Cut off one client.

        Raises:
            NotFound: there is no such client, and no session of it was ever opened.
            BadRequest, StoreUnavailable
        """
        _check_id(client_id, "a client id")
        async with self._revocation(by, reason) as change:
            held = select(CLIENTS.c.id).where(CLIENTS.c.id == client_id).with_for_update()
            known = (await change.tx.execute(held)).first()
            of_client = SESSIONS.c.client_id == client_id
            if (
                known is None
                and (await change.tx.execute(select(SESSIONS.c.id).where(of_client).limit(1))).first() is None
            ):
                raise NotFound("there is no such client")
            await _end(change, of_client)
            await change.announce([client_cut_off(change.cause, client_id)])
            await change.record("revoke.client", client_id)
        return _revoked(change)

    async def permission(self, permission: str, *, reason: str | None = None, by: Actor = HOME) -> Revoked:
        """Take a permission, or all that a pattern means, from every older token, and from users, roles and clients.

        They lose each grant that still allows any of it, also a wider one: else the next refresh would bring it back.

        Raises:
            BadRequest: not a permission.
            StoreUnavailable
        """
        if not is_permission(permission):
            raise BadRequest("a permission is resource:action, each of A-Z a-z 0-9 . _ - or a single *")
        async with self._revocation(by, reason) as change:
            await change.announce(permissions_gone(change.cause, [permission]))
            grants = await withdraw_everywhere(change, permission)
            await change.record("revoke.permission", permission, {"grants": grants})
        return _revoked(change, grants)

    async def everyone(self, *, reason: str | None = None, by: Actor = HOME) -> Revoked:
        """End every session and every older token.

        Raises:
            BadRequest, StoreUnavailable
        """
        async with self._revocation(by, reason) as change:
            await locks.exclude_everyone(change.tx)
            await _end(change, true())
            await _tell(change, Uri(uri=self._issuer), IssuerCutoff(reason_admin=_why(change)))
            await change.record("revoke.all", None)
        return _revoked(change)

    @asynccontextmanager
    async def _revocation(self, by: Actor, reason: str | None) -> AsyncIterator[Change]:
        async with self._ledger.change(by, reason) as change:
            yield change
            hit("revoke.before_commit")
        hit("revoke.after_commit")


async def _end(change: Change, which: ColumnElement[bool]) -> None:
    change.sessions = await end_sessions(change.tx, which, now=change.cause.at, reason=change.cause.reason)


async def _tell(change: Change, about: SubjectIdentifier, event: Event) -> None:
    await change.announce([Announcement(about, event)])


def _why(change: Change) -> dict[str, str] | None:
    return change.cause.reason_admin


def _revoked(change: Change, grants: int = 0) -> Revoked:
    return Revoked(change.txn or "", change.committed_at, change.sessions, grants)


def _check_id(text: str, what: str) -> None:
    if not 1 <= len(text) <= ID_MAX_CHARS or not is_text(text):
        raise BadRequest(f"{what} has 1 to {ID_MAX_CHARS} characters")

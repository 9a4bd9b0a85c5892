"""Login and refresh.

Rules of refresh (RFC 9700 §4.14.2, FAPI 2.0):

1. A refresh token is used by raising the session's generation from its own to the next, in one statement that fails for
   all but one of those who try at once.
2. The token just used works again for ``REFRESH_GRACE`` seconds and gives the same successor: an answer may get lost.
3. Any older token proves that two parties hold the family: the session ends, and the feed says so.
4. Session, user and generation are read in the transaction that raises it: nothing is minted after the commit of a
   revocation. Nothing depends on the time of a start or on what a process remembers.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, insert, select, update

from ostraka_consumers.clock import Clock, SystemClock
from ostraka_issuer.accounts.passwords import Passwords
from ostraka_issuer.errors import BadRequest, GrantRefused, LoginRefused
from ostraka_issuer.identifiers import RandomBytes, new_id
from ostraka_issuer.limits import GENERATION_MAX, REFRESH_GRACE, SESSION_IDLE, SESSION_TOTAL
from ostraka_issuer.revocation import end_sessions, revoke_session
from ostraka_issuer.store import Store, Transaction
from ostraka_issuer.store.tables import SESSIONS, USERS

from .refresh_token import Presented, RefreshTokens
from .tokens import Draft, Minter, Session


@dataclass(frozen=True, slots=True)
class Issued:
    """What a client gets. ``expires_in`` is seconds."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int
    session_id: str


@dataclass(frozen=True, slots=True)
class _Refusal:
    """A refusal whose transaction must be committed: it may have ended the session."""

    reason: str
    published: bool = False


class Sessions:
    """Opens sessions and refreshes them.

    Args:
        issuer: the issuer identifier.
        audiences: what a login may ask for.
        client_id: the client of logins that name none.
        wake: called after each commit that the feed must learn of.
    """

    def __init__(
        self,
        store: Store,
        passwords: Passwords,
        minter: Minter,
        tokens: RefreshTokens,
        *,
        issuer: str,
        audiences: Sequence[str],
        client_id: str,
        clock: Clock | None = None,
        random_bytes: RandomBytes = secrets.token_bytes,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._minter = minter
        self._tokens = tokens
        self._issuer = issuer
        self._audiences = tuple(audiences)
        self._client_id = client_id
        self._clock = clock or SystemClock()
        self._random_bytes = random_bytes
        self._wake = wake

    async def login(
        self, username: str, password: str, *, client_id: str | None = None, audience: Sequence[str] | None = None
    ) -> Issued:
        """Open a session.

        Raises:
            LoginRefused: unknown user, wrong password or disabled account: which, is not said.
            BadRequest: an audience that is not served.
            HashingBusy, SigningUnavailable, StoreUnavailable, KeyStoreError
        """
        wanted = self._wanted(audience)
        user = await self._user(username)
        fits = await self._passwords.check(None if user is None else user.password_hash, password)
        if user is None or not fits or user.disabled:
            raise LoginRefused("user name or password is wrong")
        now = self._now()
        session = Session(
            id=new_id(self._random_bytes),
            user_id=user.id,
            client_id=client_id or self._client_id,
            audience=wanted,
            auth_time=int(now),
        )
        async with self._store.write() as tx:
            # What was read before the password was checked may have changed since.
            again = (await tx.execute(select(USERS).where(USERS.c.id == user.id))).first()
            if again is None or again.disabled or again.password_hash != user.password_hash:
                raise LoginRefused("user name or password is wrong")
            await tx.execute(insert(SESSIONS).values(_row(session, now)))
            draft = await self._minter.draft(tx, session)
        return await self._issue(draft, session.id, 1)

    async def refresh(self, refresh_token: str, *, client_id: str | None = None) -> Issued:
        """Exchange a refresh token for new tokens.

        Raises:
            GrantRefused: not ours, ended, expired, of another client, or used before.
            SigningUnavailable, StoreUnavailable, KeyStoreError
        """
        presented = self._tokens.read(refresh_token)
        async with self._store.write() as tx:
            row = await _session(tx, presented.session_id)
            outcome = await self._rotate(tx, row, presented, client_id)
            draft = None if isinstance(outcome, _Refusal) else await self._minter.draft(tx, _of(row))
        if isinstance(outcome, _Refusal):
            if outcome.published:
                self._wake()
            raise GrantRefused(outcome.reason)
        assert draft is not None  # noqa: S101 - for the type checker
        return await self._issue(draft, presented.session_id, outcome)

    async def _user(self, username: str) -> "Row[Any] | None":
        if not username.isprintable():
            return None  # nobody is called that, and the database could not even be asked
        async with self._store.read() as tx:
            return (await tx.execute(select(USERS).where(USERS.c.username == username))).first()

    async def _rotate(
        self, tx: Transaction, row: "Row[Any] | None", presented: Presented, client_id: str | None
    ) -> "int | _Refusal":
        """The generation that is good from now on, or why not."""
        if row is None or row.ended_at is not None or row.disabled:
            return _Refusal("the session has ended")
        if client_id is not None and client_id != row.client_id:
            return _Refusal("the refresh token belongs to another client")
        now = self._now()
        if now > row.used_at + SESSION_IDLE or now > row.created_at + SESSION_TOTAL:
            # Every access token of it ended long ago: there is nothing to tell the verifiers.
            await end_sessions(tx, SESSIONS.c.id == row.id, now=now, reason="expired")
            return _Refusal("the session has expired")
        if presented.generation == row.generation < GENERATION_MAX:
            return await _raise_generation(tx, row, now)
        if presented.generation == row.generation - 1 and abs(now - row.rotated_at) <= REFRESH_GRACE:
            return int(row.generation)
        await revoke_session(
            tx,
            issuer=self._issuer,
            user_id=row.user_id,
            session_id=row.id,
            txn=new_id(self._random_bytes),
            now=now,
            reason="a refresh token was used twice",
            initiating_entity="policy",
        )
        return _Refusal("the refresh token was used before; the session has ended", published=True)

    async def _issue(self, draft: Draft, session_id: str, generation: int) -> Issued:
        access = await self._minter.sign(draft)
        return Issued(access, self._tokens.make(session_id, generation), draft.lifetime, session_id)

    def _wanted(self, audience: Sequence[str] | None) -> tuple[str, ...]:
        wanted = tuple(dict.fromkeys(audience)) if audience is not None else self._audiences
        if not wanted or not set(wanted) <= set(self._audiences):
            raise BadRequest(f"the audience is one or more of {', '.join(self._audiences)}")
        return wanted

    def _now(self) -> float:
        return self._clock.now().wall


async def _session(tx: Transaction, session_id: str) -> "Row[Any] | None":
    query = (
        select(SESSIONS, USERS.c.disabled)
        .join(USERS, USERS.c.id == SESSIONS.c.user_id)
        .where(SESSIONS.c.id == session_id)
    )
    return (await tx.execute(query)).first()


async def _raise_generation(tx: Transaction, row: "Row[Any]", now: float) -> int:
    raised = row.generation + 1
    done = await tx.execute(
        update(SESSIONS)
        .where(SESSIONS.c.id == row.id, SESSIONS.c.generation == row.generation, SESSIONS.c.ended_at.is_(None))
        .values(generation=raised, rotated_at=now, used_at=now)
    )
    if done.rowcount != 1:
        raise GrantRefused("the refresh token was used at the same moment; try again")
    return int(raised)


def _row(session: Session, now: float) -> dict[str, Any]:
    return {
        "id": session.id,
        "user_id": session.user_id,
        "client_id": session.client_id,
        "audience": list(session.audience),
        "auth_time": session.auth_time,
        "created_at": now,
        "used_at": now,
        "generation": 1,
        "rotated_at": now,
    }


def _of(row: "Row[Any] | None") -> Session:
    assert row is not None  # noqa: S101 - a session that rotates is there
    return Session(row.id, row.user_id, row.client_id, tuple(row.audience), row.auth_time)

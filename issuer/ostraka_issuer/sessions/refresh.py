"""Refresh: the rules of ``rotation``, carried out on the database.

Session, user, client and generation are read, and held, in the transaction that raises the generation: nothing is
minted after the commit of a revocation. The generation is raised by one statement, which fails for all but one of those
who try at once. A family found out is ended in a transaction of its own, because the feed is told by the same commit.
"""

import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select, update

from ostraka_consumers.clock import Clock, SystemClock
from ostraka_issuer.accounts.holdings import permissions_of
from ostraka_issuer.errors import GrantRefused
from ostraka_issuer.identifiers import RandomBytes, new_id
from ostraka_issuer.oauth.errors import InvalidClient, UnauthorizedClient
from ostraka_issuer.revocation import end_sessions, revoke_session
from ostraka_issuer.store import Store, Transaction
from ostraka_issuer.store.locks import share_everyone
from ostraka_issuer.store.tables import CLIENTS, SESSIONS, USERS

from .issued import Issued, Issuing
from .refresh_token import Presented, RefreshTokens
from .rotation import Family, Verdict, judge
from .tokens import Content, Draft, Minter

_ENDED = "the session has ended"


@dataclass(frozen=True, slots=True)
class Caller:
    """The client that presents a refresh token; ``proven``: it has authenticated itself."""

    client_id: str
    proven: bool = False


@dataclass(frozen=True, slots=True)
class _Minted:
    draft: Draft
    generation: int


class Refreshing:
    """Exchanges refresh tokens for new tokens.

    Args:
        issuer: the issuer identifier.
    """

    def __init__(
        self,
        store: Store,
        minter: Minter,
        tokens: RefreshTokens,
        *,
        issuer: str,
        clock: Clock | None = None,
        random_bytes: RandomBytes = secrets.token_bytes,
    ) -> None:
        self._store = store
        self._minter = minter
        self._tokens = tokens
        self._issuing = Issuing(minter, tokens)
        self._issuer = issuer
        self._clock = clock or SystemClock()
        self._random_bytes = random_bytes

    async def refresh(self, refresh_token: str, caller: Caller | None = None) -> Issued:
        """Exchange a refresh token for new tokens.

        Args:
            caller: who asks; a client that has a secret or a key must have used it (RFC 6749 §6).

        Raises:
            GrantRefused: not ours, ended, expired, of another client, or used before.
            InvalidClient: the client did not authenticate itself, and must.
            UnauthorizedClient: the client may not refresh.
            SigningUnavailable, StoreUnavailable, KeyStoreError
        """
        presented = self._tokens.read(refresh_token)
        async with self._store.write() as tx:
            outcome = await self._use(tx, presented, caller)
        if isinstance(outcome, _Minted):
            return await self._issuing.issue(outcome.draft, presented.session_id, outcome.generation)
        if outcome is Verdict.EXPIRED:
            raise GrantRefused("the session has expired")
        await self._end_family(presented)
        raise GrantRefused("the refresh token was used before; the session has ended")

    async def _use(self, tx: Transaction, presented: Presented, caller: Caller | None) -> "_Minted | Verdict":
        position = await self._minter.head(tx)
        await share_everyone(tx)
        await _hold(tx, presented.session_id, caller)
        row = await _session(tx, presented.session_id)
        now = self._clock.now().wall
        verdict = judge(family_of(row), presented.generation, now)
        if verdict is Verdict.EXPIRED:
            # Every access token of it ended long ago: there is nothing to tell the verifiers.
            await end_sessions(tx, SESSIONS.c.id == row.id, now=now, reason="expired")
        if verdict in (Verdict.EXPIRED, Verdict.REUSED):
            return verdict
        generation = int(row.generation)
        if verdict is Verdict.ROTATE:
            generation = await _raise_generation(tx, row, now)
        draft = await self._minter.draft(tx, position, await _content(tx, row))
        return _Minted(draft, generation)

    async def _end_family(self, presented: Presented) -> None:
        """End the session whose refresh token was used twice, unless somebody has ended it meanwhile."""
        now = self._clock.now().wall
        async with self._store.announce() as tx:
            query = select(SESSIONS).where(SESSIONS.c.id == presented.session_id).with_for_update()
            row = (await tx.execute(query)).first()
            if row is None or row.ended_at is not None:
                return
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


def family_of(row: "Row[Any]") -> Family:
    """The refresh tokens of a session, from its row."""
    return Family(int(row.generation), row.created_at, row.used_at, row.rotated_at)


async def _hold(tx: Transaction, session_id: str, caller: Caller | None) -> None:
    """Hold user and client of a session, and insist that they are there and that it is the client that asks.

    Before the session: whoever ends them takes them in this order, too.
    """
    query = (
        select(USERS.c.disabled.label("user_disabled"), CLIENTS)
        .join_from(SESSIONS, USERS, USERS.c.id == SESSIONS.c.user_id)
        .join(CLIENTS, CLIENTS.c.id == SESSIONS.c.client_id)
        .where(SESSIONS.c.id == session_id)
        .with_for_update(read=True, of=[USERS, CLIENTS])
    )
    client = (await tx.execute(query)).first()
    if client is None or client.disabled or client.user_disabled:
        raise GrantRefused(_ENDED)
    if caller is not None and caller.client_id != client.id:
        raise GrantRefused("the refresh token belongs to another client")
    if client.auth_method != "none" and not (caller is not None and caller.proven):
        raise InvalidClient("the client has to authenticate itself")
    if "refresh_token" not in client.grant_types:
        raise UnauthorizedClient("the client may not refresh")


async def _session(tx: Transaction, session_id: str) -> "Row[Any]":
    """The session as it is, held until the end of the transaction."""
    row = (await tx.execute(select(SESSIONS).where(SESSIONS.c.id == session_id).with_for_update())).first()
    if row is None or row.ended_at is not None:
        raise GrantRefused(_ENDED)
    return row


async def _raise_generation(tx: Transaction, row: "Row[Any]", now: float) -> int:
    raised = int(row.generation) + 1
    done = await tx.execute(
        update(SESSIONS)
        .where(SESSIONS.c.id == row.id, SESSIONS.c.generation == row.generation, SESSIONS.c.ended_at.is_(None))
        .values(generation=raised, rotated_at=now, used_at=now)
    )
    if done.rowcount != 1:
        raise GrantRefused("the refresh token was used at the same moment; try again")
    return raised


async def _content(tx: Transaction, row: "Row[Any]") -> Content:
    return Content(
        subject=row.user_id,
        client_id=row.client_id,
        audience=tuple(row.audience),
        permissions=await permissions_of(tx, row.user_id),
        session_id=row.id,
        auth_time=row.auth_time,
    )

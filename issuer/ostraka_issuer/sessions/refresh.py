"""Refresh: the rules of ``rotation``, carried out on the database in two statements.

1. One reads everything: session, user, client, permissions, the head of the feed, the keys (``family``).
2. One raises the generation, if it is still the one that was read and the session has not ended. It fails for all but
   one of those who try at once, who look again. It waits for whoever is about to end the session, and then fails: so
   nothing is minted after the commit of a revocation.

What was taken away between the two, and is no end of the session, has its place in the feed behind the token's ``fv``.
A family found out is ended in a transaction of its own, because the feed is told by the same commit.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import bindparam, select, update

from ostraka_consumers.clock import Clock, SystemClock
from ostraka_issuer.errors import GrantRefused
from ostraka_issuer.identifiers import RandomBytes, new_id
from ostraka_issuer.limits import REFRESH_LOOKS
from ostraka_issuer.oauth.errors import InvalidClient, InvalidScope, UnauthorizedClient
from ostraka_issuer.revocation import revoke_session
from ostraka_issuer.store import Store
from ostraka_issuer.store.tables import SESSIONS
from ostraka_schemas.permissions import covered_by_any

from .family import Standing, look
from .issued import Issued, Issuing
from .refresh_token import Presented, RefreshTokens
from .rotation import Family, Verdict, judge
from .tokens import Content, Minter

_ENDED = "the session has ended"
_AS_IT_WAS: Final = (
    SESSIONS.c.id == bindparam("session_id"),
    SESSIONS.c.generation == bindparam("was"),
    SESSIONS.c.ended_at.is_(None),
)
_RAISE: Final = (
    update(SESSIONS)
    .where(*_AS_IT_WAS)
    .values(generation=SESSIONS.c.generation + 1, rotated_at=bindparam("now"), used_at=bindparam("now"))
)
# Every access token of it ended long ago: there is nothing to tell the verifiers.
_EXPIRE: Final = update(SESSIONS).where(*_AS_IT_WAS).values(ended_at=bindparam("now"), end_reason="expired")


@dataclass(frozen=True, slots=True)
class Caller:
    """The client that presents a refresh token; ``proven``: it has authenticated itself."""

    client_id: str
    proven: bool = False


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

    async def refresh(
        self, refresh_token: str, caller: Caller | None = None, asked: Sequence[str] | None = None
    ) -> Issued:
        """Exchange a refresh token for new tokens.

        Args:
            caller: who asks; a client that has a secret or a key must have used it (RFC 6749 §6).
            asked: permissions that the access token is to carry, if not all; the next refresh may ask for others.

        Raises:
            GrantRefused: not ours, ended, expired, of another client, or used before.
            InvalidScope: something that is asked for was not granted (RFC 6749 §6). The refresh token is not used up.
            InvalidClient: the client did not authenticate itself, and must.
            UnauthorizedClient: the client may not refresh.
            SigningUnavailable, StoreUnavailable, KeyStoreError
        """
        presented = self._tokens.read(refresh_token)
        for _ in range(REFRESH_LOOKS):
            issued = await self._try(presented, caller, asked)
            if issued is not None:
                return issued
        raise GrantRefused("the refresh token was used at the same moment; try again")

    async def _try(self, presented: Presented, caller: Caller | None, asked: Sequence[str] | None) -> Issued | None:
        """``None`` if somebody was faster."""
        standing = await look(self._store, presented.session_id)
        if standing is None:
            raise GrantRefused(_ENDED)
        _insist(standing, caller)
        now = self._clock.now().wall
        verdict = judge(standing.family, presented.generation, now)
        if verdict is Verdict.EXPIRED:
            await self._store.apply(_EXPIRE, _values(presented, standing.family, now))
            raise GrantRefused("the session has expired")
        if verdict is Verdict.REUSED:
            await self._end_family(presented)
            raise GrantRefused("the refresh token was used before; the session has ended")
        content = _narrowed(standing.content, asked)
        draft = self._minter.draft_at_once(standing.position, standing.keys, content)
        if verdict is Verdict.ROTATE and not await self._store.apply(_RAISE, _values(presented, standing.family, now)):
            return None
        return await self._issuing.issue(draft, presented.session_id, presented.generation + 1)

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


def _insist(standing: Standing, caller: Caller | None) -> None:
    """Insist that nothing has ended, and that it is the client that asks."""
    if not standing.runs:
        raise GrantRefused(_ENDED)
    if caller is not None and caller.client_id != standing.content.client_id:
        raise GrantRefused("the refresh token belongs to another client")
    if standing.auth_method != "none" and not (caller is not None and caller.proven):
        raise InvalidClient("the client has to authenticate itself")
    if "refresh_token" not in standing.grant_types:
        raise UnauthorizedClient("the client may not refresh")


def _narrowed(content: Content, asked: Sequence[str] | None) -> Content:
    if asked is None:
        return content
    if not all(covered_by_any(content.permissions, each) for each in asked):
        raise InvalidScope("something of what is asked for was not granted")
    return replace(content, permissions=tuple(asked))


def _values(presented: Presented, family: Family, now: float) -> dict[str, object]:
    return {"session_id": presented.session_id, "was": family.generation, "now": now}

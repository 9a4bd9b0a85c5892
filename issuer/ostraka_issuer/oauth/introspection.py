"""What has become of a token (RFC 7662): the issuer's own verifier and the database have to agree that it is good.

An inactive token is ``{"active": false}`` and nothing else (§2.2). Callers (§2.1): a client that has proved who it is,
or whoever has a good token of this issuer that allows ``tokens:introspect``. What a JWT says can be read by whoever
holds it, so any of them may ask about any access token; a refresh token says nothing to anybody but its client, and to
those who may ask about all.
"""

from typing import Any, Final

from sqlalchemy import bindparam, select

from ostraka_consumers.clock import Clock, SystemClock
from ostraka_consumers.errors import VerificationError
from ostraka_consumers.verifier import Verifier
from ostraka_issuer.errors import GrantRefused
from ostraka_issuer.sessions.family import family_of
from ostraka_issuer.sessions.refresh_token import RefreshTokens
from ostraka_issuer.sessions.rotation import Verdict, ends_at, judge
from ostraka_issuer.store import Store
from ostraka_issuer.store.tables import CLIENTS, SESSIONS, USERS

from .asking import scope_of
from .background import Background
from .client_auth import ClientAuthenticator
from .errors import InvalidClient
from .forms import Form
from .own_tokens import Judged, OwnTokens, nobody_can_tell

PERMISSION: Final = "tokens:introspect"
_INACTIVE: Final[dict[str, Any]] = {"active": False}
_SESSION: Final = (
    select(SESSIONS, USERS.c.username)
    .join(USERS, USERS.c.id == SESSIONS.c.user_id)
    .join(CLIENTS, CLIENTS.c.id == SESSIONS.c.client_id)
    .where(SESSIONS.c.id == bindparam("session_id"), SESSIONS.c.ended_at.is_(None))
    .where(USERS.c.disabled.is_(False), CLIENTS.c.disabled.is_(False))
)


class Introspection:
    """Answers what has become of a token."""

    def __init__(
        self,
        store: Store,
        clients: ClientAuthenticator,
        own: OwnTokens,
        verifier: Verifier,
        refresh_tokens: RefreshTokens,
        *,
        clock: Clock | None = None,
    ) -> None:
        self._store = store
        self._clients = clients
        self._own = own
        self._verifier = verifier
        self._refresh_tokens = refresh_tokens
        self._clock = clock or SystemClock()

    async def introspect(self, form: Form, authorization: str | None) -> dict[str, Any]:
        """The members of the answer.

        Raises:
            InvalidClient, InvalidRequest
            VerificationError: the caller's own token is not good, or does not allow this; or ``NotReady`` or ``Stale``:
                nobody can tell now.
            NothingYet, StoreUnavailable
        """
        background = Background(self._store, self._own.said(form.get("token") or ""))
        caller = await self._caller(form, authorization, background)
        token = form.require("token")
        try:
            presented = self._refresh_tokens.read(token)
        except GrantRefused:
            return await self._access(token, background)
        return await self._refresh(presented.session_id, presented.generation, caller)

    async def _caller(self, form: Form, authorization: str | None, background: Background) -> str | None:
        """The client that asks, or ``None`` for somebody who may ask about all."""
        scheme, _, credentials = (authorization or "").partition(" ")
        if scheme.lower() == "bearer":
            self._verifier.verify(credentials.strip(" ")).require(PERMISSION)
            return None
        known = await self._clients.authenticate(form, authorization, find=background.find)
        if not known.proven:
            raise InvalidClient("a client that cannot prove who it is asks about no tokens")
        return known.client.id

    async def _access(self, token: str, background: Background) -> dict[str, Any]:
        try:
            judged = await self._own.judge(token)
        except VerificationError as error:
            if nobody_can_tell(error):
                raise
            return dict(_INACTIVE)
        return _about(judged, background.username) if await background.stands() else dict(_INACTIVE)

    async def _refresh(self, session_id: str, generation: int, caller: str | None) -> dict[str, Any]:
        rows = await self._store.ask(_SESSION, {"session_id": session_id})
        row = rows[0] if rows else None
        if row is None or (caller is not None and caller != row.client_id):
            return dict(_INACTIVE)
        family = family_of(row)
        if judge(family, generation, self._clock.now().wall) not in (Verdict.ROTATE, Verdict.REPEAT):
            return dict(_INACTIVE)
        return {
            "active": True,
            "client_id": row.client_id,
            "username": row.username,
            "sub": row.user_id,
            "sid": row.id,
            "iat": int(row.rotated_at),
            "exp": int(ends_at(family)),
            "auth_time": row.auth_time,
        }


def _about(judged: Judged, username: str | None) -> dict[str, Any]:
    claims, permissions = judged.claims, judged.grant.permissions
    members = claims.model_dump(mode="json", exclude_none=True)
    members.pop("fv", None)
    members.update(active=True, token_type="Bearer", permissions=list(permissions))  # noqa: S106
    if permissions:
        members["scope"] = scope_of(permissions)
    if username is not None:
        members["username"] = username
    return members

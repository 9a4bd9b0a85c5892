"""Sessions and tokens ended by those they belong to: ``/logout`` and ``/revoke`` (RFC 7009)."""

from dataclasses import dataclass

from sqlalchemy import select

from ostraka_consumers.errors import VerificationError
from ostraka_issuer.accounts.actors import Actor
from ostraka_issuer.accounts.ledger import Ledger
from ostraka_issuer.accounts.narrowing import Announcement
from ostraka_issuer.ending import end_sessions
from ostraka_issuer.errors import BadRequest, Forbidden, GrantRefused
from ostraka_issuer.revocation import Revocations
from ostraka_issuer.sessions.refresh_token import RefreshTokens
from ostraka_issuer.store.tables import SESSIONS
from ostraka_schemas.claims import AccessTokenClaims
from ostraka_schemas.events import InitiatingEntity, SessionRevoked
from ostraka_schemas.subjects import Complex, IssSub, Opaque

from .client_auth import ClientAuthenticator
from .forms import Form
from .own_tokens import OwnTokens, nobody_can_tell


@dataclass(frozen=True, slots=True)
class Ended:
    """A session that was ended. ``txn`` names it on the feed; ``None`` if it had ended before."""

    txn: str | None
    committed_at: float


class Endings:
    """Ends what belongs to whoever asks."""

    def __init__(
        self,
        ledger: Ledger,
        clients: ClientAuthenticator,
        own: OwnTokens,
        refresh_tokens: RefreshTokens,
        revocations: Revocations,
    ) -> None:
        self._ledger = ledger
        self._clients = clients
        self._own = own
        self._refresh_tokens = refresh_tokens
        self._revocations = revocations

    async def logout(self, token: str) -> Ended:
        """End the session of an access token, whomever the token is for.

        Raises:
            VerificationError: the token is not good. BadRequest: no session is behind it.
            Forbidden: it was exchanged: who acts for somebody does not log them out.
            StoreUnavailable, NothingYet
        """
        claims = (await self._own.judge(token)).claims
        if claims.act is not None:
            raise Forbidden("an exchanged token ends no session")
        if claims.sid is None:
            raise BadRequest("no session is behind this token")
        return await self._end(claims.sid, by=claims.sub, entity="user", action="logout")

    async def revoke(self, form: Form, authorization: str | None) -> None:
        """Revoke a refresh or an access token of the client that asks (RFC 7009 §2.1).

        A refresh token takes its session with it, and all tokens of that. A token that is not known, or not good any
        more, is revoked already (§2.2). ``token_type_hint`` is not needed: the two kinds cannot be mistaken.

        Raises:
            InvalidClient, InvalidRequest
            GrantRefused: the token belongs to another client.
            NotReady, Stale, NothingYet, StoreUnavailable
        """
        known = await self._clients.authenticate(form, authorization)
        token = form.require("token")
        try:
            session_id = self._refresh_tokens.read(token).session_id
        except GrantRefused:
            await self._revoke_access(token, known.client.id)
        else:
            await self._revoke_refresh(session_id, known.client.id)

    async def _revoke_refresh(self, session_id: str, client_id: str) -> None:
        async with self._ledger.store.read() as tx:
            query = select(SESSIONS.c.client_id).where(SESSIONS.c.id == session_id)
            owner = (await tx.execute(query)).scalar_one_or_none()
        if owner is not None:
            _must_own(owner, client_id)
            await self._end(session_id, by=client_id, entity="user", action="revoke.session")

    async def _revoke_access(self, token: str, client_id: str) -> None:
        try:
            claims: AccessTokenClaims = (await self._own.judge(token)).claims
        except VerificationError as error:
            if nobody_can_tell(error):
                raise
            return
        _must_own(claims.client_id, client_id)
        await self._revocations.token(
            claims.jti, exp=claims.exp, reason="revoked by its client", by=Actor(client_id, lambda _: False)
        )

    async def _end(self, session_id: str, *, by: str, entity: InitiatingEntity, action: str) -> Ended:
        async with self._ledger.change(Actor(by, lambda _: False)) as change:
            query = select(SESSIONS).where(SESSIONS.c.id == session_id).with_for_update()
            row = (await change.tx.execute(query)).first()
            if row is not None and row.ended_at is None:
                which = SESSIONS.c.id == session_id
                change.sessions = await end_sessions(change.tx, which, now=change.cause.at, reason=action)
                about = Complex(user=IssSub(iss=self._ledger.issuer, sub=row.user_id), session=Opaque(id=session_id))
                event = SessionRevoked(event_timestamp=int(change.cause.at), initiating_entity=entity)
                await change.announce([Announcement(about, event)])
                await change.record(action, session_id)
        return Ended(change.txn, change.committed_at)


def _must_own(owner: str, client_id: str) -> None:
    if owner != client_id:
        raise GrantRefused("the token belongs to another client")

"""``grant_type=urn:ietf:params:oauth:grant-type:token-exchange`` (RFC 8693): a caller's token for a narrower one.

1. The client has proved who it is: nobody exchanges a token that was only found.
2. ``subject_token`` is an access token of this issuer and good now, by the issuer's own verifier, and its session, user
   and clients are still there. If it is bound to a key (``cnf``), only whoever used that key may exchange it: a token
   lifted from a topic is not freed by being exchanged.
3. The new token may do what the old one still may, and of that only what is asked for; never more. It is for audiences
   that the client may ask for, and ends with the old one at the latest. There is no refresh token.
4. ``sub``, ``sid`` and ``auth_time`` stay. ``client_id`` is the client that asked (§4.3), ``act`` says who acts now and
   through whom the request came before (§4.1): the cut-off of any of them ends the token, as does the session's end.
5. ``fv`` is where the verifier stood when it judged the old token: whatever came into the feed later ends the new one.
6. A client that used its key (``private_key_jwt``) gets a token bound to it: ``cnf.jkt`` (RFC 9449 §6.1).
"""

from typing import Final

from ostraka_consumers.errors import VerificationError
from ostraka_issuer.accounts.clients import TOKEN_EXCHANGE
from ostraka_issuer.limits import ACTORS_MAX
from ostraka_issuer.oauth.asking import audience_for, narrowed, requested_permissions, scope_of
from ostraka_issuer.oauth.client_auth import Authenticated, ClientAuthenticator, hold
from ostraka_issuer.oauth.errors import InvalidRequest, UnauthorizedClient
from ostraka_issuer.oauth.forms import Form
from ostraka_issuer.oauth.own_tokens import Judged, OwnTokens, nobody_can_tell
from ostraka_issuer.oauth.standing import still_stands
from ostraka_issuer.sessions.tokens import Content, Draft, Minter
from ostraka_issuer.store import Store
from ostraka_issuer.store.locks import share_everyone
from ostraka_schemas.claims import AccessTokenClaims, Actor

from .answer import TokenAnswer

NAME: Final = TOKEN_EXCHANGE
ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a type
_JWT: Final = "urn:ietf:params:oauth:token-type:jwt"
_REFUSED: Final = "the subject token is not a good access token of this issuer"


class TokenExchangeGrant:
    """Exchanges access tokens."""

    def __init__(self, store: Store, clients: ClientAuthenticator, minter: Minter, own: OwnTokens) -> None:
        self._store = store
        self._clients = clients
        self._minter = minter
        self._own = own

    async def __call__(self, form: Form, authorization: str | None) -> TokenAnswer:
        """Answer a request.

        Raises:
            InvalidClient, InvalidRequest, UnauthorizedClient, InvalidScope, InvalidTarget
            NotReady, Stale, NothingYet: nobody can tell now whether the token is good.
            SigningUnavailable, StoreUnavailable, KeyStoreError
        """
        known = await self._clients.authenticate(form, authorization)
        if not known.proven or NAME not in known.client.grant_types:
            raise UnauthorizedClient("the client may not use this grant")
        token = _subject_token(form)
        asked = requested_permissions(form)
        judged = await self._judge(token)
        if judged.claims.cnf is not None and judged.claims.cnf.jkt != known.jkt:
            raise InvalidRequest("the subject token is bound to a key, and only its holder may exchange it")
        permissions = narrowed(judged.claims.permissions, asked, judged.grant.allows)
        draft = await self._draft(form, known, judged, permissions)
        signed = await self._minter.sign(draft)
        return TokenAnswer(signed, draft.lifetime, scope=scope_of(permissions), issued_token_type=ACCESS_TOKEN)

    async def _judge(self, token: str) -> Judged:
        try:
            return await self._own.judge(token)
        except VerificationError as error:
            if nobody_can_tell(error):
                raise
            # RFC 8693 §2.2.2: invalid_request, if the subject token is not good for whatever reason.
            raise InvalidRequest(_REFUSED) from error

    async def _draft(self, form: Form, known: Authenticated, judged: Judged, permissions: tuple[str, ...]) -> Draft:
        claims = judged.claims
        async with self._store.write() as tx:
            await share_everyone(tx)
            if not await still_stands(tx, claims, beside=known.client.id):
                raise InvalidRequest(_REFUSED)
            client = await hold(tx, known)
            if NAME not in client.grant_types:
                raise UnauthorizedClient("the client may not use this grant")
            content = Content(
                subject=claims.sub,
                client_id=client.id,
                audience=audience_for(form, client.audiences),
                permissions=permissions,
                session_id=claims.sid,
                auth_time=claims.auth_time,
                actor=acting(claims, client.id),
                jkt=known.jkt,
                ends=claims.exp,
            )
            return await self._minter.draft(tx, judged.position, content)


def acting(claims: AccessTokenClaims, client_id: str) -> Actor | None:
    """Who acts when the client exchanges a token that says ``claims``; nobody new if it is the client's own.

    Raises:
        InvalidRequest: the token has passed through too many clients.
    """
    if client_id == claims.client_id:
        return claims.act
    before = claims.act or Actor(sub=claims.client_id, client_id=claims.client_id)
    if sum(1 for _ in before.chain()) >= ACTORS_MAX:
        raise InvalidRequest(f"a token passes through at most {ACTORS_MAX} clients")
    return Actor(sub=client_id, client_id=client_id, act=before)


def _subject_token(form: Form) -> str:
    token = form.require("subject_token")
    if form.require("subject_token_type") not in (ACCESS_TOKEN, _JWT):
        raise InvalidRequest(f"subject_token_type is {ACCESS_TOKEN}")
    if form.get("requested_token_type") not in (None, ACCESS_TOKEN, _JWT):
        raise InvalidRequest(f"requested_token_type is {ACCESS_TOKEN}")
    if form.get("actor_token") is not None or form.get("actor_token_type") is not None:
        raise InvalidRequest("the actor is the client itself; actor_token is not supported")
    return token

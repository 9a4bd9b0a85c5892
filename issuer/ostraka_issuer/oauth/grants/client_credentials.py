"""``grant_type=client_credentials`` (RFC 6749 §4.4): a token for the client itself. No refresh token (§4.4.3)."""

from typing import Final

from ostraka_issuer.accounts.holdings import client_permissions_of
from ostraka_issuer.oauth.asking import audience_for, narrowed, requested_permissions, scope_of
from ostraka_issuer.oauth.client_auth import ClientAuthenticator, hold
from ostraka_issuer.oauth.errors import UnauthorizedClient
from ostraka_issuer.oauth.forms import Form
from ostraka_issuer.sessions.tokens import Content, Minter
from ostraka_issuer.store import Store
from ostraka_issuer.store.locks import share_everyone

from .answer import TokenAnswer

NAME: Final = "client_credentials"


class ClientCredentialsGrant:
    """Gives a client a token of its own: ``sub`` is the client (RFC 9068 §2.2), and there is no session."""

    def __init__(self, store: Store, clients: ClientAuthenticator, minter: Minter) -> None:
        self._store = store
        self._clients = clients
        self._minter = minter

    async def __call__(self, form: Form, authorization: str | None) -> TokenAnswer:
        """Answer a request.

        Raises:
            InvalidClient, InvalidRequest, UnauthorizedClient, InvalidScope, InvalidTarget
            SigningUnavailable, StoreUnavailable, KeyStoreError
        """
        known = await self._clients.authenticate(form, authorization)
        asked = requested_permissions(form)
        async with self._store.write() as tx:
            position = await self._minter.head(tx)
            await share_everyone(tx)
            client = await hold(tx, known)
            if not known.proven or NAME not in client.grant_types:
                raise UnauthorizedClient("the client may not use this grant")
            permissions = narrowed(await client_permissions_of(tx, client.id), asked)
            content = Content(
                subject=client.id,
                client_id=client.id,
                audience=audience_for(form, client.audiences),
                permissions=permissions,
            )
            draft = await self._minter.draft(tx, position, content)
        token = await self._minter.sign(draft)
        return TokenAnswer(token, draft.lifetime, scope=scope_of(permissions))

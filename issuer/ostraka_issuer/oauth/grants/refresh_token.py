"""``grant_type=refresh_token`` (RFC 6749 §6): the rules are those of ``sessions.rotation``."""

from typing import Final

from ostraka_issuer.oauth.asking import requested_permissions, scope_of
from ostraka_issuer.oauth.client_auth import ClientAuthenticator
from ostraka_issuer.oauth.forms import Form
from ostraka_issuer.sessions.service import Sessions

from .answer import TokenAnswer

NAME: Final = "refresh_token"


class RefreshTokenGrant:
    """Exchanges a refresh token for new tokens."""

    def __init__(self, clients: ClientAuthenticator, sessions: Sessions) -> None:
        self._clients = clients
        self._sessions = sessions

    async def __call__(self, form: Form, authorization: str | None) -> TokenAnswer:
        """Answer a request.

        A public client may leave out its name, which the token betrays anyway. With ``scope`` the access token carries
        that alone, and the answer says so; the refresh token is as good as before (RFC 6749 §6).

        Raises:
            InvalidClient, InvalidRequest, InvalidScope, UnauthorizedClient, GrantRefused
            SigningUnavailable, StoreUnavailable, KeyStoreError
        """
        presented, asked = form.require("refresh_token"), requested_permissions(form)
        client_id, proven = form.get("client_id"), False
        if authorization is not None or form.get("client_assertion") or form.get("client_secret"):
            known = await self._clients.authenticate(form, authorization)
            client_id, proven = known.client.id, known.proven
        issued = await self._sessions.refresh(presented, client_id=client_id, proven=proven, asked=asked)
        scope = None if asked is None else scope_of(asked)
        return TokenAnswer(issued.access_token, issued.expires_in, issued.refresh_token, issued.session_id, scope)

"""The authorization server: everything that speaks OAuth, built from the parts of the issuer."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from ostraka_consumers.clock import Clock
from ostraka_consumers.verifier import Verifier
from ostraka_issuer.accounts.ledger import Ledger
from ostraka_issuer.identifiers import RandomBytes
from ostraka_issuer.revocation import Revocations
from ostraka_issuer.sessions.refresh_token import RefreshTokens
from ostraka_issuer.sessions.service import Sessions
from ostraka_issuer.sessions.tokens import Minter
from ostraka_issuer.store import Store

from .client_auth import ClientAuthenticator
from .endings import Endings
from .errors import UnsupportedGrantType
from .forms import Form
from .grants.answer import TokenAnswer
from .grants.client_credentials import NAME as CLIENT_CREDENTIALS
from .grants.client_credentials import ClientCredentialsGrant
from .grants.refresh_token import NAME as REFRESH_TOKEN
from .grants.refresh_token import RefreshTokenGrant
from .grants.token_exchange import NAME as TOKEN_EXCHANGE
from .grants.token_exchange import TokenExchangeGrant
from .introspection import Introspection
from .metadata import TOKEN_PATH
from .own_tokens import OwnTokens

Grant = Callable[[Form, str | None], Awaitable[TokenAnswer]]
_GRANTS_TEXT: Final = "grant_type is refresh_token, client_credentials or the one of RFC 8693"


@dataclass(frozen=True, slots=True)
class Parts:
    """What an authorization server is built from."""

    store: Store
    minter: Minter
    sessions: Sessions
    refresh_tokens: RefreshTokens
    revocations: Revocations
    verifier: Verifier
    clock: Clock
    random_bytes: RandomBytes


class AuthorizationServer:
    """Tokens for clients, and their end.

    Args:
        issuer: the issuer identifier.

    Attributes:
        clients: finds out who a client is.
        endings: ``/revoke`` and ``/logout``.
        introspection: ``/introspect``.
    """

    def __init__(self, parts: Parts, *, issuer: str) -> None:
        store, minter = parts.store, parts.minter
        own = OwnTokens(parts.verifier)
        self.clients: Final = ClientAuthenticator(
            store, issuer=issuer, token_endpoint=issuer.rstrip("/") + TOKEN_PATH, clock=parts.clock
        )
        ledger = Ledger(store, issuer=issuer, clock=parts.clock, random_bytes=parts.random_bytes)
        self.endings: Final = Endings(ledger, self.clients, own, parts.refresh_tokens, parts.revocations)
        self.introspection: Final = Introspection(
            store, self.clients, own, parts.verifier, parts.refresh_tokens, clock=parts.clock
        )
        self._grants: dict[str, Grant] = {
            REFRESH_TOKEN: RefreshTokenGrant(self.clients, parts.sessions),
            CLIENT_CREDENTIALS: ClientCredentialsGrant(store, self.clients, minter),
            TOKEN_EXCHANGE: TokenExchangeGrant(store, self.clients, minter, own),
        }

    async def token(self, form: Form, authorization: str | None) -> TokenAnswer:
        """Answer a request to the token endpoint (RFC 6749 §3.2).

        Raises:
            IssuerError: one of the errors of ``oauth.errors``, or what the grant says.
            VerificationError: nobody can tell now whether a token is good.
        """
        grant = self._grants.get(form.require("grant_type"))
        if grant is None:
            raise UnsupportedGrantType(_GRANTS_TEXT)
        return await grant(form, authorization)

"""Login and refresh behind one name."""

import secrets
from collections.abc import Sequence

from ostraka_consumers.clock import Clock
from ostraka_issuer.accounts.passwords import Passwords
from ostraka_issuer.accounts.strangers import Strangers
from ostraka_issuer.accounts.throttle import Throttle
from ostraka_issuer.identifiers import RandomBytes
from ostraka_issuer.store import Store

from .issued import Issued, Issuing
from .login import Asked, Logins
from .refresh import Caller, Refreshing
from .refresh_token import RefreshTokens
from .tokens import Minter

__all__ = ["Issued", "Sessions"]


class Sessions:
    """Opens sessions and refreshes them.

    Args:
        issuer: the issuer identifier.
        audiences: what a login may ask for.
        client_id: the client of logins that name none.
    """

    def __init__(
        self,
        store: Store,
        passwords: Passwords,
        throttle: Throttle,
        strangers: Strangers,
        minter: Minter,
        tokens: RefreshTokens,
        *,
        issuer: str,
        audiences: Sequence[str],
        client_id: str,
        clock: Clock | None = None,
        random_bytes: RandomBytes = secrets.token_bytes,
    ) -> None:
        issuing = Issuing(minter, tokens)
        self._client_id = client_id
        self._logins = Logins(
            store,
            passwords,
            throttle,
            strangers,
            minter,
            issuing,
            audiences=audiences,
            clock=clock,
            random_bytes=random_bytes,
        )
        self._refreshing = Refreshing(store, minter, tokens, issuer=issuer, clock=clock, random_bytes=random_bytes)

    async def login(
        self,
        username: str,
        password: str,
        *,
        client_id: str | None = None,
        proven: bool = False,
        audience: Sequence[str] | None = None,
        address: str | None = None,
    ) -> Issued:
        """Open a session; what goes in and out is said at ``Asked`` and ``Logins.login``."""
        wanted = None if audience is None else tuple(audience)
        asked = Asked(client_id or self._client_id, proven=proven, audience=wanted, address=address)
        return await self._logins.login(username, password, asked)

    async def refresh(
        self,
        refresh_token: str,
        *,
        client_id: str | None = None,
        proven: bool = False,
        asked: Sequence[str] | None = None,
    ) -> Issued:
        """Exchange a refresh token for new tokens, as ``Refreshing.refresh`` does."""
        caller = None if client_id is None else Caller(client_id, proven=proven)
        return await self._refreshing.refresh(refresh_token, caller, asked)

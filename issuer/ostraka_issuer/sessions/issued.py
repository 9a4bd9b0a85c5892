"""What a login or a refresh gives."""

from dataclasses import dataclass, field

from .refresh_token import RefreshTokens
from .tokens import Draft, Minter


@dataclass(frozen=True, slots=True)
class Issued:
    """What a client gets. ``expires_in`` is seconds."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int
    session_id: str


class Issuing:
    """Makes the pair of tokens once everything about it is decided and committed."""

    def __init__(self, minter: Minter, tokens: RefreshTokens) -> None:
        self._minter = minter
        self._tokens = tokens

    async def issue(self, draft: Draft, session_id: str, generation: int) -> Issued:
        """Sign ``draft`` and make the refresh token of ``generation``.

        Raises:
            KeyStoreError, MalformedError
        """
        access = await self._minter.sign(draft)
        return Issued(access, self._tokens.make(session_id, generation), draft.lifetime, session_id)

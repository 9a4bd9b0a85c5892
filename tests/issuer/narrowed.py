"""A running issuer whose accounts change, and tokens of every kind to see what a verifier makes of each change."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ostraka_consumers.errors import VerificationError
from ostraka_consumers.grant import Grant
from ostraka_issuer.accounts.client_admin import Clients
from ostraka_issuer.accounts.ledger import Change
from ostraka_issuer.accounts.people import User
from ostraka_issuer.accounts.roles import Roles
from ostraka_issuer.accounts.users import Accounts
from ostraka_issuer.identifiers import new_id
from ostraka_issuer.revocation import Revocations
from ostraka_issuer.runtime import Issuer
from ostraka_schemas import jws, strict_json
from ostraka_schemas.limits import TOKEN_MAX_BYTES
from tests.issuer.front import open_desk
from tests.issuer.world import PASSWORD, claims_of, kid_of


@dataclass
class Scene:
    """An issuer and its verifier, which reads the issuer's own feed like any other verifier."""

    issuer: Issuer

    def __post_init__(self) -> None:
        parts: dict[str, Any] = {"issuer": self.issuer.settings.issuer, "clock": self.issuer.clock}
        self.roles = Roles(self.issuer.store, **parts)
        self.clients = Clients(self.issuer.store, **parts)

    @property
    def accounts(self) -> Accounts:
        return self.issuer.accounts

    @property
    def revocations(self) -> Revocations:
        return self.issuer.revocations

    async def user(self, name: str, *permissions: str, roles: tuple[str, ...] = ()) -> User:
        return await self.accounts.add_user(name, PASSWORD, permissions, roles)

    async def token(self, name: str, **claims: Any) -> str:
        """An access token of the user for the issuer's own audience, its claims changed as a test wants them."""
        issued = await self.issuer.sessions.login(name, PASSWORD, audience=["ostraka"])
        return await self.signed(issued.access_token, **claims) if claims else issued.access_token

    async def signed(self, like: str, **claims: Any) -> str:
        """A token like another, with other claims, signed by the issuer."""
        content = {**claims_of(like), "jti": new_id(secrets.token_bytes), **claims}
        key = await self.issuer.keys.private(kid_of(like))
        return jws.sign(strict_json.dumps(content), key, typ=jws.TYP_ACCESS_TOKEN, max_bytes=TOKEN_MAX_BYTES).decode()

    def allows(self, token: str, permission: str) -> bool:
        """Whether the verifier lets the token do it now."""
        try:
            return self.grant(token).allows(permission)
        except VerificationError:
            return False

    def grant(self, token: str) -> Grant:
        return self.issuer.verifier.verify(token)

    async def applied(self, change: Change) -> None:
        """Wait until the verifier has applied what the change announced; it must have announced something."""
        assert change.txn is not None
        await self.applied_txn(change.txn)

    async def applied_txn(self, txn: str) -> None:
        place = await self.issuer.feed.position_of(txn, 10)
        assert place is not None
        assert await self.issuer.verifier.wait_for(place, 10)


@asynccontextmanager
async def open_scene(path: Path, **values: Any) -> AsyncIterator[Scene]:
    async with open_desk(path, **values) as desk:
        yield Scene(desk.issuer)

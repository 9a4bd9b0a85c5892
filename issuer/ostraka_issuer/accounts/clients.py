"""Clients: the programs that ask for tokens, and how each proves who it is (RFC 6749 §2)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from sqlalchemy import select

from ostraka_issuer.errors import NotFound
from ostraka_issuer.store import Transaction
from ostraka_issuer.store.tables import CLIENTS

AuthMethod = Literal["none", "client_secret_basic", "private_key_jwt"]
GrantType = Literal[
    "password", "refresh_token", "client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"
]
TOKEN_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - the name of a grant


@dataclass(frozen=True, slots=True)
class Client:
    """A client.

    Attributes:
        id: ``client_id``; also the ``sub`` of tokens that it gets for itself (RFC 9068 §2.2).
        auth_method: how it proves who it is (RFC 7591 §2): not at all, by a secret, by a key of its own.
        secret_hash: SHA-256 of the secret, see ``client_secret``.
        jwks: its public keys, ``{"keys": […]}``, see ``client_keys``.
        grant_types: what it may use; ``password`` stands for ``POST /login``.
        audiences: what it may ask tokens for.
    """

    id: str
    name: str
    auth_method: AuthMethod
    secret_hash: bytes | None = field(repr=False)
    jwks: Mapping[str, Any] | None = field(repr=False)
    grant_types: tuple[GrantType, ...]
    audiences: tuple[str, ...]
    disabled: bool
    created_at: float


async def find_client(tx: Transaction, client_id: str, *, for_share: bool = True) -> Client:
    """The client of that id, disabled or not.

    Args:
        for_share: hold it: until the end of the transaction nobody ends or narrows it (``FOR SHARE``).

    Raises:
        NotFound: there is none.
    """
    query = select(CLIENTS).where(CLIENTS.c.id == client_id)
    if for_share:
        query = query.with_for_update(read=True)
    row = (await tx.execute(query)).first()
    if row is None:
        raise NotFound("there is no such client")
    return Client(
        id=row.id,
        name=row.name,
        auth_method=row.auth_method,
        secret_hash=row.secret_hash,
        jwks=row.jwks,
        grant_types=tuple(row.grant_types),
        audiences=tuple(row.audiences),
        disabled=bool(row.disabled),
        created_at=row.created_at,
    )

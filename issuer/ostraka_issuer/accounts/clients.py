"""Clients: the programs that ask for tokens, and how each proves who it is (RFC 6749 §2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from sqlalchemy import Row, bindparam, insert, select

from ostraka_issuer.errors import NotFound
from ostraka_issuer.store import Transaction
from ostraka_issuer.store.tables import CLIENTS

from .names import is_text

AuthMethod = Literal["none", "client_secret_basic", "private_key_jwt"]
GrantType = Literal[
    "password", "refresh_token", "client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"
]
GRANT_TYPES: Final[tuple[GrantType, ...]] = get_args(GrantType)
OF_USERS: Final[tuple[GrantType, ...]] = ("password", "refresh_token")
TOKEN_EXCHANGE: Final[GrantType] = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - the name of a grant


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


CLIENT: Final = select(CLIENTS).where(CLIENTS.c.id == bindparam("client_id"))
"""One client; ``client_of`` reads its row."""


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
    return _client((await tx.execute(query)).first() if is_text(client_id) else None)


async def hold_client(tx: Transaction, client_id: str) -> Client:
    """The client of that id, held against whoever is about to mint: they wait, or have finished (``FOR UPDATE``).

    Raises:
        NotFound: there is none.
    """
    query = select(CLIENTS).where(CLIENTS.c.id == client_id).with_for_update()
    return _client((await tx.execute(query)).first() if is_text(client_id) else None)


async def list_clients(tx: Transaction, *, limit: int, after: str | None = None) -> list[Client]:
    """Clients by id, at most ``limit``; with ``after`` only those whose ids come later."""
    query = select(CLIENTS).order_by(CLIENTS.c.id).limit(limit)
    if after is not None:
        if not is_text(after):
            return []
        query = query.where(CLIENTS.c.id > after)
    return [_client(row) for row in (await tx.execute(query)).all()]


async def register_public_client(tx: Transaction, client_id: str, now: float) -> None:
    """Make the client of logins that name none, if it is not there: a public one, for people at the command line."""
    if (await tx.execute(select(CLIENTS.c.id).where(CLIENTS.c.id == client_id))).first() is None:
        await insert_client(tx, public_client(client_id, now))


def public_client(client_id: str, now: float, audiences: Sequence[str] = ()) -> Client:
    """A client that cannot keep a secret: a command, an app, a page."""
    return Client(client_id, client_id, "none", None, None, OF_USERS, tuple(audiences), disabled=False, created_at=now)


async def insert_client(tx: Transaction, client: Client) -> None:
    """Write a new client."""
    await tx.execute(
        insert(CLIENTS).values(
            id=client.id,
            name=client.name,
            auth_method=client.auth_method,
            secret_hash=client.secret_hash,
            jwks=client.jwks,
            grant_types=list(client.grant_types),
            audiences=list(client.audiences),
            disabled=client.disabled,
            created_at=client.created_at,
        )
    )


def _client(row: "Row[Any] | None") -> Client:
    if row is None:
        raise NotFound("there is no such client")
    return client_of(row)


def client_of(row: "Row[Any]") -> Client:
    """The client in a row with the columns of its table."""
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

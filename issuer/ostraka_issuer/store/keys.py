"""Rows of the token keys."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Row, insert, select, update

from ostraka_schemas.events import KeySetChanged, KeyState, PublishedKey
from ostraka_schemas.jwk import Algorithm

from .engine import Transaction
from .tables import FEED_RECORDS, TOKEN_KEYS


@dataclass(frozen=True, slots=True)
class TokenKeyRow:
    """A token key as the database has it. Times are seconds since the epoch.

    Attributes:
        state_at: when it came into ``state``; ``state_txn`` is the intent that says so on the feed.
        announced_at: when that intent got its place in the feed, or ``None``.
        published: whether the bus has acknowledged it.
    """

    kid: str
    alg: Algorithm
    state: KeyState
    state_at: float
    state_txn: str
    nbf: int
    exp: int
    max_token_lifetime: int
    created_at: float
    jwk: dict[str, Any] = field(repr=False)
    announced_at: float | None = None
    published: bool = False

    def to_published(self) -> PublishedKey:
        """As the feed announces it."""
        return PublishedKey(
            jwk=self.jwk,
            alg=self.alg,
            state=self.state,
            nbf=self.nbf,
            exp=self.exp,
            max_token_lifetime=self.max_token_lifetime,
        )


def key_set(rows: Sequence[TokenKeyRow]) -> KeySetChanged:
    """The event that announces the whole key set; destroyed keys are not in it."""
    return KeySetChanged(keys=[row.to_published() for row in rows if row.state != "destroyed"])


KEYS: Final = select(
    TOKEN_KEYS, FEED_RECORDS.c.created_at.label("announced_at"), FEED_RECORDS.c.published_at
).outerjoin(FEED_RECORDS, FEED_RECORDS.c.txn == TOKEN_KEYS.c.state_txn)
"""All token keys; ``key_of`` reads its rows."""


async def read_keys(tx: Transaction) -> tuple[TokenKeyRow, ...]:
    """All token keys, oldest first."""
    rows = await tx.execute(KEYS.order_by(TOKEN_KEYS.c.created_at, TOKEN_KEYS.c.nbf, TOKEN_KEYS.c.kid))
    return tuple(key_of(row) for row in rows.all())


def key_of(row: "Row[Any]", prefix: str = "") -> TokenKeyRow:
    """The key in a row of ``KEYS``, or of a query whose columns have the same names behind ``prefix``."""
    values = {name: getattr(row, prefix + name) for name in _NAMES}
    announced_at, published_at = getattr(row, f"{prefix}announced_at"), getattr(row, f"{prefix}published_at")
    return TokenKeyRow(**values, announced_at=announced_at, published=published_at is not None)


async def insert_key(tx: Transaction, row: TokenKeyRow) -> None:
    """Add a key."""
    await tx.execute(insert(TOKEN_KEYS).values(_columns_of(row)))


async def update_key(tx: Transaction, row: TokenKeyRow) -> None:
    """Write what can change of a key: its state and its times."""
    await tx.execute(
        update(TOKEN_KEYS)
        .where(TOKEN_KEYS.c.kid == row.kid)
        .values(state=row.state, state_at=row.state_at, state_txn=row.state_txn, nbf=row.nbf, exp=row.exp)
    )


def _columns_of(row: TokenKeyRow) -> dict[str, Any]:
    """Those of the table itself, under the names that they have on both sides."""
    return {name: getattr(row, name) for name in _NAMES}


_NAMES: Final = tuple(column.name for column in TOKEN_KEYS.columns)

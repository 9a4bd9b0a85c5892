"""What is hashed for a user name that nobody has, so that time does not tell which names exist.

Hashes of several parameters lie in the database whenever the parameters were changed: each is made anew by the next
login of its owner, not before. Were a name that nobody has always checked with the parameters of today, whatever takes
longer or shorter would be a user. So it is checked with parameters that stored hashes have. A keyed hash of the name
chooses them, as often as they are stored, and always the same ones for one name, in every process.
"""

import asyncio
import bisect
import hmac
import itertools
import secrets
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import func, select

from ostraka_consumers.clock import Clock, SystemClock
from ostraka_issuer.identifiers import RandomBytes
from ostraka_issuer.keys.vault import Vault
from ostraka_issuer.limits import STRANGERS_KINDS, STRANGERS_READ_EVERY, STRANGERS_SAMPLE
from ostraka_issuer.store import Store
from ostraka_issuer.store.tables import USERS
from ostraka_schemas import base64url

from .names import composed
from .passwords import Passwords

_PURPOSE: Final = "ostraka strangers 1"
_BASE64: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_STEPS: Final = 2**64


class Strangers:
    """Says what to hash for a name that nobody has.

    Args:
        passwords: tells hashes of today's parameters from others.
    """

    def __init__(
        self,
        store: Store,
        passwords: Passwords,
        vault: Vault,
        *,
        clock: Clock | None = None,
        random_bytes: RandomBytes = secrets.token_bytes,
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._secret = vault.derive(_PURPOSE)
        self._clock = clock or SystemClock()
        self._random_bytes = random_bytes
        self._reading = asyncio.Lock()
        self._read_at: float | None = None
        self._hashes: tuple[str, ...] = ()
        self._sums: tuple[int, ...] = ()

    async def hash_for(self, username: str) -> str | None:
        """A hash that no password fits, with parameters that stored hashes have; ``None`` while nobody has a password.

        It is asked for every name, whether there is such a user or not: what it costs now and then tells nothing.

        Raises:
            StoreUnavailable
        """
        await self._refresh()
        if not self._hashes:
            return None
        name = composed(username).encode("utf-8", "surrogatepass")
        chosen = int.from_bytes(hmac.digest(self._secret, name, "sha256")[:8]) * self._sums[-1] // _STEPS
        return self._hashes[bisect.bisect(self._sums, chosen)]

    async def _refresh(self) -> None:
        if self._is_fresh() or (self._read_at is not None and self._reading.locked()):
            return
        async with self._reading:
            if not self._is_fresh():
                await self._read()

    def _is_fresh(self) -> bool:
        return self._read_at is not None and self._clock.now().monotonic - self._read_at < STRANGERS_READ_EVERY

    async def _read(self) -> None:
        now = self._clock.now().monotonic
        sample = select(USERS.c.password_hash).order_by(USERS.c.id).limit(STRANGERS_SAMPLE).subquery()
        head = func.rtrim(func.rtrim(func.rtrim(sample.c.password_hash, _BASE64), "$"), _BASE64)
        kinds = select(func.max(sample.c.password_hash).label("example"), func.count().label("many")).group_by(head)
        async with self._store.read() as tx:
            rows = (await tx.execute(kinds.order_by(func.count().desc()).limit(STRANGERS_KINDS))).all()
        self._take(rows)
        self._read_at = now

    def _take(self, rows: Sequence[Any]) -> None:
        # Those of before come first. As they become fewer, a name changes from them to today's, as that of a user
        # does, and never back.
        known = [row for row in rows if row.example.count("$") == 5]
        known.sort(key=lambda row: (self._passwords.is_outdated(row.example), row.example), reverse=True)
        self._hashes = tuple(self._like(row.example) for row in known)
        self._sums = tuple(itertools.accumulate(int(row.many) for row in known))

    def _like(self, stored: str) -> str:
        """A hash that costs what ``stored`` costs, and whose password nobody knows."""
        head, salt, digest = stored.rsplit("$", 2)
        return f"{head}${self._noise(salt)}${self._noise(digest)}"

    def _noise(self, text: str) -> str:
        noise = base64url.encode(self._random_bytes(len(text) * 3 // 4)).decode()
        return noise.replace("-", "+").replace("_", "/")

    def __repr__(self) -> str:
        return "Strangers(…)"

"""Slowing down whoever guesses passwords: the rules of ``backoff``, kept in the database.

Failures are counted by the name that was given, whether there is such a user or not, and by address: an IPv4 address or
an IPv6 /64, which is what one subscriber has (RFC 6177). Neither is stored: a key is an HMAC of it.

An address from which the account has logged in before has a count of its own beside the account's (see ``places``):
others that guess can slow down the owner elsewhere, but not where the owner is at home.
"""

import hmac
import ipaddress
from dataclasses import dataclass

from ostraka_consumers.clock import Clock, SystemClock
from ostraka_issuer.keys.vault import Vault
from ostraka_issuer.store import Store, Transaction
from ostraka_schemas import base64url

from .backoff import ACCOUNT, ADDRESS
from .errors import TooManyFailures
from .failures import Pruning, Track, claim, forget, give_back, look, wait_of
from .names import composed
from .places import Seen, look_up, remember

_PURPOSE = "ostraka login failures 1"


@dataclass(frozen=True, slots=True)
class Attempt:
    """A try that was let in, and counts as failed. It ends with ``succeeded`` or ``abandoned``, or stays a failure.

    Attributes:
        account: the key of the account, or of the account at that place.
        tracks: what it was counted of, in the order of the keys.
        network: hash of the address; ``None`` if nobody knows it.
        seen: what was known of account and place.
    """

    account: str
    tracks: tuple[Track, ...]
    network: str | None
    seen: Seen


class Throttle:
    """Lets tries in, and remembers how they ended."""

    def __init__(self, store: Store, vault: Vault, *, clock: Clock | None = None) -> None:
        self._store = store
        self._secret = vault.derive(_PURPOSE)
        self._clock = clock or SystemClock()
        self._prune = Pruning()

    async def admit(self, username: str, address: str | None) -> Attempt:
        """Let a try in, and count it as failed until it is known how it ended.

        Args:
            address: where it comes from; ``None`` if nobody knows.

        Raises:
            TooManyFailures: it has to wait, and the error says how long.
            StoreUnavailable
        """
        now = self._clock.now().wall
        network = None if address is None else self._key("address", network_of(address))
        # Whoever has to wait takes no turn from those who write.
        async with self._store.read() as tx:
            seen = await look_up(tx, username, network or "", now)
            tracks = self._tracks(username, network, seen)
            _refuse(wait_of(await look(tx, tracks), now))
        async with self._store.write() as tx:
            claimed, wait = await claim(tx, tracks, now)
            _refuse(wait)
            await self._prune(tx, now)
        return Attempt(tracks[0].key, claimed, network, seen)

    async def succeeded(self, tx: Transaction, attempt: Attempt, user_id: str) -> None:
        """Forget the account's failures, in the transaction that opens the session. The address keeps its own.

        Where the place was known, the failures there are forgotten, and the account's elsewhere stay.
        """
        if attempt.network is not None:
            await remember(tx, user_id, attempt.network, attempt.seen, self._clock.now().wall)
        for track in attempt.tracks:
            if track.key == attempt.account:
                await forget(tx, track)
            else:
                await give_back(tx, track)

    async def abandoned(self, attempt: Attempt) -> None:
        """Nobody has looked at the password, or it was right and no session came of it: the try counts for nothing.

        Raises:
            StoreUnavailable
        """
        async with self._store.write() as tx:
            for track in attempt.tracks:
                await give_back(tx, track)

    def _tracks(self, username: str, network: str | None, seen: Seen) -> tuple[Track, ...]:
        if seen.used_at is None:
            account = Track(self._key("account", f"{composed(username)}\x00{seen.resets}"), ACCOUNT)
        else:
            account = Track(self._key("place", f"{seen.user_id}\x00{seen.resets}\x00{network}"), ACCOUNT)
        return (account,) if network is None else (account, Track(network, ADDRESS))

    def _key(self, kind: str, text: str) -> str:
        data = f"{kind}\x00{text}".encode("utf-8", "surrogatepass")
        return base64url.encode(hmac.digest(self._secret, data, "sha256")).decode()

    def __repr__(self) -> str:
        return "Throttle(…)"


def _refuse(wait: float) -> None:
    if wait > 0:
        raise TooManyFailures(wait)


def network_of(address: str) -> str:
    """The network that is slowed down together: an IPv4 address, an IPv6 /64, or the text itself if it is neither."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed), 64), strict=False))
    return str(parsed)

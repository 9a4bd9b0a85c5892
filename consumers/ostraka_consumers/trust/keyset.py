"""The key set: which keys sign tokens, and what each may do (NIST SP 800-57 part 1 §7).

Rules:

1. A key set is always whole and replaces the one before.
2. It must keep within the limits of the root document: algorithms, number of keys, lifetimes; and a key that signs root
   documents or the feed never signs tokens.
3. A key once compromised stays so, whatever a later set says.
4. A key that did not change keeps its identity, so that what was verified with it need not be verified again.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ostraka_consumers.limits import COMPROMISED_KEYS_MAX
from ostraka_schemas.events import KeySetChanged, KeyState, PublishedKey
from ostraka_schemas.jwk import VerificationKey
from ostraka_schemas.root import RootDocument


class BeyondLimits(Exception):
    """The key set is signed, but the root document does not allow it."""


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A token-signing key and what it may do. Times in seconds since the epoch.

    Attributes:
        nbf, exp: it verifies only tokens minted and ending between these.
        max_token_lifetime: seconds from ``iat`` to ``exp`` of a token.
    """

    key: VerificationKey
    state: KeyState
    nbf: int
    exp: int
    max_token_lifetime: int


class KeySet:
    """The keys by ``kid``. Immutable; a change makes a new one."""

    def __init__(self, keys: Mapping[str, TrustedKey] | None = None, compromised: frozenset[str] = frozenset()) -> None:
        self._keys = MappingProxyType(dict(keys or {}))
        self._compromised = compromised

    def get(self, kid: str) -> TrustedKey | None:
        """The key of that name."""
        return self._keys.get(kid)

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def keys(self) -> tuple[TrustedKey, ...]:
        """All keys, in the order in which they were published."""
        return tuple(self._keys.values())

    def replaced_by(self, event: KeySetChanged, root: RootDocument) -> "KeySet":
        """The key set after ``event``.

        Raises:
            BeyondLimits: rule 2 is broken.
        """
        if len(event.keys) > root.limits.token_keys:
            raise BeyondLimits(f"{len(event.keys)} keys, the root document allows {root.limits.token_keys}")
        reserved = {key.thumbprint for key in (*root.root_keys(), *root.feed_keys())}
        compromised = set(self._compromised)
        keys = {}
        for published in event.keys:
            key = published.key()
            _check(published, key, root, reserved)
            if published.state == "compromised":
                compromised.add(key.thumbprint)
            state: KeyState = "compromised" if key.thumbprint in compromised else published.state
            trusted = TrustedKey(key, state, published.nbf, published.exp, published.max_token_lifetime)
            before = self._keys.get(key.kid)
            keys[key.kid] = before if before == trusted and before.key.jwk == key.jwk else trusted
        if len(compromised) > COMPROMISED_KEYS_MAX:
            raise BeyondLimits("more compromised keys than can be remembered")
        return KeySet(keys, frozenset(compromised))


def _check(published: PublishedKey, key: VerificationKey, root: RootDocument, reserved: Collection[str]) -> None:
    limits = root.limits
    if key.thumbprint in reserved:
        raise BeyondLimits(f"key {key.kid} signs root documents or the feed")
    if published.alg not in limits.token_algorithms:
        raise BeyondLimits(f"algorithm {published.alg} is not allowed")
    if published.exp - published.nbf > limits.token_key_lifetime:
        raise BeyondLimits(f"key {key.kid} lives longer than {limits.token_key_lifetime} s")
    if published.max_token_lifetime > limits.token_lifetime:
        raise BeyondLimits(f"tokens of key {key.kid} live longer than {limits.token_lifetime} s")

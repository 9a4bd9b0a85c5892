"""The key set: which keys sign tokens, and what each may do (NIST SP 800-57 part 1 §7).

Rules:

1. A key set is always whole and replaces the one before.
2. It must keep within the limits of the root document: algorithms, number of keys, lifetimes; and a key that signs root
   documents or the feed never signs tokens.
3. A key once compromised stays so, whatever a later set says.
4. A key that did not change keeps its identity, so that what was verified with it need not be verified again.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from ostraka_consumers.limits import COMPROMISED_KEYS_MAX
from ostraka_schemas.events import KeyState, PublishedKey
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

    @property
    def compromised(self) -> frozenset[str]:
        """Thumbprints of every key that was ever said to be compromised."""
        return self._compromised

    def replaced_by(
        self, published_keys: Sequence[PublishedKey], root: RootDocument, compromised_too: Collection[str] = ()
    ) -> "KeySet":
        """The key set after ``published_keys`` were announced.

        Args:
            compromised_too: thumbprints of keys known to be compromised, in the set or not.

        Raises:
            BeyondLimits: rule 2 is broken.
        """
        if len(published_keys) > root.limits.token_keys:
            raise BeyondLimits(f"{len(published_keys)} keys, the root document allows {root.limits.token_keys}")
        reserved = _reserved(root)
        compromised = {*self._compromised, *compromised_too}
        keys = {}
        for published in published_keys:
            key = published.key()
            _check(published, root, reserved)
            if published.state == "compromised":
                compromised.add(key.thumbprint)
            state: KeyState = "compromised" if key.thumbprint in compromised else published.state
            trusted = TrustedKey(key, state, published.nbf, published.exp, published.max_token_lifetime)
            before = self._keys.get(key.kid)
            keys[key.kid] = before if before == trusted and before.key.jwk == key.jwk else trusted
        if len(compromised) > COMPROMISED_KEYS_MAX:
            raise BeyondLimits("more compromised keys than can be remembered")
        return KeySet(keys, frozenset(compromised))

    def within(self, root: RootDocument) -> "KeySet":
        """What is left of the key set under a new root document: keys that it does not allow verify nothing."""
        reserved = _reserved(root)
        return KeySet(
            {kid: trusted for kid, trusted in self._keys.items() if _is_allowed(trusted, root, reserved)},
            self._compromised,
        )


def _reserved(root: RootDocument) -> Collection[str]:
    return {key.thumbprint for key in (*root.root_keys(), *root.feed_keys())}


def _is_allowed(trusted: TrustedKey, root: RootDocument, reserved: Collection[str]) -> bool:
    try:
        _check(trusted, root, reserved)
    except BeyondLimits:
        return False
    return True


def _check(entry: PublishedKey | TrustedKey, root: RootDocument, reserved: Collection[str]) -> None:
    limits = root.limits
    key = entry.key() if isinstance(entry, PublishedKey) else entry.key
    if key.thumbprint in reserved:
        raise BeyondLimits(f"key {key.kid} signs root documents or the feed")
    if key.alg not in limits.token_algorithms:
        raise BeyondLimits(f"algorithm {key.alg} is not allowed")
    if entry.exp - entry.nbf > limits.token_key_lifetime:
        raise BeyondLimits(f"key {key.kid} lives longer than {limits.token_key_lifetime} s")
    if entry.max_token_lifetime > limits.token_lifetime:
        raise BeyondLimits(f"tokens of key {key.kid} live longer than {limits.token_lifetime} s")

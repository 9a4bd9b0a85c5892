"""One private key, sealed: what every key store keeps, and how it is opened again.

The seal is bound to use, kid and algorithm, so what is stored under another name does not open: a feed key can never
become a token key.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from ostraka_issuer.errors import KeyStoreError
from ostraka_schemas.errors import UnsupportedKeyError
from ostraka_schemas.jwk import ALGORITHMS, Algorithm, PrivateKey, SigningKey, is_kid

from .vault import Vault


class KeyUse(StrEnum):
    """What a key signs; never two things."""

    ROOT = "root"
    FEED = "feed"
    TOKEN = "token"  # noqa: S105


@dataclass(frozen=True, slots=True)
class SealedKey:
    """A key as it is stored. ``alg`` is what the store says; opening finds out whether it is true."""

    use: KeyUse
    kid: str
    alg: str
    sealed: bytes = field(repr=False)


def seal_key(vault: Vault, use: KeyUse, key: SigningKey) -> SealedKey:
    """The key, sealed for this use."""
    plain = key.private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return SealedKey(use, key.kid, key.alg, vault.seal(plain, _purpose(use, key.kid, key.alg)))


def open_key(vault: Vault, stored: SealedKey) -> SigningKey:
    """The key itself.

    Raises:
        KeyStoreError: sealed otherwise, damaged, or not the key its name says.
    """
    alg = _algorithm(stored.alg)
    key = _import(vault.open(stored.sealed, _purpose(stored.use, stored.kid, alg)), alg)
    if key.kid != stored.kid:
        raise KeyStoreError("it holds another key than its name says")
    return key


def reseal_key(stored: SealedKey, old: Vault, new: Vault) -> SealedKey:
    """The same key under another secret.

    Raises:
        KeyStoreError: the old secret does not open it.
    """
    return seal_key(new, stored.use, open_key(old, stored))


def require_kid(kid: str) -> str:
    """``kid`` itself.

    Raises:
        KeyStoreError: it is none, and might name another place.
    """
    if not is_kid(kid):
        raise KeyStoreError("a kid has only A-Z a-z 0-9 - _")
    return kid


def _purpose(use: KeyUse, kid: str, alg: str) -> bytes:
    return f"ostraka private key|{use}|{kid}|{alg}".encode()


def _algorithm(name: str) -> Algorithm:
    for alg in ALGORITHMS:
        if alg == name:
            return alg
    raise KeyStoreError("it is not a key of ours")


def _import(plain: bytes, alg: Algorithm) -> SigningKey:
    try:
        private: PrivateKey = load_der_private_key(plain, password=None)  # type: ignore[assignment]  # checked below
        return SigningKey.from_private(private, alg)
    except (ValueError, TypeError, UnsupportedKeyError):
        # What could not be read is in the error's own words and frames: nothing of it goes further.
        raise KeyStoreError("it does not hold a usable key") from None

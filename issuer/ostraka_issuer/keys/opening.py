"""The sealing secret and the key store that the settings name."""

from typing import Final

from ostraka_consumers.clock import Clock
from ostraka_issuer.errors import KeyStoreError
from ostraka_issuer.home import Home
from ostraka_issuer.identifiers import RandomBytes
from ostraka_issuer.settings import IssuerSettings, KeyStoreName
from ostraka_issuer.store import Store

from .database import DatabaseKeyStore
from .files import KeyDirectory
from .stores import DirectoryKeyStore, KeyStore
from .vault import Vault

_VARIABLE: Final = "OSTRAKA_SECRET_KEY"
_FILE_VARIABLE: Final = "OSTRAKA_SECRET_KEY_FILE"


def open_vault(settings: IssuerSettings) -> Vault:
    """The vault under the one sealing secret there is: given itself, in a file, or in the home. Blocks.

    Raises:
        KeyStoreError: there is none, more than one, or it cannot be used; the message names it and never shows it.
    """
    own = Home(settings.home).secret
    given = given_secret(settings)
    if given is None:
        if not own.exists():
            raise KeyStoreError(
                f"there is no sealing secret: neither {_VARIABLE} nor {_FILE_VARIABLE} is set, and {own} is not there"
            )
        return Vault.load(own)
    if own.exists():
        raise KeyStoreError(f"there are two sealing secrets, {given} and {own}: unset the one or take away the other")
    return _vault_of(settings)


def make_vault(settings: IssuerSettings, *, random_bytes: RandomBytes) -> Vault:
    """The vault of a new home: under the secret that was given, or a new one in the home. Blocks.

    Raises:
        KeyStoreError: what was given cannot be used, or the new one cannot be written.
    """
    if given_secret(settings) is not None:
        return _vault_of(settings)
    return Vault.create(Home(settings.home).secret, random_bytes)


def given_secret(settings: IssuerSettings) -> str | None:
    """The name of the setting that gives the sealing secret, or ``None`` if it lies in the home.

    Raises:
        KeyStoreError: two settings give one.
    """
    if settings.secret_key is not None and settings.secret_key_file is not None:
        raise KeyStoreError(f"{_VARIABLE} and {_FILE_VARIABLE} are both given: give one of them")
    if settings.secret_key is not None:
        return _VARIABLE
    return None if settings.secret_key_file is None else _FILE_VARIABLE


def _vault_of(settings: IssuerSettings) -> Vault:
    if settings.secret_key is not None:
        return Vault.from_text(settings.secret_key.get_secret_value(), where=_VARIABLE)
    return Vault.load(settings.secret_key_file or Home(settings.home).secret)


def open_key_store(
    settings: IssuerSettings,
    vault: Vault,
    store: Store,
    *,
    name: KeyStoreName | None = None,
    clock: Clock | None = None,
) -> KeyStore:
    """The key store of that name, or else the one that the settings name."""
    if (name or settings.key_store) == "database":
        return DatabaseKeyStore(store, vault, clock)
    return DirectoryKeyStore(KeyDirectory(Home(settings.home).keys, vault))

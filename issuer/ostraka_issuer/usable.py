"""What no single setting shows, and what is in the files that settings name: all that is wrong, before anything runs.

Nothing is connected to, and the home need not be there yet.
"""

from typing import Any

from .errors import KeyStoreError, SetupError
from .home import Home
from .keys.opening import given_secret
from .keys.vault import Vault
from .settings import IssuerSettings, resolve_settings


def load_usable(**values: Any) -> IssuerSettings:
    """The settings, with the files that they name looked into. Blocks.

    Raises:
        SetupError: a line for each thing that is wrong.
    """
    return resolve_settings(further=faults, **values).settings


def faults(settings: IssuerSettings) -> list[str]:
    """What ``serve`` would stumble over, a line each. No secret is in a line. Blocks."""
    return [*_kafka(settings), *_secret(settings)]


def _kafka(settings: IssuerSettings) -> list[str]:
    try:
        _ = settings.kafka_security
    except SetupError as error:
        return [str(error)]
    return []


def _secret(settings: IssuerSettings) -> list[str]:
    try:
        given = given_secret(settings)
    except KeyStoreError as error:
        return [str(error)]
    if settings.secret_key_file is not None:
        try:
            Vault.load(settings.secret_key_file)
        except KeyStoreError as error:
            return [f"{given}: {error}"]
    own = Home(settings.home).secret
    if given is not None and own.exists():
        return [f"{given}: there are two sealing secrets, this and {own}: unset the one or take away the other"]
    return []

"""Checks of what stands on the command line: a wrong value is refused before anything is done."""

import typer

from ostraka_issuer.configuration.texts import is_issuer, is_kafka_address
from ostraka_issuer.limits import USERNAME_MAX_CHARS
from ostraka_schemas import base64url
from ostraka_schemas.errors import WireError
from ostraka_schemas.limits import TEXT_MAX_CHARS
from ostraka_schemas.permissions import is_permission

_ID_BYTES = 16


def url(text: str | None) -> str | None:
    """An issuer's URL, or nothing.

    Raises:
        typer.BadParameter: it is none (RFC 8414 §2; plain http is allowed).
    """
    if text is None:
        return None
    if not is_issuer(text):
        raise typer.BadParameter(f"{text!r} is not an issuer: write http(s)://host[:port], no query and no fragment")
    return text


def kafka(text: str | None) -> str | None:
    """Addresses of Kafka, joined by commas, or nothing.

    Raises:
        typer.BadParameter: one of them is none.
    """
    for address in [] if text is None else text.split(","):
        if not is_kafka_address(address):
            raise typer.BadParameter(f"{address.strip()!r} is not a Kafka address: write host:port")
    return text


def reason(text: str) -> str:
    """Why something is done.

    Raises:
        typer.BadParameter: it says nothing, or too much.
    """
    if not text.strip() or len(text) > TEXT_MAX_CHARS:
        raise typer.BadParameter(f"say why, in 1 to {TEXT_MAX_CHARS} characters")
    return text


def optional_reason(text: str | None) -> str | None:
    """Why something is done, or nothing.

    Raises:
        typer.BadParameter: it says nothing, or too much.
    """
    return None if text is None else reason(text)


def permissions(texts: list[str]) -> list[str]:
    """Permissions or patterns.

    Raises:
        typer.BadParameter: one is neither.
    """
    return [permission(text) for text in texts]


def permission(text: str) -> str:
    """A permission or a pattern.

    Raises:
        typer.BadParameter: it is neither.
    """
    if not is_permission(text):
        raise typer.BadParameter(f"{text!r} is not a permission: write resource:action; either side may be *")
    return text


def user_name(text: str | None) -> str | None:
    """The name of a new user, or nothing.

    Raises:
        typer.BadParameter: no user can have it.
    """
    if text is not None and not (1 <= len(text) <= USERNAME_MAX_CHARS and text.isprintable() and " " not in text):
        raise typer.BadParameter(f"a user name has 1 to {USERNAME_MAX_CHARS} printable characters and no space")
    return text


def is_own_id(text: str) -> bool:
    """Whether ``text`` looks like an id that this issuer makes: 16 bytes in base64url."""
    try:
        base64url.decode_text(text, size=_ID_BYTES)
    except WireError:
        return False
    return True

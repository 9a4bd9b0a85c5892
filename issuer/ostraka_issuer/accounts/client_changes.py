"""What can be asked of clients, and when a change takes something from one. Rules only: no database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ostraka_issuer.errors import BadRequest
from ostraka_schemas.limits import AUDIENCES_MAX, ID_MAX_CHARS

from .client_keys import check_key_set, read_key_set
from .clients import GRANT_TYPES, OF_USERS, AuthMethod, Client, GrantType
from .names import check_id, check_text, is_text


@dataclass(frozen=True, slots=True)
class NewClient:
    """A client to be made.

    Attributes:
        jwks: with ``private_key_jwt``, else ``None``. A secret is made by us.
        audiences: none means, for logins, all that the issuer serves.
        permissions: what it may do by itself.
    """

    id: str
    name: str
    auth_method: AuthMethod = "none"
    grant_types: Sequence[GrantType] = OF_USERS
    audiences: Sequence[str] = ()
    jwks: Mapping[str, Any] | None = None
    permissions: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ClientChange:
    """What to change of a client, all of it at once. What is ``None`` or empty stays as it is.

    Attributes:
        grant, withdraw: permissions of its own; a pattern that is withdrawn takes all that it covers.
        grant_types, audiences, jwks: each replaces what was there.
        disabled: a disabled client gets no token; all its sessions end.
    """

    name: str | None = None
    grant: Sequence[str] = ()
    withdraw: Sequence[str] = ()
    grant_types: Sequence[GrantType] | None = None
    audiences: Sequence[str] | None = None
    jwks: Mapping[str, Any] | None = None
    disabled: bool | None = None


def check_client(client: Client) -> None:
    """Refuse a client that could not be or should not be.

    Raises:
        BadRequest: says what is wrong with it.
    """
    check_id(client.id, "a client id")
    if not client.name:
        raise BadRequest("a client has a name")
    check_text(client.name, "the name of a client")
    if not client.grant_types or not set(client.grant_types) <= set(GRANT_TYPES):
        raise BadRequest(f"a client has one or more of the grant types {', '.join(GRANT_TYPES)}")
    # RFC 6749 §4.4 and RFC 8693 §2.1: what a client does by itself needs proof of who it is.
    if client.auth_method == "none" and not set(client.grant_types) <= set(OF_USERS):
        raise BadRequest(f"a client that proves nothing has at most the grant types {', '.join(OF_USERS)}")
    if (client.auth_method == "private_key_jwt") != (client.jwks is not None):
        raise BadRequest("private_key_jwt needs the client's public keys, and nothing else does")
    if len(client.audiences) > AUDIENCES_MAX or not all(
        1 <= len(audience) <= ID_MAX_CHARS and is_text(audience) for audience in client.audiences
    ):
        raise BadRequest(f"a client has at most {AUDIENCES_MAX} audiences, each of 1 to {ID_MAX_CHARS} characters")


def kept_keys(jwks: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A key set as it is kept.

    Raises:
        BadRequest: not public keys, or not usable.
    """
    return None if jwks is None else check_key_set(jwks)


def loses(before: Client, after: Client) -> bool:
    """Whether a client had something that it has no more: then every token got through it is cut off."""
    return (
        (after.disabled and not before.disabled)
        or not set(before.grant_types) <= set(after.grant_types)
        or _loses_an_audience(before.audiences, after.audiences)
        or not _keys(before.jwks) <= _keys(after.jwks)
    )


def gains(before: Client, after: Client) -> bool:
    """Whether what a client may do by itself can now be used by somebody, in a way or at a place where it could not."""
    return (
        (before.disabled and not after.disabled)
        or not set(after.grant_types) <= set(before.grant_types)
        or not set(after.audiences) <= set(before.audiences)
        # None at all means every one, for logins.
        or bool(before.audiences and not after.audiences)
    )


def _loses_an_audience(before: Sequence[str], after: Sequence[str]) -> bool:
    # None at all means every one for logins and not one for the rest, so either way something may be lost.
    return set(before) != set(after) and (not before or not set(before) <= set(after))


def _keys(jwks: Mapping[str, Any] | None) -> set[str]:
    return set() if jwks is None else {key.thumbprint for key in read_key_set(jwks)}

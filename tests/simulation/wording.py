"""How a change is written in a record."""

from collections.abc import Callable
from functools import cache
from typing import Final, cast

from ostraka_schemas.events import (
    Event,
    IssuerCutoff,
    KeySetChanged,
    KeyState,
    PermissionRevoked,
    PublishedKey,
    RemainingClaims,
    SessionRevoked,
    TokenClaimsChange,
    TokenRevoked,
    TokensRevoked,
)
from ostraka_schemas.subjects import Complex, IssSub, JwtId, Opaque, SubjectIdentifier, Uri

from . import roots
from .clock import START
from .names import ISSUER, key
from .truth import Change

KEYS_FROM: Final = int(START) - 60
"""``nbf`` of every token key."""
EVERYONE: Final = Uri(uri=ISSUER)


@cache
def published_key(name: str, state: KeyState) -> PublishedKey:
    """An entry of the key set."""
    jwk, nbf = key(name).public.to_jwk(), KEYS_FROM
    exp = nbf + 30 * 24 * 3600
    return PublishedKey(jwk=jwk, alg="EdDSA", state=state, nbf=nbf, exp=exp, max_token_lifetime=300)


def event_of(change: Change, now: int, new_id: Callable[[], str]) -> tuple[Event, SubjectIdentifier]:
    """The event of a change and whom it is about; ``now`` in seconds since the epoch."""
    if change.root is not None:
        return roots.event(change.root), EVERYONE
    if change.kind in ("subject", "session", "client"):
        return SessionRevoked(event_timestamp=now), _holder(change)
    if change.kind in ("token", "tokens"):
        return _denial(change, new_id)
    match change.kind:
        case "keys":
            return KeySetChanged(keys=[_entry(entry) for entry in change.what]), EVERYONE
        case "everyone":
            return IssuerCutoff(), EVERYONE
        case "permission":
            return PermissionRevoked(permission=change.who), EVERYONE
        case "narrow":
            return TokenClaimsChange(claims=RemainingClaims(permissions=list(change.what))), _user(change.who)
    raise AssertionError(change.kind)


def _denial(change: Change, new_id: Callable[[], str]) -> tuple[Event, SubjectIdentifier]:
    exp = int(change.what[0])
    if change.kind == "token":
        return TokenRevoked(exp=exp), JwtId(iss=ISSUER, jti=change.who)
    return TokensRevoked(tokens=[(change.who, exp), (new_id(), exp)]), EVERYONE


def _user(sub: str) -> IssSub:
    return IssSub(iss=ISSUER, sub=sub)


def _holder(change: Change) -> SubjectIdentifier:
    if change.kind == "session":
        return Complex(user=_user("alice"), session=Opaque(id=change.who))
    return Complex(application=Opaque(id=change.who)) if change.kind == "client" else _user(change.who)


def _entry(text: str) -> PublishedKey:
    number, _, state = text.partition(":")
    return published_key(f"token {number}", cast("KeyState", state))

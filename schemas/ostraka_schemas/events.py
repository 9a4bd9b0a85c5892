"""The events of the feed: what can be said about tokens, and about whom (design: CAEP, SSF and our own URIs).

An event is one URI and one object. Reading is forgiving where it can be and closed where it must be:

* an unknown URI is handed on as ``UnknownEvent``, so that an old verifier survives a new issuer;
* ``"must_understand": true`` in the object makes every member of it that this reader does not know a refusal to guess;
* a known URI with an object that breaks its own rules is never skipped: it could be a revocation.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import FailFast, Field, StringConstraints, model_validator

from .errors import MalformedError, WireError
from .jwk import Algorithm, VerificationKey
from .limits import (
    ID_MAX_CHARS,
    PERMISSIONS_MAX,
    SEQ_MAX,
    TOKEN_KEYS_MAX,
    TOKENS_PER_RECORD_MAX,
)
from .model import NumericDate, Text, WireModel, validated
from .permissions import Permission
from .subjects import Complex, IssSub, JwtId, SubjectIdentifier, Uri

CAEP: str = "https://schemas.openid.net/secevent/caep/event-type/"
OAUTH: str = "https://schemas.openid.net/secevent/oauth/event-type/"
OURS: str = "urn:ostraka:event:"

Reason = dict[Annotated[str, StringConstraints(min_length=2, max_length=35)], Text]
"""A text a language tag (CAEP §2)."""
InitiatingEntity = Literal["admin", "user", "policy", "system"]
KeyState = Literal["pre-activation", "active", "deactivated", "compromised", "destroyed"]
"""NIST SP 800-57 part 1 §7."""
Seconds = Annotated[int, Field(ge=1, le=SEQ_MAX)]


class Event(WireModel):
    """Base of the events. ``uri`` names the kind, ``subjects`` the identifiers it can be about."""

    uri: ClassVar[str]
    subjects: ClassVar[tuple[type[WireModel], ...]] = (Uri,)


class SessionRevoked(Event):
    """Cut-off: older tokens of one subject, session or client are dead (CAEP 1.0 §3.1)."""

    uri = CAEP + "session-revoked"
    subjects = (IssSub, Complex)

    event_timestamp: NumericDate
    initiating_entity: InitiatingEntity = "admin"
    reason_admin: Reason | None = None
    reason_user: Reason | None = None


class RemainingClaims(WireModel):
    """What is left after a claims change: only permissions can change here."""

    permissions: Annotated[list[Permission], Field(max_length=PERMISSIONS_MAX)]


class TokenClaimsChange(Event):
    """Older tokens of one subject keep at most these permissions (CAEP 1.0 §3.2)."""

    uri = CAEP + "token-claims-change"
    subjects = (IssSub, Complex)

    claims: RemainingClaims
    event_timestamp: NumericDate | None = None
    initiating_entity: InitiatingEntity = "admin"
    reason_admin: Reason | None = None


class TokenRevoked(Event):
    """One token is dead. ``exp`` is the token's own: the entry may be forgotten after it."""

    uri = OAUTH + "token-revoked"
    subjects = (JwtId,)

    exp: NumericDate
    reason_admin: Reason | None = None


RevokedToken = Annotated[
    tuple[Annotated[str, StringConstraints(min_length=1, max_length=ID_MAX_CHARS)], NumericDate], Field(strict=False)
]


class TokensRevoked(Event):
    """Many tokens are dead: pairs of ``jti`` and the token's ``exp``."""

    uri = OURS + "tokens-revoked"

    # The first wrong one decides: thousands of errors would be listed at length, for nobody.
    tokens: Annotated[list[RevokedToken], FailFast(), Field(min_length=1, max_length=TOKENS_PER_RECORD_MAX)]
    reason_admin: Reason | None = None


class PermissionRevoked(Event):
    """No older token of anyone carries what this pattern covers any more."""

    uri = OURS + "permission-revoked"

    permission: Permission
    reason_admin: Reason | None = None


class IssuerCutoff(Event):
    """Every older token of this issuer is dead."""

    uri = OURS + "issuer-cutoff"

    reason_admin: Reason | None = None


class PublishedKey(WireModel):
    """A token-signing key as the feed announces it; a verifier holds a token to all of it.

    Attributes:
        nbf, exp: tokens are signed with it only between these.
        max_token_lifetime: seconds a token signed by it may live.
    """

    jwk: dict[str, Text]
    alg: Algorithm
    state: KeyState
    nbf: NumericDate
    exp: NumericDate
    max_token_lifetime: Seconds

    @model_validator(mode="after")
    def _importable(self) -> "PublishedKey":
        if self.exp <= self.nbf:
            raise ValueError("exp must be after nbf")
        try:
            self.key()
        except WireError as error:
            raise ValueError(str(error)) from error
        return self

    def key(self) -> VerificationKey:
        """The public key itself."""
        return VerificationKey.from_jwk(self.jwk, alg=self.alg)


class KeySetChanged(Event):
    """The whole key set, replacing the one before. A ``kid`` stands for one key."""

    uri = OURS + "key-set"

    keys: Annotated[list[PublishedKey], Field(min_length=1, max_length=TOKEN_KEYS_MAX)]

    @model_validator(mode="after")
    def _distinct(self) -> "KeySetChanged":
        keys = [entry.key() for entry in self.keys]
        if len({key.kid for key in keys}) != len(keys) or len({key.thumbprint for key in keys}) != len(keys):
            raise ValueError("the same kid or the same key twice")
        return self


class RootPublished(Event):
    """A root document, as general JWS: it is verified by its own signatures, not by this record's."""

    uri = OURS + "root"

    payload: str
    signatures: Annotated[list[dict[str, str]], FailFast()]


class UnknownEvent(WireModel):
    """An event of a kind, or with members, that this reader does not know.

    Attributes:
        uri: the kind, shortened.
        must_understand: the sender wants a reader that does not know it to stop vouching for tokens.
    """

    uri: str
    must_understand: bool


EVENTS: dict[str, type[Event]] = {
    kind.uri: kind
    for kind in (
        SessionRevoked,
        TokenClaimsChange,
        TokenRevoked,
        TokensRevoked,
        PermissionRevoked,
        IssuerCutoff,
        KeySetChanged,
        RootPublished,
    )
}
"""Every kind of chained event, by URI."""


def read_event(uri: str, members: dict[str, Any], subject: SubjectIdentifier) -> Event | UnknownEvent:
    """Read one event.

    Raises:
        MalformedError: a known kind breaks its rules, or is about something it cannot be about.
    """
    kind = EVENTS.get(uri)
    must_understand = members.get("must_understand", False)
    if not isinstance(must_understand, bool):
        raise MalformedError("must_understand is true or false")
    if kind is None or (must_understand and members.keys() - kind.model_fields.keys() - {"must_understand"}):
        return UnknownEvent(uri=uri[:ID_MAX_CHARS], must_understand=must_understand)
    if not isinstance(subject, kind.subjects):
        raise MalformedError(f"{uri} cannot be about a subject of format {subject.format}")
    if isinstance(subject, Complex) and not (
        (subject.user and subject.session and not subject.application)
        or (subject.application and not subject.user and not subject.session)
    ):
        raise MalformedError("a complex subject is a user and a session, or an application")
    return validated(lambda: kind.model_validate(members), uri)

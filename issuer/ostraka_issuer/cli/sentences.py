"""Records of the feed in words for people."""

from ostraka_schemas.events import (
    IssuerCutoff,
    KeySetChanged,
    PermissionRevoked,
    RootPublished,
    SessionRevoked,
    TokenClaimsChange,
    TokenRevoked,
    TokensRevoked,
    UnknownEvent,
)
from ostraka_schemas.records import Record
from ostraka_schemas.subjects import Complex, IssSub, JwtId, SubjectIdentifier

_SHORT = 8
"""Characters of a key's name that a person can tell apart."""


def describe(record: Record) -> tuple[str, str | None, str | None]:
    """What happened, about whom or what, and the reason that was given."""
    event = record.event
    if event is None or isinstance(event, UnknownEvent):
        return "not understood", event.uri if event else record.defect, None
    reason = next(iter((getattr(event, "reason_admin", None) or {}).values()), None)
    return *_kind(record), reason


def _kind(record: Record) -> tuple[str, str | None]:
    match record.event:
        case SessionRevoked():
            return _cut_off(record.subject)
        case TokenRevoked():
            return "token revoked", record.subject.jti if isinstance(record.subject, JwtId) else None
        case TokensRevoked(tokens=tokens):
            return "tokens revoked", f"{len(tokens)} of them"
        case PermissionRevoked(permission=permission):
            return "permission revoked", permission
        case TokenClaimsChange(claims=claims):
            _, about = _cut_off(record.subject)
            return "permissions changed", f"{about}: {' '.join(claims.permissions) or 'none'}"
        case IssuerCutoff():
            return "everyone cut off", None
        case KeySetChanged(keys=keys):
            return "keys", ", ".join(f"{entry.key().kid[:_SHORT]}… {entry.state}" for entry in keys)
        case RootPublished():
            return "root document", None
    return "unknown", None


def _cut_off(subject: SubjectIdentifier) -> tuple[str, str | None]:
    match subject:
        case IssSub(sub=sub):
            return "user cut off", sub
        case Complex(session=session) if session is not None:
            return "session ended", session.id
        case Complex(application=application) if application is not None:
            return "client cut off", application.id
    return "cut off", None

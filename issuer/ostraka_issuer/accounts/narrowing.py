"""What the feed is told when somebody may do less than before. Rules only: no database, no clock.

    a user lost a permission or a role,          the user's older tokens keep at most what is left
    or a role of the user's lost a permission    (token-claims-change of the subject)
    the same for more users at once than         no older token of anyone carries what was taken
    ``NARROWED_USERS_MAX``                       (permission-revoked, one for each permission)
    a user was disabled or deleted,              every older token of the user is dead
    or has another password                      (session-revoked of the subject)
    a client lost a permission of its own        the tokens that it got for itself keep at most what is left
                                                 (token-claims-change of the subject that the client is, RFC 9068 §2.2)
    a client was disabled or deleted, has        every older token got through the client is dead
    another secret, or lost a key, a grant       (session-revoked of the application)
    or an audience
    anybody may do more                          nothing: tokens minted from now on say so

What is left is compared by what it allows, not by how it is spelled: who loses ``orders:read`` and keeps ``orders:*``
has lost nothing. The second line takes from others too what they hold by another way, until their next refresh: for a
role that thousands have, one record instead of thousands.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ostraka_schemas.events import Event, PermissionRevoked, RemainingClaims, SessionRevoked, TokenClaimsChange
from ostraka_schemas.permissions import covered_by_any
from ostraka_schemas.subjects import Complex, IssSub, Opaque, SubjectIdentifier, Uri


@dataclass(frozen=True, slots=True)
class Announcement:
    """An event and whom it is about."""

    subject: SubjectIdentifier
    event: Event


@dataclass(frozen=True, slots=True)
class Cause:
    """What all announcements of one change have in common.

    Attributes:
        issuer: the issuer identifier.
        at: seconds since the epoch.
        reason: for verifiers and the record; ``None`` if nobody gave one.
    """

    issuer: str
    at: float
    reason: str | None = None

    @property
    def reason_admin(self) -> dict[str, str] | None:
        """The reason as events carry it."""
        return None if self.reason is None else {"en": self.reason}


def is_less(before: Iterable[str], after: Sequence[str]) -> bool:
    """Whether ``after`` allows less than ``before``."""
    return not all(covered_by_any(after, permission) for permission in before)


def permissions_left(cause: Cause, subject: str, before: Iterable[str], after: Sequence[str]) -> list[Announcement]:
    """For a subject, a user or a client by itself, that could ``before`` and can ``after``."""
    if not is_less(before, after):
        return []
    event = TokenClaimsChange(
        claims=RemainingClaims(permissions=list(after)),
        event_timestamp=int(cause.at),
        reason_admin=cause.reason_admin,
    )
    return [Announcement(IssSub(iss=cause.issuer, sub=subject), event)]


def permissions_gone(cause: Cause, permissions: Iterable[str]) -> list[Announcement]:
    """For everyone at once: no older token carries any of ``permissions`` any more."""
    about = Uri(uri=cause.issuer)
    return [
        Announcement(about, PermissionRevoked(permission=permission, reason_admin=cause.reason_admin))
        for permission in permissions
    ]


def subject_cut_off(cause: Cause, subject: str) -> Announcement:
    """Every older token of a subject is dead."""
    return Announcement(IssSub(iss=cause.issuer, sub=subject), _revoked(cause))


def client_cut_off(cause: Cause, client_id: str) -> Announcement:
    """Every older token got through a client is dead."""
    return Announcement(Complex(application=Opaque(id=client_id)), _revoked(cause))


def _revoked(cause: Cause) -> SessionRevoked:
    return SessionRevoked(event_timestamp=int(cause.at), initiating_entity="admin", reason_admin=cause.reason_admin)

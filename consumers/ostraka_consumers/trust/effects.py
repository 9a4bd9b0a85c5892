"""What an applied record does: the state that tokens are judged by.

Nothing is ever un-revoked. An entry leaves only when a signed heartbeat says that a time has come at which every token
it could meet has expired; the verifier's own clock has no say in it. What was minted before it is dead from then on,
also if it claims to live: see ``horizon``.
"""

from collections.abc import Collection, Sequence

from ostraka_consumers.limits import ISSUER_CLOCK_ERROR_MAX, STATE_WEIGHT_MAX
from ostraka_schemas.events import (
    Event,
    IssuerCutoff,
    KeySetChanged,
    PermissionRevoked,
    PublishedKey,
    RootPublished,
    SessionRevoked,
    TokenClaimsChange,
    TokenRevoked,
    TokensRevoked,
    UnknownEvent,
)
from ostraka_schemas.limits import CLOCK_TOLERANCE
from ostraka_schemas.records import Position, Record
from ostraka_schemas.root import RootDocument
from ostraka_schemas.subjects import Complex, IssSub, JwtId, Opaque, SubjectIdentifier, Uri

from .alarms import Alarm
from .cutoffs import ISSUER, Cutoffs, Key, Moment, Narrowings
from .denylist import DenyList, token_number
from .horizon import Horizon
from .keyset import BeyondLimits, KeySet


class TrustState:
    """Key set, deny list, cut-offs and narrowings of one issuer, within the limits of its root document."""

    def __init__(self, root: RootDocument) -> None:
        self.root = root
        self.keys = KeySet()
        self._keep = _keep(root)
        self.denied = DenyList(self._keep)
        self.cutoffs = Cutoffs()
        self.narrowings = Narrowings()
        self.skipped = 0
        self._horizon = Horizon(self._keep)
        self._forgotten_until = 0.0
        self._latest_iat = 0

    @property
    def latest_iat(self) -> int:
        """The latest ``iat`` of the records so far (seconds since the epoch)."""
        return self._latest_iat

    @property
    def forgotten_until(self) -> float:
        """Of tokens that ended before this signed time nothing is remembered any more (seconds since the epoch)."""
        return self._forgotten_until

    @property
    def weight(self) -> int:
        """How much is remembered: the unit is a denied token."""
        return len(self.denied) + self.cutoffs.weight + self.narrowings.weight

    def apply(self, record: Record, now: float) -> Alarm | None:
        """Take the effect of a record whose turn has come. Returns what a person must look at, if anything."""
        event = record.event
        self._latest_iat = max(self._latest_iat, record.iat)
        if event is None:
            return Alarm.DEFECTIVE
        if isinstance(event, UnknownEvent):
            self.skipped += 1
            return Alarm.NOT_UNDERSTOOD if event.must_understand else None
        if _issuer_of(record.subject) not in (None, self.root.iss):
            self.skipped += 1  # somebody else's subject: nothing of ours can be meant
            return None
        # Key sets, root documents and the cut-off for everyone take no more room however many there are.
        if self.weight >= STATE_WEIGHT_MAX and not isinstance(event, KeySetChanged | RootPublished | IssuerCutoff):
            return Alarm.STATE_FULL
        expires = self._keep_until(record.iat, now)
        self._horizon.note(Moment(record.position, record.iat), expires)
        return self._take(event, record, expires)

    def _keep_until(self, iat: int, now: float) -> float:
        # If the issuer's clock is or was wrong, its tokens live longer than the record's time says. A record from the
        # future may keep itself for a while, but not all that come after it: hence ``now``.
        is_recent = now - iat <= ISSUER_CLOCK_ERROR_MAX + self._keep
        believed = now if is_recent else min(float(self._latest_iat), now)
        said = min(float(iat), now + ISSUER_CLOCK_ERROR_MAX)
        return self._keep + max(said, self._forgotten_until, believed)

    def _take(self, event: Event, record: Record, expires: float) -> Alarm | None:
        moment = Moment(record.position, record.iat)
        match event:
            case KeySetChanged():
                return self.replace_keys(event.keys)
            case RootPublished():
                self._open_epoch(record, expires)
            case TokenRevoked():
                return self._deny_one(record.subject, event, expires)
            case TokensRevoked():
                for jti, exp in event.tokens:
                    self._deny(jti, exp, expires)
            case SessionRevoked():
                self.cutoffs.add(key_of(record.subject), moment, expires)
            case IssuerCutoff():
                self.cutoffs.add(ISSUER, moment, expires)
            case TokenClaimsChange():
                self.narrowings.keep_only(key_of(record.subject), event.claims.permissions, moment, expires)
            case PermissionRevoked():
                self.narrowings.revoke(event.permission, moment, expires)
            case _:
                return Alarm.NOT_UNDERSTOOD
        return None

    def _open_epoch(self, record: Record, expires: float) -> None:
        """Opening a new epoch is a cut-off for everyone: of what was said before, nothing is vouched for any more."""
        epoch, seq = record.position
        if epoch > 1 and seq == 1:
            self.cutoffs.add(ISSUER, Moment(Position(epoch, 0), record.iat), expires)

    def limit_by(self, root: RootDocument) -> None:
        """Go on under a new root document of the same epoch: what it does not allow any more has no effect."""
        self.root = root
        self._keep = max(self._keep, _keep(root))
        self.keys = self.keys.within(root)

    def take_over(self, last: Moment, signed_at: int, now: float) -> None:
        """Go on after a record whose effect a snapshot brought, with all before it.

        The snapshot may have been made by a clock that is slow: by its times, what it revokes may be over too early. So
        it is all kept until every token is dead that was minted before its head.

        Args:
            last: the record's place, and the latest ``iat`` up to there.
            signed_at: ``iat`` of the snapshot.
            now: the time, in seconds since the epoch.
        """
        self._latest_iat = max(self._latest_iat, last.iat)
        self._horizon.hold(last, self._keep_until(signed_at, now))

    def forget(self, signed_time: float) -> None:
        """Drop what can meet no living token, ``signed_time`` being the ``iat`` of a verified heartbeat."""
        self._forgotten_until = max(self._forgotten_until, signed_time)
        until, moment = self._horizon.move(self._forgotten_until)
        if moment is not None:
            self.cutoffs.add(ISSUER, moment, until + ISSUER_CLOCK_ERROR_MAX + self._keep)
        self.denied.forget(until)
        self.cutoffs.forget(until)
        self.narrowings.forget(until)

    def replace_keys(self, keys: Sequence[PublishedKey], compromised: Collection[str] = ()) -> Alarm | None:
        """Take a new key set. Returns what a person must look at, if anything; then nothing is changed.

        Args:
            compromised: thumbprints of keys known to be compromised, in the set or not.
        """
        try:
            self.keys = self.keys.replaced_by(keys, self.root, compromised)
        except BeyondLimits:
            return Alarm.BEYOND_LIMITS
        return None

    def _deny_one(self, subject: SubjectIdentifier, event: TokenRevoked, latest: float) -> Alarm | None:
        if not isinstance(subject, JwtId):
            return Alarm.DEFECTIVE
        # Not until ``exp``: whoever revokes one token may not have it, and then the issuer's clock has made that up.
        self._deny(subject.jti, max(event.exp, int(latest)), latest)
        return None

    def _deny(self, jti: str, exp: int, latest: float) -> None:
        # No token minted before the record can live longer than ``latest``, whatever ``exp`` says.
        expires = min(exp + CLOCK_TOLERANCE + self.root.limits.late, latest)
        if expires >= self._forgotten_until:
            self.denied.add(token_number(jti), expires)


def _keep(root: RootDocument) -> int:
    return root.limits.token_lifetime + CLOCK_TOLERANCE + root.limits.late


def _issuer_of(subject: SubjectIdentifier) -> str | None:
    match subject:
        case IssSub(iss=iss) | JwtId(iss=iss):
            return iss
        case Uri(uri=uri):
            return uri
        case Complex(user=IssSub(iss=iss)):
            return iss
        case _:
            return None


def key_of(subject: SubjectIdentifier) -> Key:
    """Whom a cut-off or a claims change is about."""
    match subject:
        case IssSub(sub=sub):
            return Key("subject", sub)
        case Complex(session=Opaque(id=id_)):
            return Key("session", id_)
        case Complex(application=Opaque(id=id_)):
            return Key("client", id_)
    raise AssertionError("read_event lets no other subject through")

"""An issuer with a database that survives, and a process that does not.

A change is committed, later given its place and signed in one transaction, later sent, later marked as sent. A crash
may come between any two of these; after it the stored bytes are sent again from the last mark.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, Final, cast

from ostraka_schemas.events import (
    Event,
    IssuerCutoff,
    KeySetChanged,
    KeyState,
    PermissionRevoked,
    PublishedKey,
    RemainingClaims,
    RootPublished,
    SessionRevoked,
    TokenClaimsChange,
    TokenRevoked,
    TokensRevoked,
)
from ostraka_schemas.records import GENESIS, Head, Position, record_hash, sign_heartbeat, sign_record
from ostraka_schemas.root import FeedRole, Limits, RootDocument, RootRole, sign_root
from ostraka_schemas.subjects import Complex, IssSub, JwtId, Opaque, SubjectIdentifier, Uri

from .clock import START, MachineClock, Time
from .names import ISSUER, identifier, key
from .truth import Beat, Change, Minted, Truth

YEAR: Final = 365 * 24 * 3600
KEYS_MAX: Final = 4
"""Keys in a key set."""
LEAD: Final = 70.0
"""Seconds a key is announced before it signs: longer than any verifier decides without news."""
KEYS_FROM: Final = int(START) - 60
"""``nbf`` of every token key."""
LIMITS: Final = Limits(token_algorithms=["EdDSA"], token_lifetime=300)
EVERYONE: Final = Uri(uri=ISSUER)


@cache
def root_event() -> RootPublished:
    """The root document that opens the feed."""
    document = RootDocument(
        iss=ISSUER,
        version=1,
        epoch=1,
        iat=int(START),
        exp=int(START) + YEAR,
        root=RootRole(keys=[key("root 1").public.to_jwk()], threshold=1),
        feed=FeedRole(keys=[key("feed 1").public.to_jwk()], exp=int(START) + YEAR),
        limits=LIMITS,
    )
    return RootPublished(**sign_root(document, [key("root 1")]))


@cache
def published_key(name: str, state: KeyState) -> PublishedKey:
    """An entry of the key set."""
    jwk, nbf = key(name).public.to_jwk(), KEYS_FROM
    exp = nbf + 30 * 24 * 3600
    return PublishedKey(jwk=jwk, alg="EdDSA", state=state, nbf=nbf, exp=exp, max_token_lifetime=300)


class Issuer:
    """Commits, sequences, sends, beats; crashes and starts again.

    Args:
        send: takes what leaves the issuer, and whether it is a record.
    """

    def __init__(self, time: Time, clock: MachineClock, truth: Truth, send: Callable[[bytes, bool], None]) -> None:
        self.time, self.clock, self.truth = time, clock, truth
        self.up = True
        self.epoch = 1
        self.feed: list[bytes] = []
        self.beats: list[bytes] = []
        self.marked = 0
        self.states: dict[int, KeyState] = {1: "active"}
        self._signer = 0
        self._announced: dict[int, float] = {}
        self._last_exp: dict[int, int] = {}
        self._waiting: list[Change] = []
        self._ids = 0
        self._send = send
        self.commit("root")
        self._commit_keys()

    @property
    def now(self) -> int:
        """Whole seconds of its wall clock."""
        return int(self.clock.now().wall)

    @property
    def head(self) -> Head:
        """The newest record in its database."""
        return Head(Position(self.epoch, len(self.feed)), record_hash(self.feed[-1]))

    def new_id(self) -> str:
        """An id that nobody else has."""
        self._ids += 1
        return identifier(self._ids)

    # --- changes ---

    def commit(self, kind: str, who: str = "", what: tuple[str, ...] = ()) -> Change:
        """Write a change into the database; it has no place in the feed yet."""
        change = Change(kind, who, what, self.time.now)
        self.truth.changes.append(change)
        self._waiting.append(change)
        return change

    def _commit_keys(self) -> Change:
        return self.commit("keys", what=tuple(f"{number}:{state}" for number, state in self.states.items()))

    def rotate(self) -> Change | None:
        """Do what is due: activate the key announced long enough ago, announce one, or drop one that has done."""
        ahead = [n for n, state in self.states.items() if state == "pre-activation"]
        due = [n for n in ahead if self.time.now - self._announced.get(n, self.time.now) >= LEAD]
        done = [n for n, s in self.states.items() if s == "deactivated" and self._last_exp.get(n, 0) + 20 < self.now]
        if due:
            self.states.update({n: "deactivated" for n, s in self.states.items() if s == "active"})
            self.states[due[0]] = "active"
        elif not ahead and len(self.states) < KEYS_MAX:
            self.states[max(self.states) + 1] = "pre-activation"
        elif done:
            if self.new_id().endswith(("A", "g")):
                self.states[done[0]] = "destroyed"
            else:
                del self.states[done[0]]
        else:
            return None
        return self._commit_keys()

    def compromise(self) -> Change | None:
        """Give up the key that signs, and go on with another at once."""
        active = [n for n, state in self.states.items() if state == "active"]
        ahead = [n for n, state in self.states.items() if state == "pre-activation"]
        if not active or (not ahead and len(self.states) >= KEYS_MAX):
            return None
        self.states[active[0]] = "compromised"
        self.states[ahead[0] if ahead else max(self.states) + 1] = "active"
        return self._commit_keys()

    # --- the feed ---

    def sequence(self) -> int:
        """Give every waiting change its place, and sign it: one transaction."""
        count = len(self._waiting)
        for change in self._waiting:
            event, subject = self._event(change)
            prev = record_hash(self.feed[-1]) if self.feed else GENESIS
            change.position = Position(self.epoch, len(self.feed) + 1)
            change.raw = self._record(event, subject, change.position, prev)
            self.truth.records[change.raw] = change
            self.truth.hashes[change.position] = record_hash(change.raw)
            self.feed.append(change.raw)
            if change.kind == "keys":
                self._announce(change)
        self._waiting.clear()
        return count

    def _announce(self, change: Change) -> None:
        self._signer = 0
        for entry in change.what:
            number, _, state = entry.partition(":")
            self._announced.setdefault(int(number), self.time.now)
            if state == "active":
                self._signer = int(number)

    def _record(self, event: Event, subject: SubjectIdentifier, position: Position, prev: bytes) -> bytes:
        return sign_record(
            key(f"feed {self.epoch}"),
            iss=ISSUER,
            iat=self.now,
            jti=self.new_id(),
            txn="t",
            position=position,
            prev=prev,
            subject=subject,
            event=event,
        )

    def _event(self, change: Change) -> tuple[Event, SubjectIdentifier]:
        if change.kind in ("subject", "session", "client"):
            return SessionRevoked(event_timestamp=self.now), _holder(change)
        if change.kind in ("token", "tokens"):
            return self._denial(change)
        match change.kind:
            case "root":
                return root_event(), EVERYONE
            case "keys":
                return KeySetChanged(keys=[_entry(entry) for entry in change.what]), EVERYONE
            case "everyone":
                return IssuerCutoff(), EVERYONE
            case "permission":
                return PermissionRevoked(permission=change.who), EVERYONE
            case "narrow":
                return TokenClaimsChange(claims=RemainingClaims(permissions=list(change.what))), _user(change.who)
        raise AssertionError(change.kind)

    def _denial(self, change: Change) -> tuple[Event, SubjectIdentifier]:
        exp = int(change.what[0])
        if change.kind == "token":
            return TokenRevoked(exp=exp), JwtId(iss=ISSUER, jti=change.who)
        return TokensRevoked(tokens=[(change.who, exp), (self.new_id(), exp)]), EVERYONE

    def relay(self, crash_after: int | None = None) -> None:
        """Sequence, send what is not marked as sent, mark it.

        Args:
            crash_after: crash after this many steps, the sequencing being the first and each record one.
        """
        self.sequence()
        for count, raw in enumerate(self.feed[self.marked :], start=1):
            if crash_after is not None and count > crash_after:
                break
            self.send(raw)
        if crash_after is not None:
            self.up = False
            return
        self.marked = len(self.feed)

    def send(self, raw: bytes) -> None:
        """Send one record."""
        self.truth.sent.append(raw)
        self._send(raw, True)

    def beat(self, meanwhile: Callable[[], Any] | None = None) -> bytes:
        """Read the clock, then the committed head, then sign and send.

        Args:
            meanwhile: what happens between the two readings.
        """
        iat = self.now
        if meanwhile is not None:
            meanwhile()
        self.sequence()
        raw = sign_heartbeat(key(f"feed {self.epoch}"), iss=ISSUER, iat=iat, jti=self.new_id(), head=self.head)
        self.truth.beats[raw] = Beat(iat, self.head, self.time.now)
        self.truth.slip = max(self.truth.slip, self.clock.error)
        self.beats.append(raw)
        self._send(raw, False)
        return raw

    # --- tokens ---

    @property
    def signer(self) -> int:
        """The key that signs tokens; 0 for none."""
        return self._signer if self.states.get(self._signer) in ("active", "deactivated") else 0

    def note(self, token: Minted) -> None:
        """Remember a token that was handed out."""
        self._last_exp[token.key] = max(self._last_exp.get(token.key, 0), token.exp)


def _user(sub: str) -> IssSub:
    return IssSub(iss=ISSUER, sub=sub)


def _holder(change: Change) -> SubjectIdentifier:
    if change.kind == "session":
        return Complex(user=_user("alice"), session=Opaque(id=change.who))
    return Complex(application=Opaque(id=change.who)) if change.kind == "client" else _user(change.who)


def _entry(text: str) -> PublishedKey:
    number, _, state = text.partition(":")
    return published_key(f"token {number}", cast("KeyState", state))

"""The trust core: bytes in, verified state or a typed refusal out. No clock, no sockets, no files.

The rules, in words:

1. Signature, ``typ``, key and limits first; only then is anything remembered.
2. ``seq`` must be the next one and ``prev`` must match. The same bytes again: a duplicate. Other bytes for a known
   position: equivocation; both are kept as evidence, the alarm is raised, the verifier stops being fresh.
3. A gap is held open within bounds and then read again. Nothing is ever skipped.
4. Nothing is ever un-revoked. An entry leaves when every token it could meet has expired.
5. Good state is never replaced by the result of a failure.
6. A signed record that is not understood: ``must_understand`` ends freshness; otherwise it is skipped and counted. No
   bytes, however odd, raise.
7. Kafka's offsets, timestamps, keys and headers are not even handed in.

Root documents, heartbeats and snapshots have rules of their own: ``roots``, ``freshness``, ``snapshot``.
"""

from collections import Counter
from collections.abc import Callable

from ostraka_consumers.errors import Expired, NotReady, NotYetValid, Revoked, Stale
from ostraka_schemas.errors import MalformedError
from ostraka_schemas.events import RootPublished
from ostraka_schemas.limits import CLOCK_TOLERANCE, SNAPSHOT_PART_MAX_BYTES
from ostraka_schemas.records import Head, Heartbeat, Position, Record, record_hash
from ostraka_schemas.root import RootDocument
from ostraka_schemas.snapshots import SnapshotPart

from . import snapshot
from .alarms import DOUBTS, Alarm
from .anchored import Anchor
from .authentic import authenticate
from .chain import Chain, Evidence, Place, Signed
from .cutoffs import ISSUER
from .effects import TrustState
from .freshness import Freshness, Statement, Vouching, forgets, newest
from .instant import Instant
from .keyset import KeySet
from .receipt import Kind, Outcome, Receipt, Taken
from .refused import Refused
from .roots import MARK, Roots, Verified
from .tokens import GenuineToken

_NO_KEYS = KeySet()


class TrustCore:
    """The verified state of one issuer's feed, and the questions a decision asks of it.

    Args:
        anchor: whom to believe.
        max_staleness: seconds without news after which nothing is accepted; never more than the root document allows.
        keep: told of whatever took effect, in that order and at once; it must not raise.
    """

    def __init__(
        self, anchor: Anchor, *, max_staleness: float | None = None, keep: Callable[[Taken], None] | None = None
    ) -> None:
        self.anchor = anchor
        self.counters: Counter[str] = Counter()
        self.alarms: set[Alarm] = set()
        self._wanted_staleness = max_staleness
        self._keep = keep
        self._reached_before: Position | None = None
        self._roots = Roots(anchor)
        self._chain: Chain | None = None
        self._state: TrustState | None = None
        self._vouching = Vouching()
        self._gathering: snapshot.Gathering | None = None
        self._too_far: Position | None = None
        self._betrayed: tuple[Position, int] | None = None
        self._last_heartbeat: tuple[bytes, Statement] | None = None

    # --- what comes in -----------------------------------------------------------------------------------------------

    def receive(self, raw: bytes, at: Instant) -> Receipt:
        """Take whatever a source found: a record, a heartbeat, a part of a snapshot, a root document, or anything else.

        Never raises; what becomes of it is in the receipt and in ``counters``.
        """
        try:
            receipt = self._receive(raw, at)
        except Refused as refused:
            receipt = Receipt(Outcome.REFUSED, refused.reason)
        name = receipt.outcome.value if receipt.reason is None else f"{receipt.outcome.value}.{receipt.reason}"
        self.counters[name] += 1
        return receipt

    def _receive(self, raw: bytes, at: Instant) -> Receipt:
        # Before anything reads them whole: whoever can write to the bus decides how many there are.
        kind: object = type(raw)
        if kind is not bytes or len(raw) > SNAPSHOT_PART_MAX_BYTES:
            raise Refused("malformed")
        if raw.startswith(MARK):
            return self._take_root(raw, self._vouching.now(at))
        hash_ = record_hash(raw)
        known = self._known(hash_)
        if known is not None:
            return known
        now = self._vouching.now(at)
        authentic = authenticate(raw, roots=self._roots, issuer=self.anchor.issuer, now=now)
        if authentic.brings is not None:
            self._learn(authentic.brings, now)
        chain, state = self._chain, self._state
        if chain is None or state is None:
            raise Refused("no_root_yet")
        match authentic.content:
            case Heartbeat() as heartbeat:
                return self._take_heartbeat(Statement(heartbeat, raw), chain, state, at)
            case SnapshotPart() as part:
                return self._take_part(part, raw, chain, state, now)
            case Record() as record:
                return self._take_record(Signed(record, raw, hash_), chain, state, now)

    def _known(self, hash_: bytes) -> Receipt | None:
        last = self._last_heartbeat
        if last is not None and last[0] == hash_:
            heartbeat = last[1].heartbeat
            return Receipt(Outcome.DUPLICATE, position=heartbeat.head.position, heard=heartbeat.iat)
        passed = None if self._chain is None else self._chain.passed(hash_)
        return None if passed is None else Receipt(Outcome.DUPLICATE, position=passed)

    # --- root documents ----------------------------------------------------------------------------------------------

    def _take_root(self, raw: bytes, now: float) -> Receipt:
        verified = self._roots.read(raw)
        if verified is None:
            return Receipt(Outcome.DUPLICATE, "older_root")
        self._learn(verified, now)
        return Receipt(Outcome.ROOT)

    def _learn(self, verified: Verified, now: float) -> None:
        """Take a document that follows the newest: at once if it opens an epoch, else to wait for its place."""
        if self._chain is not None and verified.document.epoch == self._chain.epoch:
            self._roots.hold(verified, now)
        else:
            self._open_epoch(verified)
        self._kept(Kind.ROOT, (verified.raw,))

    def _open_epoch(self, verified: Verified) -> None:
        self._roots.enter(verified)
        epoch = verified.document.epoch
        self._chain = Chain(epoch, evidence=[] if self._chain is None else self._chain.evidence)
        self._state = TrustState(verified.document)
        self._vouching.begin_epoch()
        self._gathering = None
        self._too_far = self._betrayed = self._last_heartbeat = None
        self.alarms -= DOUBTS

    def _enter(self, verified: Verified, state: TrustState) -> None:
        """Let a document of the same epoch come into force: its turn has come."""
        newest = self._roots.newest
        if newest is None or verified.document.version > newest.version:
            self._kept(Kind.ROOT, (verified.raw,))
        self._roots.enter(verified)
        state.limit_by(verified.document)

    def _take_brought(self, record: Record, state: TrustState) -> None:
        """Let the root document that a record brings come into force, now that its turn has come."""
        if not isinstance(record.event, RootPublished):
            return
        try:
            verified = self._roots.due(record.event)
        except Refused:
            self._raise(Alarm.ROOT_REFUSED)
            return
        if verified is None:
            return
        if verified.document.epoch != record.position.epoch:
            self._raise(Alarm.ROOT_REFUSED)  # it has to open that epoch, not to stand in this one
        else:
            self._enter(verified, state)

    # --- heartbeats --------------------------------------------------------------------------------------------------

    def _take_heartbeat(self, statement: Statement, chain: Chain, state: TrustState, at: Instant) -> Receipt:
        heartbeat = statement.heartbeat
        position, iat = heartbeat.head.position, heartbeat.iat
        if self._vouching.is_ahead_of_time(heartbeat, at):
            self.alarms.add(Alarm.CLOCK)
            raise Refused("from_the_future")
        if chain.contradicts(heartbeat.head, statement.raw, self._vouching.ahead):
            return self._equivocation()
        if not self._vouching.is_news(heartbeat):
            self._compare_clocks(heartbeat, at)
            return Receipt(Outcome.DUPLICATE, "older_heartbeat", position=position, heard=iat)
        if not chain.can_compare(position):
            raise Refused("head_too_old")
        if forgets(heartbeat, chain.head, state.latest_iat):
            self.alarms.add(Alarm.ROLLED_BACK)
            raise Refused("forgets_records")
        self._last_heartbeat = record_hash(statement.raw), statement
        self._vouching.hear(statement, chain.head, at)
        self._compare_clocks(heartbeat, at)
        if self._betrayed is not None and self._vouching.heard_at > self._betrayed[1] + CLOCK_TOLERANCE:
            self._betrayed = None  # the heartbeat is younger than that token and knows better
        applied = self._take_snapshot(chain, state, self._vouching.now(at))
        state.forget(iat)
        return Receipt(Outcome.HEARTBEAT, applied=applied, position=position, heard=iat)

    def _compare_clocks(self, heartbeat: Heartbeat, at: Instant) -> None:
        if self._vouching.clocks_differ(heartbeat, at):
            self.alarms.add(Alarm.CLOCK)

    # --- records -----------------------------------------------------------------------------------------------------

    def _take_record(self, signed: Signed, chain: Chain, state: TrustState, now: float) -> Receipt:
        position = signed.record.position
        match chain.place(signed):
            case Place.PASSED:
                return Receipt(Outcome.DUPLICATE, position=position)
            case Place.AHEAD:
                return Receipt(Outcome.HELD, position=position)
            case Place.TOO_FAR:
                self._too_far = newest(self._too_far, position)
                return Receipt(Outcome.REFUSED, "too_far_ahead", position=position)
            case Place.CONFLICT:
                return self._equivocation()
            case Place.NEXT:
                first = self._apply(signed, chain, state, now)
                return Receipt(Outcome.APPLIED, applied=(first, *self._go_on(chain, state, now)), position=position)

    def _go_on(self, chain: Chain, state: TrustState, now: float) -> tuple[Record, ...]:
        """Apply what was held and whose turn has come; then see whether a heartbeat vouches for it."""
        applied = []
        for held in chain.held_in_turn():
            if chain.place(held) is not Place.NEXT:
                self._equivocation()
                break
            applied.append(self._apply(held, chain, state, now))
        said = self._vouching.reached(chain.head)
        if said is not None:
            if chain.contradicts(said.heartbeat.head, said.raw):
                self._equivocation()
            else:
                self._vouching.vouch(said.heartbeat.iat)
        return tuple(applied)

    def _apply(self, signed: Signed, chain: Chain, state: TrustState, now: float) -> Record:
        chain.advance(signed)
        skipped = state.skipped
        alarm = state.apply(signed.record, now)
        self.counters["skipped"] += state.skipped - skipped
        if alarm is not None:
            self._raise(alarm)
        self._kept(Kind.RECORD, (signed.raw,), signed.record.position)
        self._take_brought(signed.record, state)
        self.counters["records"] += 1
        return signed.record

    def _equivocation(self) -> Receipt:
        self._raise(Alarm.EQUIVOCATION)
        return Receipt(Outcome.EQUIVOCATION)

    def _raise(self, alarm: Alarm) -> None:
        self.alarms.add(alarm)
        if alarm in DOUBTS:
            self._vouching.doubted = True

    def _kept(self, kind: Kind, raws: tuple[bytes, ...], position: Position | None = None) -> None:
        if self._keep is not None:
            self._keep(Taken(kind, raws, position))

    # --- snapshots ---------------------------------------------------------------------------------------------------

    def _take_part(self, part: SnapshotPart, raw: bytes, chain: Chain, state: TrustState, now: float) -> Receipt:
        position = part.head.position
        if chain.contradicts(part.head, raw, self._vouching.ahead):
            return self._equivocation()
        if chain.head is not None and position <= chain.head.position:
            return Receipt(Outcome.DUPLICATE, "snapshot_not_needed", position=position)
        if part.root_version > self.root_version:
            raise Refused("root_missing")
        name = snapshot.name_of(part)
        if self._gathering is None or name > self._gathering.name:
            self._gathering = snapshot.Gathering(part, state.denied.span, keep=self._keep is not None)
        if name != self._gathering.name:
            return Receipt(Outcome.DUPLICATE, "older_snapshot", position=position)
        try:
            if not self._gathering.add(part, raw):
                return Receipt(Outcome.DUPLICATE, position=position)
        except MalformedError:
            raise Refused("malformed") from None
        if self._gathering.is_whole:
            chain.expect(part.head)
        return Receipt(Outcome.SNAPSHOT, applied=self._take_snapshot(chain, state, now), position=position)

    def _take_snapshot(self, chain: Chain, state: TrustState, now: float) -> tuple[Record, ...]:
        """Jump to the snapshot that was gathered, if its time has come. Returns the records that went on from it."""
        gathered = self._gathering
        if gathered is None or not gathered.is_whole:
            return ()
        position = gathered.head.position
        if chain.head is not None and position <= chain.head.position:
            self._gathering = None  # the records were faster
            return ()
        if self._vouching.heard_of < position:
            return ()
        self._gathering = None
        for verified in self._roots.waiting_until(gathered.root_version):
            self._enter(verified, state)
        alarm = snapshot.take(gathered, state, now)
        if alarm is not None:
            self._raise(alarm)
        if not chain.jump(gathered.head):
            self._equivocation()
        self.counters["snapshots"] += 1
        if self._last_heartbeat is not None:
            self._kept(Kind.SNAPSHOT, (*gathered.raws, self._last_heartbeat[1].raw), position)
        return self._go_on(chain, state, now)

    # --- a start from a copy -----------------------------------------------------------------------------------------

    def resume(self, reached: Position | None) -> None:
        """Go on after what a copy held: no heartbeat of it vouches for anything, whatever the clock says of its age.

        What it showed of the time stays, as do alarms and doubts.

        Args:
            reached: how far the feed was applied before; must be reached again before anything is decided.
        """
        self._reached_before = newest(self._reached_before, reached)
        self._vouching.listen_anew()
        self._last_heartbeat = None

    # --- what is known -----------------------------------------------------------------------------------------------

    @property
    def keys(self) -> KeySet:
        """The key set in force; empty before there is one."""
        return _NO_KEYS if self._state is None else self._state.keys

    @property
    def state(self) -> TrustState | None:
        """What tokens are judged by; ``None`` before the root document."""
        return self._state

    @property
    def head(self) -> Head | None:
        """How far the feed is applied."""
        return None if self._chain is None else self._chain.head

    @property
    def known_head(self) -> Position | None:
        """The furthest position that a heartbeat, a held record or a token has shown to exist."""
        chain, ahead = self._chain, self._vouching.ahead
        return newest(
            chain.head.position if chain is not None and chain.head else None,
            ahead.heartbeat.head.position if ahead else None,
            chain.furthest if chain is not None else None,
            self._too_far,
            self._betrayed[0] if self._betrayed else None,
        )

    @property
    def root_version(self) -> int:
        """Version of the newest root document that was verified, in force or waiting for its place; 0 for none."""
        return 0 if self._roots.newest is None else self._roots.newest.version

    @property
    def root_in_force(self) -> RootDocument | None:
        """The root document that bounds what is said now; ``None`` before the first."""
        return self._roots.in_force

    @property
    def doubted(self) -> bool:
        """Whether something was found after which no heartbeat can vouch any more; a new epoch settles it."""
        return self._vouching.doubted

    @property
    def behind(self) -> bool:
        """Whether records are known to exist that are not applied."""
        head, known = self.head, self.known_head
        return self._roots.are_waiting or (known is not None and (head is None or known > head.position))

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """Both sides of each equivocation."""
        return () if self._chain is None else tuple(self._chain.evidence)

    @property
    def max_staleness(self) -> float:
        """Seconds without news after which nothing is accepted."""
        root = self._roots.in_force
        if root is None:
            return 0.0
        allowed = float(root.limits.max_staleness)
        return allowed if self._wanted_staleness is None else min(allowed, self._wanted_staleness)

    def now(self, at: Instant) -> float:
        """The time to judge by, in seconds since the epoch: the wall clock, but never before the signed time."""
        return self._vouching.now(at)

    def age(self, at: Instant) -> float | None:
        """Seconds since the newest moment that a heartbeat vouches for; ``None`` before the first."""
        return self._vouching.age(self.now(at))

    def freshness(self, at: Instant) -> Freshness:
        """How much can be vouched for."""
        return self._vouching.state(self.now(at), max_staleness=self.max_staleness, behind=self.behind)

    def why_not_ready(self, at: Instant) -> str | None:
        """What is still missing before anything can be decided; ``None`` when nothing is."""
        head = self.head
        if self._roots.in_force is None or head is None:
            return "no record of the feed leads back to the trust anchor yet"
        if not len(self.keys):
            return f"no key set up to position {head.position}"
        if head.position < self.anchor.minimum:
            return f"the feed ends at {head.position}, the trust anchor asks for at least {self.anchor.minimum}"
        if self._reached_before is not None and head.position < self._reached_before:
            return f"the feed ends at {head.position}, but the state directory says it was at {self._reached_before}"
        if self._vouching.vouched_at is None:
            known = self.known_head
            if known is not None and known > head.position:
                return f"applied up to {head.position}, the feed is at {known}"
            return f"applied up to {head.position}, but no heartbeat vouches for it yet"
        if not self._is_young(self.age(at), self.max_staleness):
            return f"applied up to {head.position}, but the newest heartbeat is too old, or this clock is fast"
        return None

    # --- what is asked about a token that is genuine -----------------------------------------------------------------

    def holds_key_of(self, token: GenuineToken) -> bool:
        """Whether the key that signed it is in force as it was then. If not, the token must be read anew."""
        return self.keys.get(token.trusted.key.kid) is token.trusted

    def check_times(self, token: GenuineToken, now: float) -> None:
        """Whether its time has come and has not passed (RFC 7519 §4.1.4 to §4.1.6).

        Raises:
            Expired, NotYetValid
            Stale: it should have ended by what the issuer's clock once said, and what was revoked then is forgotten.
        """
        self.check_end(token, now)
        claims = token.claims
        if max(claims.iat, claims.nbf or 0) > now + CLOCK_TOLERANCE:
            raise NotYetValid("the token's time has not come: one of the clocks is wrong")

    def check_end(self, token: GenuineToken, now: float) -> None:
        """Whether its time has not passed, by the clock or by what the issuer's clock once said.

        Raises:
            Expired
            Stale: what was revoked then is forgotten.
        """
        exp, state = token.claims.exp, self._state
        if now >= exp:
            raise Expired(f"the token ended {now - exp:.0f} s ago")
        if state is not None and exp < state.forgotten_until:
            raise Stale("the issuer's clock was ahead for a while, and revocations that old are forgotten")

    def check_revocation(self, token: GenuineToken) -> None:
        """Deny list, then the latest of all cut-offs that apply.

        Raises:
            NotReady, Revoked
            Stale: the token is of a later epoch than is known here, so its keys and revocations are unknown, too.
        """
        state = self._state
        if state is None:
            raise NotReady("no feed yet")
        fv = token.minted.fv
        if fv is not None and fv.epoch > state.root.epoch:
            raise Stale(
                f"the token was minted in epoch {fv.epoch}, and the feed is known here up to {state.root.epoch}"
            )
        if token.number in state.denied:
            raise Revoked("the token is on the deny list")
        hit = state.cutoffs.hit(token.minted, token.holders)
        if hit is not None:
            raise Revoked("every older token is cut off" if hit == ISSUER else f"the {hit.level} is cut off")

    def check_staleness(self, now: float, limit: float) -> None:
        """Whether enough is known to accept anything.

        Args:
            limit: seconds without news that the caller bears; the verifier's own bound holds as well.

        Raises:
            Stale
        """
        bound = min(limit, self.max_staleness)
        if not self._is_young(self._vouching.age(now), bound):
            raise Stale(f"no news from the feed for more than {bound:.0f} s")

    @staticmethod
    def _is_young(age: float | None, bound: float) -> bool:
        # Asked this way round, so that a bound that is no number is never met.
        return age is not None and age <= bound

    def allows(self, token: GenuineToken, permission: str) -> bool:
        """Whether what happened after the token was minted still leaves it ``permission``.

        A token whose revocations may be forgotten has ended, and leaves nothing: a grant may be held for longer.
        """
        state = self._state
        if state is None or token.claims.exp < state.forgotten_until:
            return False
        return state.narrowings.allow(permission, token.minted, token.holders)

    def note_position(self, token: GenuineToken, now: float) -> None:
        """A token minted further on than the feed is applied betrays that records are missing.

        It is believed until a heartbeat speaks of a later time, so a token that lies does so for seconds only; one that
        claims to come from the future is not believed at all.
        """
        fv, head, iat = token.minted.fv, self.head, token.minted.iat
        if fv is None or head is None or fv <= head.position or iat > now + CLOCK_TOLERANCE:
            return
        if self._vouching.heard_at <= iat + CLOCK_TOLERANCE and (self._betrayed is None or fv > self._betrayed[0]):
            self._betrayed = fv, iat

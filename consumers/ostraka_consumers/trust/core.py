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
"""

from collections import Counter

from ostraka_consumers.errors import Expired, NotReady, NotYetValid, Revoked, Stale
from ostraka_schemas.limits import CLOCK_TOLERANCE, RECORD_MAX_BYTES
from ostraka_schemas.records import Head, Heartbeat, Position, Record, record_hash

from .alarms import DOUBTS, Alarm
from .anchored import Anchor
from .authentic import FeedKeys, Refused, first_root
from .chain import Chain, Evidence, Place, Signed
from .cutoffs import ISSUER
from .effects import TrustState
from .freshness import Freshness, Statement, Vouching, newest
from .instant import Instant
from .keyset import KeySet
from .receipt import Outcome, Receipt
from .tokens import GenuineToken

_NO_KEYS = KeySet()


class TrustCore:
    """The verified state of one issuer's feed, and the questions a decision asks of it.

    Args:
        anchor: whom to believe.
        max_staleness: seconds without news after which nothing is accepted; never more than the root document allows.
    """

    def __init__(self, anchor: Anchor, *, max_staleness: float | None = None) -> None:
        self.anchor = anchor
        self.counters: Counter[str] = Counter()
        self.alarms: set[Alarm] = set()
        self._wanted_staleness = max_staleness
        self._feed_keys: FeedKeys | None = None
        self._chain: Chain | None = None
        self._state: TrustState | None = None
        self._vouching = Vouching()
        self._too_far: Position | None = None
        self._betrayed: tuple[Position, int] | None = None
        self._last_heartbeat: bytes | None = None

    # --- what comes in -----------------------------------------------------------------------------------------------

    def receive(self, raw: bytes, at: Instant) -> Receipt:
        """Take whatever a source found. Never raises; what becomes of it is in the receipt and in ``counters``."""
        receipt = self._receive(raw, at)
        name = receipt.outcome.value if receipt.reason is None else f"{receipt.outcome.value}.{receipt.reason}"
        self.counters[name] += 1
        return receipt

    def _receive(self, raw: bytes, at: Instant) -> Receipt:
        # Before anything reads them whole: whoever can write to the bus decides how many there are.
        kind: object = type(raw)
        if kind is not bytes or len(raw) > RECORD_MAX_BYTES:
            return Receipt(Outcome.REFUSED, "malformed")
        hash_ = record_hash(raw)
        if hash_ == self._last_heartbeat or (self._chain is not None and self._chain.has_passed(hash_)):
            return Receipt(Outcome.DUPLICATE)
        now = self._vouching.now(at)
        try:
            keys = self._feed_keys or first_root(raw, anchor=self.anchor, now=now)
            content = keys.authenticate(raw, issuer=self.anchor.issuer, now=now)
        except Refused as refused:
            return Receipt(Outcome.REFUSED, refused.reason)
        chain = self._adopt(keys)
        if isinstance(content, Heartbeat):
            return self._take_heartbeat(content, raw, chain, at)
        return self._take_record(Signed(content, raw, hash_), chain, now)

    def _adopt(self, keys: FeedKeys) -> Chain:
        if self._chain is None:
            self._feed_keys, self._chain, self._state = keys, Chain(keys.root.epoch), TrustState(keys.root)
        return self._chain

    def _take_heartbeat(self, heartbeat: Heartbeat, raw: bytes, chain: Chain, at: Instant) -> Receipt:
        if self._vouching.is_ahead_of_time(heartbeat, at):
            self.alarms.add(Alarm.CLOCK)
            return Receipt(Outcome.REFUSED, "from_the_future")
        ahead = self._vouching.ahead
        if chain.contradicts(heartbeat.head, raw, ahead):
            return self._equivocation()
        if not self._vouching.is_news(heartbeat):
            return Receipt(Outcome.DUPLICATE, "older_heartbeat")
        if not chain.can_compare(heartbeat.head.position):
            return Receipt(Outcome.REFUSED, "head_too_old")
        self._last_heartbeat = record_hash(raw)
        self._vouching.hear(Statement(heartbeat, raw), chain.head, at)
        if self._betrayed is not None and self._vouching.heard_at > self._betrayed[1] + CLOCK_TOLERANCE:
            self._betrayed = None  # the heartbeat is younger than that token and knows better
        if self._state is not None:
            self._state.forget(heartbeat.iat)
        return Receipt(Outcome.HEARTBEAT)

    def _take_record(self, signed: Signed, chain: Chain, now: float) -> Receipt:
        match chain.place(signed):
            case Place.PASSED:
                return Receipt(Outcome.DUPLICATE)
            case Place.AHEAD:
                return Receipt(Outcome.HELD)
            case Place.TOO_FAR:
                self._too_far = newest(self._too_far, signed.record.position)
                return Receipt(Outcome.REFUSED, "too_far_ahead")
            case Place.CONFLICT:
                return self._equivocation()
            case Place.NEXT:
                return self._apply_from(signed, chain, now)

    def _apply_from(self, signed: Signed, chain: Chain, now: float) -> Receipt:
        applied = [self._apply(signed, chain, now)]
        for held in chain.held_in_turn():
            if chain.place(held) is not Place.NEXT:
                self._equivocation()
                break
            applied.append(self._apply(held, chain, now))
        said = self._vouching.reached(chain.head)
        if said is not None:
            if chain.contradicts(said.heartbeat.head, said.raw):
                self._equivocation()
            else:
                self._vouching.vouch(said.heartbeat.iat)
        return Receipt(Outcome.APPLIED, applied=tuple(applied))

    def _apply(self, signed: Signed, chain: Chain, now: float) -> Record:
        chain.advance(signed)
        alarm = None if self._state is None else self._state.apply(signed.record, now)
        if alarm is not None:
            self._raise(alarm)
        self.counters["records"] += 1
        return signed.record

    def _equivocation(self) -> Receipt:
        self._raise(Alarm.EQUIVOCATION)
        return Receipt(Outcome.EQUIVOCATION)

    def _raise(self, alarm: Alarm) -> None:
        self.alarms.add(alarm)
        if alarm in DOUBTS:
            self._vouching.doubted = True

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
    def behind(self) -> bool:
        """Whether records are known to exist that are not applied."""
        head, known = self.head, self.known_head
        return known is not None and (head is None or known > head.position)

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """Both sides of each equivocation."""
        return () if self._chain is None else tuple(self._chain.evidence)

    @property
    def max_staleness(self) -> float:
        """Seconds without news after which nothing is accepted."""
        if self._feed_keys is None:
            return 0.0
        allowed = float(self._feed_keys.root.limits.max_staleness)
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
        if self._feed_keys is None or head is None:
            return "no record of the feed leads back to the trust anchor yet"
        if not len(self.keys):
            return f"no key set up to position {head.position}"
        if head.position < self.anchor.minimum:
            return f"the feed ends at {head.position}, the trust anchor asks for at least {self.anchor.minimum}"
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
        """
        claims = token.claims
        if now >= claims.exp:
            raise Expired(f"the token ended {now - claims.exp:.0f} s ago")
        if max(claims.iat, claims.nbf or 0) > now + CLOCK_TOLERANCE:
            raise NotYetValid("the token's time has not come: one of the clocks is wrong")

    def check_revocation(self, token: GenuineToken) -> None:
        """Deny list, then the latest of all cut-offs that apply.

        Raises:
            NotReady, Revoked
        """
        state = self._state
        if state is None:
            raise NotReady("no feed yet")
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

    def note_position(self, token: GenuineToken) -> None:
        """A token minted further on than the feed is applied betrays that records are missing.

        It is believed until a heartbeat speaks of a later time, so a token that lies does so for seconds only.
        """
        fv, head, iat = token.minted.fv, self.head, token.minted.iat
        if fv is None or head is None or fv.epoch != head.position.epoch or fv <= head.position:
            return
        if self._vouching.heard_at <= iat + CLOCK_TOLERANCE and (self._betrayed is None or fv > self._betrayed[0]):
            self._betrayed = fv, iat

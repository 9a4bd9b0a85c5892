"""An issuer with a database that survives, and a process that does not.

A change is committed, later given its place and signed in one transaction, later sent, later marked as sent. A crash
may come between any two of these; after it the stored bytes are sent again from the last mark.
"""

from collections.abc import Callable
from typing import Any, Final

from ostraka_consumers import TrustAnchor
from ostraka_consumers.trust.core import TrustCore
from ostraka_consumers.trust.snapshot import contents_of
from ostraka_schemas.events import KeyState
from ostraka_schemas.records import GENESIS, Head, Position, record_hash, sign_heartbeat, sign_record
from ostraka_schemas.snapshots import cut, sign_part

from . import roots
from .clock import START, MachineClock, Time
from .names import ISSUER, identifier, key
from .roots import Root
from .truth import Beat, Change, Minted, Part, Truth
from .wording import event_of

KEYS_FROM: Final = int(START) - 60
"""``nbf`` of every token key."""
KEYS_MAX: Final = 4
"""Keys in a key set."""
LEAD: Final = 70.0
"""Seconds a key is announced before it signs: longer than any verifier decides without news."""
ANCHOR: Final = TrustAnchor(ISSUER, roots.ANCHORED)


class Issuer:
    """Commits, sequences, sends, beats; crashes and starts again.

    Attributes:
        feed: every record, over all epochs.
        beats: every heartbeat.
        roots: every root document that is in the feed.
        parts: the newest snapshot.

    Args:
        send: takes what leaves the issuer, and whether it is a heartbeat.
    """

    def __init__(self, time: Time, clock: MachineClock, truth: Truth, send: Callable[[bytes, bool], None]) -> None:
        self.time, self.clock, self.truth = time, clock, truth
        self.up = True
        self.feed: list[bytes] = []
        self.beats: list[bytes] = []
        self.roots: list[Root] = []
        self.parts: list[bytes] = []
        self.marked = 0
        self.states: dict[int, KeyState] = {1: "active"}
        self._begins = 0
        self._signer = 0
        self._announced: dict[int, float] = {}
        self._last_exp: dict[int, int] = {}
        self._waiting: list[Change] = []
        self._planned = roots.FIRST
        self._copy: tuple[TrustCore, int] | None = None
        self._ids = 0
        self._send = send
        self._commit_root()

    @property
    def now(self) -> int:
        """Whole seconds of its wall clock."""
        return int(self.clock.now().wall)

    @property
    def root(self) -> Root:
        """The root document in force."""
        return self.roots[-1]

    @property
    def head(self) -> Head:
        """The newest record in its database."""
        return Head(Position(self.root.epoch, len(self.feed) - self._begins), record_hash(self.feed[-1]))

    def new_id(self) -> str:
        """An id that nobody else has."""
        self._ids += 1
        return identifier(self._ids)

    def after(self, position: Position | None) -> list[bytes]:
        """The records after a position."""
        places = [self.truth.records[raw].position for raw in self.feed]
        return [
            raw
            for raw, place in zip(self.feed, places, strict=True)
            if position is None or (place is not None and place > position)
        ]

    # --- changes ---

    def commit(self, kind: str, who: str = "", what: tuple[str, ...] = ()) -> Change:
        """Write a change into the database; it has no place in the feed yet."""
        change = Change(kind, who, what, self.time.now)
        self.truth.changes.append(change)
        self._waiting.append(change)
        return change

    def _commit_keys(self) -> Change:
        return self.commit("keys", what=tuple(f"{number}:{state}" for number, state in self.states.items()))

    def _commit_root(self) -> Change:
        change = self.commit("root", f"version {self._planned.version}, epoch {self._planned.epoch}")
        change.root = self._planned
        opens = not self.roots or self._planned.epoch != self.root.epoch
        if opens:
            self._commit_keys()  # a new epoch begins without any
        return change

    def change_root(self, *, epoch: bool, root_key: bool, feed_key: bool, both: bool = False) -> Change | None:
        """Commit the next root document, if the one before has its place.

        Args:
            epoch: open a new epoch, with a new feed key.
            root_key: replace the oldest root key.
            feed_key: replace the feed key.
            both: let the former feed key be named beside the new one.
        """
        if not self.roots or self._planned != self.root:
            return None
        before = self._planned
        new = max(before.feed) + 1
        feed = (new,) if epoch else (*(before.feed[-1:] if both else ()), new) if feed_key else before.feed
        self._planned = Root(before.version + 1, before.epoch + epoch, before.first + root_key, feed)
        return self._commit_root()

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

    def sequence(self) -> None:
        """Give every waiting change its place, and sign it: one transaction."""
        for change in self._waiting:
            if change.root is not None:
                self._take_root(change.root)
            seq = len(self.feed) - self._begins + 1
            change.position = Position(self.root.epoch, seq)
            event, subject = event_of(change, self.now, self.new_id)
            change.raw = sign_record(
                key(self.root.feed_name),
                iss=ISSUER,
                iat=self.now,
                jti=self.new_id(),
                txn="t",
                position=change.position,
                prev=GENESIS if seq == 1 else record_hash(self.feed[-1]),
                subject=subject,
                event=event,
            )
            self.truth.add(change, self.root)
            self.feed.append(change.raw)
            if change.kind == "keys":
                self._announce(change)
        self._waiting.clear()

    def _take_root(self, root: Root) -> None:
        if self.roots and root.epoch != self.root.epoch:
            self._begins, self._signer, self._copy = len(self.feed), 0, None
        self.roots.append(root)
        self.truth.roots[roots.travelling(root)] = root

    def _announce(self, change: Change) -> None:
        self._signer = 0
        for entry in change.what:
            number, _, state = entry.partition(":")
            self._announced.setdefault(int(number), self.time.now)
            if state == "active":
                self._signer = int(number)

    def relay(self, crash_after: int | None = None) -> None:
        """Sequence, send what is not marked as sent, mark it.

        Args:
            crash_after: crash after this many records were sent; the sequencing is done, the marks are not.
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
        self._send(raw, False)

    def beat(self, meanwhile: Callable[[], Any] | None = None) -> None:
        """Read the clock, then the committed head, then sign and send.

        Args:
            meanwhile: what happens between the two readings.
        """
        iat = self.now
        if meanwhile is not None:
            meanwhile()
        self.sequence()
        raw = sign_heartbeat(key(self.root.feed_name), iss=ISSUER, iat=iat, jti=self.new_id(), head=self.head)
        self.truth.beats[raw] = Beat(iat, self.head, self.time.now, self.root.feed[-1])
        self.truth.slip = max(self.truth.slip, self.clock.error)
        self.beats.append(raw)
        self._send(raw, True)

    def snapshot(self) -> None:
        """Sign the whole state at the head, in parts, as a reader of the own feed knows it; and send it."""
        if not self.feed:
            return
        core, read = self._copy or (TrustCore(ANCHOR), 0)
        at = self.clock.now()
        for root in self.roots[core.root_version :]:
            if root.epoch < self.root.epoch:
                core.receive(roots.travelling(root), at)
        for raw in self.feed[max(read, self._begins) :]:
            core.receive(raw, at)
        if self.beats:
            core.receive(self.beats[-1], at)
        self._copy = core, len(self.feed)
        if core.head != self.head or core.state is None:
            return
        shares, iat, signer = list(cut(contents_of(core.state))), self.now, key(self.root.feed_name)
        self.parts = []
        for number, share in enumerate(shares, start=1):
            raw = sign_part(
                signer,
                iss=ISSUER,
                iat=iat,
                jti=self.new_id(),
                head=self.head,
                root_version=self.root.version,
                part=number,
                parts=len(shares),
                state=share,
            )
            self.truth.parts[raw] = Part(iat, self.head, number, len(shares), self.root.feed[-1], self.root.version)
            self.parts.append(raw)
            self._send(raw, False)

    # --- tokens ---

    @property
    def signer(self) -> int:
        """The key that signs tokens; 0 for none."""
        return self._signer if self.states.get(self._signer) in ("active", "deactivated") else 0

    def note(self, token: Minted) -> None:
        """Remember a token that was handed out."""
        self._last_exp[token.key] = max(self._last_exp.get(token.key, 0), token.exp)

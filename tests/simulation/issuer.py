"""An issuer with a database that survives, and a process that does not.

A change is committed, later given its place and signed in one transaction, later sent, later marked as sent. A crash
may come between any two of these; after it the stored bytes are sent again from the last mark.
"""

from collections.abc import Callable
from typing import Any

from ostraka_schemas.records import GENESIS, Head, Position, record_hash, sign_heartbeat, sign_record
from ostraka_schemas.snapshots import SnapshotState, cut, sign_part

from . import roots
from .clock import MachineClock, Time
from .keyring import Keyring
from .names import ISSUER, identifier, key
from .own_reader import OwnReader
from .roots import Root
from .truth import Beat, Change, Part, Truth
from .wording import event_of


class Issuer:
    """Commits, sequences, sends, beats; crashes and starts again.

    Attributes:
        feed: every record, over all epochs.
        beats: every heartbeat.
        keys: the token keys.
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
        self.keys = Keyring()
        self._begins = 0
        self._waiting: list[Change] = []
        self._planned = roots.FIRST
        self._reader = OwnReader()
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
        return self.commit("keys", what=self.keys.published)

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
        """Do what is due with the token keys."""
        return self._commit_keys() if self.keys.rotate(self.time.now, self.now) else None

    def compromise(self) -> Change | None:
        """Give up the key that signs, and go on with another at once."""
        return self._commit_keys() if self.keys.compromise() else None

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
                self.keys.announce(change.what, self.time.now)
        self._waiting.clear()

    def _take_root(self, root: Root) -> None:
        if self.roots and root.epoch != self.root.epoch:
            self._begins, self.keys.signer, self._reader = len(self.feed), 0, OwnReader()
        self.roots.append(root)
        self.truth.roots[roots.travelling(root)] = root

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
        """Sign the whole state at the head, in parts, and send it."""
        if not self.feed:
            return
        beat = self.beats[-1:]
        records = self.feed[self._begins :]
        state = self._reader.state_at(self.head, self.roots, [*records, *beat], self.clock.now())
        if state is not None:
            self._send_parts(list(cut(state)))

    def _send_parts(self, shares: list[SnapshotState]) -> None:
        iat, root = self.now, self.root
        self.parts = []
        for number, share in enumerate(shares, start=1):
            raw = sign_part(
                key(root.feed_name),
                iss=ISSUER,
                iat=iat,
                jti=self.new_id(),
                head=self.head,
                root_version=root.version,
                part=number,
                parts=len(shares),
                state=share,
            )
            self.truth.parts[raw] = Part(iat, self.head, number, len(shares), root.feed[-1], root.version)
            self.parts.append(raw)
            self._send(raw, False)

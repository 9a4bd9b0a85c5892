"""Intents become signed records, in order, under the root document in force; a root document among them changes it.

An epoch begins with the record of its root document. The second record is the key set as the feed has announced it
last: verifiers start an epoch with nothing, and no token can be verified without it.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from sqlalchemy import Connection

from ostraka_schemas import base64url
from ostraka_schemas.errors import OstrakaError
from ostraka_schemas.events import KeySetChanged, RootPublished
from ostraka_schemas.records import GENESIS, Head, Position, record_hash, sign_record

from ..store.roots import place_root
from . import intents
from .intents import WaitingIntent
from .log import StoredRecord, append
from .regime import OpenKey, Regime

_KEYS_OF: Final = ".keys"


class Batch(NamedTuple):
    """What became of some intents.

    Attributes:
        taken: how many they were.
        records: what was stored, in feed order.
        refused: those that cannot become records, and why.
        regime: what is in force after them.
    """

    taken: int
    records: Sequence[StoredRecord]
    refused: Sequence[tuple[WaitingIntent, str]]
    regime: Regime


class Scribe:
    """Signs and stores one batch, in the caller's transaction.

    Args:
        issuer: ``iss`` of every record.
        now: ``iat`` and time of storing, seconds since the epoch.
        head: what the first record follows.
        regime: under what it is signed.
        open_key: opens the key that a root document names.
    """

    def __init__(
        self, connection: Connection, *, issuer: str, now: float, head: Head | None, regime: Regime, open_key: OpenKey
    ) -> None:
        self._connection = connection
        self._issuer = issuer
        self._now = now
        self._head = head
        self._regime = regime
        self._open_key = open_key
        self._records: list[StoredRecord] = []
        self._placed: list[tuple[WaitingIntent, Position]] = []
        self._refused: list[tuple[WaitingIntent, str]] = []
        self._key_set: WaitingIntent | None = None

    def work(self, batch: Sequence[WaitingIntent]) -> Batch:
        """Make records of ``batch`` and store them."""
        for intent in batch:
            if intents.is_outdated(self._connection, intent):
                self._refused.append((intent, "a newer key set is in the feed already"))
                continue
            try:
                self._place(intent)
            except (OstrakaError, ValueError, TypeError) as error:
                self._refused.append((intent, str(error)))
        if self._records:
            append(self._connection, self._records)
            intents.place(self._connection, self._placed)
        return Batch(len(batch), self._records, self._refused, self._regime)

    def _place(self, intent: WaitingIntent) -> None:
        if intent.event_uri == RootPublished.uri:
            self._take_root(intent)
            return
        record = self._make(intent, intent.txn, self._regime)
        self._add(record)
        self._placed.append((intent, record.position))
        if intent.event_uri == KeySetChanged.uri:
            self._key_set = intent

    def _take_root(self, intent: WaitingIntent) -> None:
        regime = self._regime.under(intents.root_value(intent), self._open_key, self._connection)
        record = self._make(intent, intent.txn, regime)
        opens = self._head is not None and record.position.epoch > self._head.position.epoch
        following = self._key_set_again(record, regime) if opens else None
        self._add(record)
        self._placed.append((intent, record.position))
        place_root(self._connection, intent.txn, record.position)
        if following is not None:
            self._add(following)
        self._regime = regime

    def _key_set_again(self, root: StoredRecord, regime: Regime) -> StoredRecord | None:
        known = self._key_set or intents.newest_placed(self._connection, KeySetChanged.uri)
        if known is None:
            return None
        return self._make(known, root.txn + _KEYS_OF, regime, Head(root.position, root.hash))

    def _make(self, intent: WaitingIntent, txn: str, regime: Regime, head: Head | None = None) -> StoredRecord:
        position, prev = _next(head or self._head, regime.epoch)
        subject, event = intents.read(intent)
        raw = sign_record(
            regime.key,
            iss=self._issuer,
            iat=int(self._now),
            jti=record_id(position.epoch, txn),
            txn=txn,
            position=position,
            prev=prev,
            subject=subject,
            event=event,
        )
        return StoredRecord(position, record_hash(raw), raw, txn, self._now)

    def _add(self, record: StoredRecord) -> None:
        self._records.append(record)
        self._head = Head(record.position, record.hash)


def _next(head: Head | None, epoch: int) -> tuple[Position, bytes]:
    if head is None or head.position.epoch < epoch:
        return Position(epoch, 1), GENESIS
    return Position(head.position.epoch, head.position.seq + 1), head.hash


def record_id(epoch: int, txn: str) -> str:
    """``jti`` of the record of ``txn``: 128 bits that depend on nothing else; a second attempt gives the same."""
    return base64url.encode(sha256(f"ostraka:record:{epoch}:{txn}".encode()).digest()[:16]).decode()

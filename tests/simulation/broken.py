"""Verifiers and an issuer, broken on purpose, one rule each: a simulator that cannot find that proves nothing."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from random import Random
from typing import Any, Final
from unittest.mock import patch

from ostraka_consumers.trust import cutoffs, freshness, roots, snapshot
from ostraka_consumers.trust.chain import Chain, Place, Signed
from ostraka_consumers.trust.core import TrustCore
from ostraka_consumers.trust.cutoffs import Cutoffs, Minted, Moment, Narrowings
from ostraka_consumers.trust.denylist import DenyList
from ostraka_consumers.trust.effects import TrustState
from ostraka_consumers.trust.freshness import Statement, Vouching
from ostraka_consumers.trust.instant import Instant
from ostraka_consumers.trust.keyset import KeySet
from ostraka_consumers.trust.receipt import Outcome, Receipt
from ostraka_consumers.trust.tokens import GenuineToken
from ostraka_schemas import jws
from ostraka_schemas.events import PublishedKey
from ostraka_schemas.records import Head
from ostraka_schemas.root import RootDocument, read_root_unverified
from ostraka_schemas.snapshots import SnapshotPart

from .issuer import Issuer

Breakage = Callable[[], AbstractContextManager[Any]]


def _skips_gaps() -> AbstractContextManager[Any]:
    place = Chain.place

    def placed(self: Chain, signed: Signed) -> Place:
        found = place(self, signed)
        return Place.NEXT if found is Place.AHEAD else found

    return patch.object(Chain, "place", placed)


def _forgets_early() -> AbstractContextManager[Any]:
    # Not the whole state: that one knows how far it has forgotten, and accepts nothing so old.
    forget = Cutoffs.forget
    return patch.object(Cutoffs, "forget", lambda self, now: forget(self, now + 300))


def _keeps_older_keys() -> AbstractContextManager[Any]:
    replaced_by = KeySet.replaced_by

    def kept(self: KeySet, keys: Sequence[PublishedKey], root: RootDocument, too: Any = ()) -> KeySet:
        new = replaced_by(self, keys, root, too)
        return KeySet({**new._keys, **self._keys}, new.compromised)

    return patch.object(KeySet, "replaced_by", kept)


def _vouches_too_soon() -> AbstractContextManager[Any]:
    hear = Vouching.hear

    def heard(self: Vouching, statement: Statement, head: Head | None, at: Instant) -> None:
        hear(self, statement, head, at)
        self.vouch(statement.heartbeat.iat)

    return patch.object(Vouching, "hear", heard)


def _asks_once() -> AbstractContextManager[Any]:
    check, asked = TrustCore.check_revocation, set[tuple[int, str]]()

    def checked(self: TrustCore, token: GenuineToken) -> None:
        if (id(self), token.claims.jti) not in asked:
            check(self, token)
            asked.add((id(self), token.claims.jti))

    return patch.object(TrustCore, "check_revocation", checked)


def _decides_by_chance() -> AbstractContextManager[Any]:
    check, dice = TrustCore.check_revocation, Random(1)

    def checked(self: TrustCore, token: GenuineToken) -> None:
        if dice.random() < 0.9:
            check(self, token)

    return patch.object(TrustCore, "check_revocation", checked)


def _counts_no_refusals() -> AbstractContextManager[Any]:
    receive = TrustCore.receive

    def received(self: TrustCore, raw: bytes, at: Instant) -> Receipt:
        before = self.counters.copy()
        receipt = receive(self, raw, at)
        if receipt.outcome is Outcome.REFUSED:
            self.counters = before
        return receipt

    return patch.object(TrustCore, "receive", received)


def _is_upset_by_garbage() -> AbstractContextManager[Any]:
    receive = TrustCore.receive

    def received(self: TrustCore, raw: bytes, at: Instant) -> Receipt:
        receipt = receive(self, raw, at)
        if receipt.outcome is Outcome.REFUSED:
            self._vouching.vouched_at = None
        return receipt

    return patch.object(TrustCore, "receive", received)


def _overlooks_a_second_story() -> AbstractContextManager[Any]:
    place = Chain.place

    def placed(self: Chain, signed: Signed) -> Place:
        found = place(self, signed)
        return Place.PASSED if found is Place.CONFLICT else found

    return patch.multiple(Chain, place=placed, contradicts=lambda self, head, raw, earlier=None: False)


def _cuts_off_too_much() -> AbstractContextManager[Any]:
    def before(self: Minted, moment: Moment) -> bool:
        return self.iat <= moment.iat if self.fv is None else self.fv <= moment.position

    return patch.object(Minted, "before", before)


def _goes_back_with_a_snapshot() -> AbstractContextManager[Any]:
    take_part = TrustCore._take_part

    def taken(self: TrustCore, part: SnapshotPart, raw: bytes, chain: Chain, *rest: Any) -> Receipt:
        head = chain.head
        if head is not None and part.head.position < head.position:
            chain.jump(part.head)
        return take_part(self, part, raw, chain, *rest)

    return patch.object(TrustCore, "_take_part", taken)


def _lets_a_snapshot_revoke_nothing() -> AbstractContextManager[Any]:
    take = snapshot.take

    def taken(gathered: snapshot.Gathering, state: TrustState, now: float) -> Any:
        state.cutoffs, state.narrowings = Cutoffs(), Narrowings()
        state.denied = DenyList(300)
        gathered.cutoffs.release()[0].clear()
        return take(gathered, state, now)

    return patch.object(snapshot, "take", taken)


def _takes_part_of_a_snapshot() -> AbstractContextManager[Any]:
    return patch.object(snapshot.Gathering, "is_whole", property(lambda self: True))


def _takes_any_root() -> AbstractContextManager[Any]:
    def judged(value: Any, current: RootDocument) -> RootDocument:
        return read_root_unverified(value)

    return patch.object(roots, "verify_next_root", judged)


def _keeps_the_former_epoch() -> AbstractContextManager[Any]:
    return patch.object(TrustState, "_open_epoch", lambda self, record, expires: None)


def _forgets_how_far_it_was() -> AbstractContextManager[Any]:
    resume = TrustCore.resume
    return patch.object(TrustCore, "resume", lambda self, reached: resume(self, None))


def _believes_its_disk() -> AbstractContextManager[Any]:
    return patch.object(TrustCore, "resume", lambda self, reached: None)


def _unrevokes() -> AbstractContextManager[Any]:
    forget = TrustState.forget

    def forgotten(self: TrustState, signed_time: float) -> None:
        forget(self, signed_time)
        self.denied = DenyList(300)

    return patch.object(TrustState, "forget", forgotten)


def _holds_nothing() -> AbstractContextManager[Any]:
    return patch.object(Chain, "_hold", lambda self, signed: Place.TOO_FAR)


def _cries_wolf() -> AbstractContextManager[Any]:
    return patch.object(Chain, "_hold", lambda self, signed: self._conflict(signed))


def _marks_before_it_sends() -> AbstractContextManager[Any]:
    def relay(self: Issuer, crash_after: int | None = None) -> None:
        self.sequence()
        unsent, self.marked = self.feed[self.marked :], len(self.feed)
        for raw in unsent[:crash_after]:
            self.send(raw)
        self.up = crash_after is None

    return patch.object(Issuer, "relay", relay)


BROKEN: Final[dict[str, tuple[Breakage, str]]] = {
    "accepts without news": (
        lambda: patch.object(TrustCore, "check_staleness", lambda self, now, limit: None),
        "accepted_without_news",
    ),
    "forgets early": (_forgets_early, "accepted_against_what_it_knows"),
    "asks for revocations only once": (_asks_once, "accepted_too_late"),
    "un-revokes": (_unrevokes, "denied_and_accepted_again"),
    "decides by chance": (_decides_by_chance, "equal_heads_decide_differently"),
    "keeps older keys": (_keeps_older_keys, "foreign_key_used"),
    "cuts off too much": (_cuts_off_too_much, "wrongly_refused"),
    "takes away too much": (
        lambda: patch.object(cutoffs, "overlaps", lambda first, second: True),
        "wrongly_withheld",
    ),
    "keeps the former epoch": (_keeps_the_former_epoch, "accepted_against_what_it_knows"),
    "lets a snapshot revoke nothing": (_lets_a_snapshot_revoke_nothing, "accepted_against_what_it_knows"),
    "forgets how far it was": (_forgets_how_far_it_was, "decided_before_it_was_back"),
    "believes its disk": (_believes_its_disk, "fresh_without_cause"),
    "skips gaps": (_skips_gaps, "skipped_or_lost"),
    "takes part of a snapshot": (_takes_part_of_a_snapshot, "skipped_or_lost"),
    "goes back with a snapshot": (_goes_back_with_a_snapshot, "went_back"),
    "takes any root document": (_takes_any_root, "root_went_back"),
    "overlooks a second story": (_overlooks_a_second_story, "second_story_unnoticed"),
    "holds nothing": (_holds_nothing, "good_but_refused"),
    "marks before it sends": (_marks_before_it_sends, "committed_but_not_sent"),
    "believes any signature": (
        lambda: patch.object(jws, "check", lambda compact, header, key: None),
        "bad_but_not_counted",
    ),
    "counts no refusals": (_counts_no_refusals, "bad_but_not_counted"),
    "is upset by garbage": (_is_upset_by_garbage, "unverified_data_remembered"),
    "believes its own clock": (lambda: patch.object(Vouching, "now", lambda self, at: at.wall), "fresh_without_cause"),
    "believes the future": (
        lambda: patch.object(Vouching, "is_ahead_of_time", lambda self, heartbeat, at: False),
        "fresh_without_cause",
    ),
    "vouches too soon": (_vouches_too_soon, "fresh_without_cause"),
    "calls itself fresh for too long": (lambda: patch.object(freshness, "FRESH_FOR", 30), "fresh_without_cause"),
    "overlooks newer tokens": (
        lambda: patch.object(TrustCore, "note_position", lambda self, token, now: None),
        "withheld_and_unnoticed",
    ),
    "cries wolf": (_cries_wolf, "false_alarm"),
    "hears one heartbeat only": (
        lambda: patch.object(Vouching, "is_news", lambda self, heartbeat: self.heard_at == 0),
        "not_healed",
    ),
}
"""Each with the rule that must be found broken."""

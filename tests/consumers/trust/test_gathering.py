"""Parts of snapshots, one by one: what belongs together, how much fits, what is left of what was held."""

from dataclasses import replace
from typing import Any

import pytest

from ostraka_consumers.limits import HOLD_MAX_RECORDS, HOLDER_WEIGHT
from ostraka_consumers.trust import snapshot
from ostraka_consumers.trust.alarms import Alarm
from ostraka_consumers.trust.chain import Chain, Place, Signed
from ostraka_consumers.trust.effects import TrustState
from ostraka_consumers.trust.receipt import Outcome
from ostraka_schemas.events import IssuerCutoff
from ostraka_schemas.records import Head, Position, Record, record_hash
from ostraka_schemas.snapshots import CutoffEntry, Denied, RemainingEntry, RevokedEntry, SnapshotPart, SnapshotState
from ostraka_schemas.subjects import Uri
from tests.consumers.trust.feed import Fed, positions
from tests.support.fake_issuer import FakeIssuer

NOW = 1_800_000_000
HEAD = Head(Position(1, 9), b"h" * 32)
MOMENT: dict[str, Any] = {"epoch": 1, "seq": 3, "iat": NOW, "until": NOW + 900}
SHARES = (
    SnapshotState(
        latest_iat=NOW,
        cutoffs=[CutoffEntry(level="subject", id=name, **MOMENT) for name in "abc"],
        remaining=[
            RemainingEntry(level="subject", id="a", permissions=[], **MOMENT),
            RemainingEntry(level="subject", id="b", permissions=["a:b", "c:d"], **MOMENT),
        ],
        revoked=[RevokedEntry(permission="a:b", **MOMENT)],
    ),
    SnapshotState(latest_iat=NOW, denied=[Denied(until=NOW + 900, numbers="A" * 21 + "Q" + "A" * 21)]),
    SnapshotState(latest_iat=NOW, revoked=[RevokedEntry(permission="c:d", **MOMENT)]),
)
WEIGHT = HOLDER_WEIGHT * (3 + 2 + 1 + 1) + 2 + 2
SPAN = 910


def part(number: int, parts: int, state: SnapshotState, **changes: Any) -> SnapshotPart:
    return replace(SnapshotPart("i", NOW, f"j.{number}", HEAD, 1, number, parts, state), **changes)


def gathered() -> snapshot.Gathering:
    parts = [part(number, len(SHARES), share) for number, share in enumerate(SHARES, start=1)]
    found = snapshot.Gathering(parts[0], SPAN)
    for one in parts:
        assert not found.is_whole
        assert snapshot.name_of(one) == found.name
        found.add(one, b"raw")
    assert found.is_whole
    return found


@pytest.mark.parametrize(
    "changes",
    [{"head": Head(Position(1, 10), HEAD.hash)}, {"head": Head(HEAD.position, b"x" * 32)}, {"iat": 1}, {"jti": "k.2"}],
    ids=["position", "hash", "time", "name"],
)
def test_parts_that_differ_in_anything_but_their_number_and_state_do_not_belong_together(
    changes: dict[str, Any],
) -> None:
    one = part(1, 2, SHARES[0])
    assert snapshot.name_of(part(2, 2, SHARES[1])) == snapshot.name_of(one) != snapshot.name_of(part(2, 3, SHARES[1]))
    assert snapshot.name_of(part(2, 2, SHARES[1], **changes)) != snapshot.name_of(one)


def test_token_numbers_are_not_kept_twice() -> None:
    found = gathered()
    assert found.weight == WEIGHT
    assert (len(found.denied), found.denied.span, found.raws) == (2, SPAN, [])


@pytest.mark.parametrize("there_before", [0, 2])
@pytest.mark.parametrize("short", [0, 1])
def test_a_snapshot_is_taken_as_long_as_there_is_room_for_all_of_it(
    monkeypatch: pytest.MonkeyPatch, there_before: int, short: int
) -> None:
    monkeypatch.setattr(snapshot, "STATE_WEIGHT_MAX", there_before + WEIGHT - short)
    state = TrustState(FakeIssuer().root)
    assert state.denied.span == SPAN
    state.denied.add_many(range(2, 2 + there_before), NOW + 900)
    assert snapshot.take(gathered(), state, NOW) is (Alarm.STATE_FULL if short else None)
    assert state.weight == there_before + (0 if short else WEIGHT)


def test_a_snapshot_without_a_key_set_leaves_the_one_there_is() -> None:
    fed = Fed()
    assert fed.core.state is not None
    before = fed.core.keys
    assert snapshot.take(gathered(), fed.core.state, NOW) is None
    assert fed.core.keys is before
    assert len(before) == 1


def test_what_there_is_no_room_for_is_not_kept_while_it_is_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    for room in range(WEIGHT + 1):
        monkeypatch.setattr(snapshot, "STATE_WEIGHT_MAX", room)
        found = gathered()
        assert len(found.denied) + found.cutoffs.weight + found.narrowings.weight <= room
        assert found.weight == WEIGHT


def test_parts_of_another_history_are_evidence_against_the_heartbeat_that_is_ahead() -> None:
    fed = Fed()
    beat = fed.issuer.heartbeat(head=HEAD, iat=fed.issuer.now + 1)
    fed.take(beat)
    other = fed.issuer.snapshot_part(SHARES[0], head=Head(HEAD.position, b"x" * 32))
    assert fed.take(other).outcome is Outcome.EQUIVOCATION
    assert fed.core.evidence == ((HEAD.position, beat, other),)


def test_held_records_go_on_from_a_snapshot_that_comes_after_its_heartbeat() -> None:
    fed = Fed()
    for name in "abc":
        fed.issuer.cut_subject(name)
    head = Head(Position(1, 4), record_hash(fed.issuer.records[3]))
    fed.take(fed.issuer.heartbeat(head=head, iat=fed.issuer.now + 1))
    assert fed.take(fed.issuer.records[4]).outcome is Outcome.HELD
    receipt = fed.take(fed.issuer.snapshot_part(SHARES[0], head=head))
    assert (receipt.outcome, positions(receipt.applied)) == (Outcome.SNAPSHOT, [5])
    assert (fed.core.head, fed.alarms) == (fed.issuer.head, set())


def test_every_jump_is_counted() -> None:
    fed = Fed()
    for seq in (9, 20, 31):
        head = Head(Position(1, seq), b"h" * 32)
        fed.take(fed.issuer.snapshot_part(SHARES[0], head=head, iat=fed.issuer.now + seq))
        fed.issuer.clock.advance(1)
        fed.beat(head=head)
    assert fed.core.head is not None
    assert (fed.core.head.position, fed.core.counters["snapshots"]) == ((1, 31), 3)


# --- the chain ---


def signed(seq: int, prev: bytes = HEAD.hash) -> Signed:
    raw = f"{seq}".encode()
    return Signed(Record("i", 1, "j", "t", Position(1, seq), prev, Uri(uri="i"), IssuerCutoff()), raw, record_hash(raw))


@pytest.mark.parametrize(("ahead", "place"), [(0, Place.AHEAD), (1, Place.TOO_FAR)])
def test_so_many_are_held_from_the_head_of_a_snapshot_that_waits(ahead: int, place: Place) -> None:
    chain = Chain(1)
    chain.expect(HEAD)
    assert chain.place(signed(HEAD.position.seq + 1 + HOLD_MAX_RECORDS + ahead)) is place


def test_a_jump_lets_go_of_what_it_passes_and_keeps_what_comes_after() -> None:
    chain = Chain(1)
    first = signed(1, bytes(32))
    assert chain.place(first) is Place.NEXT
    chain.advance(first)
    other = signed(HEAD.position.seq)
    for held in (signed(5), other, signed(HEAD.position.seq + 1)):
        assert chain.place(held) is Place.AHEAD
    assert not chain.jump(HEAD)
    assert (chain.head, chain.held, chain.furthest) == (HEAD, 1, (1, HEAD.position.seq + 1))
    assert chain._held_bytes == len(signed(HEAD.position.seq + 1).raw)
    assert chain.evidence == [(HEAD.position, None, other.raw)]
    after = next(iter(chain.held_in_turn()))
    assert chain.place(after) is Place.NEXT
    chain.advance(after)
    assert chain._raws_bytes == sum(len(raw) for _, raw in chain._raws) == len(first.raw) + len(after.raw)


def test_after_a_jump_as_many_positions_back_are_compared_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ostraka_consumers.trust.chain.HASH_WINDOW", 3)
    chain, prev = Chain(1), bytes(32)
    for seq in range(1, 8):
        record = signed(seq, prev)
        assert chain.place(record) is Place.NEXT
        chain.advance(record)
        prev = record.hash
    assert chain.jump(HEAD)
    known = [seq for seq in range(1, 10) if chain.can_compare(Position(1, seq))]
    assert known == [7, 9]
    assert set(chain._passed.values()) == {7, 9}

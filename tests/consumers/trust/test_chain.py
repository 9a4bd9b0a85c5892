import random

import pytest

from ostraka_consumers.limits import EVIDENCE_MAX, EVIDENCE_MAX_BYTES, HASH_WINDOW, HOLD_MAX_BYTES, HOLD_MAX_RECORDS
from ostraka_consumers.trust.chain import Chain, Place, Signed
from ostraka_schemas.events import IssuerCutoff
from ostraka_schemas.records import GENESIS, Head, Position, Record, record_hash
from ostraka_schemas.subjects import Uri


def signed(seq: int, prev: bytes, note: str = "", *, size: int = 0) -> Signed:
    """A record as the chain sees it; nothing in here looks at signatures."""
    raw = f"{seq} {prev.hex()} {note}".encode().ljust(size)
    record = Record("i", 1, "j", "t", Position(1, seq), prev, Uri(uri="i"), IssuerCutoff())
    return Signed(record, raw, record_hash(raw))


def feed(length: int, *, size: int = 0) -> list[Signed]:
    """A feed without a flaw."""
    records: list[Signed] = []
    for seq in range(1, length + 1):
        records.append(signed(seq, records[-1].hash if records else GENESIS, size=size))
    return records


def follow(chain: Chain, records: list[Signed]) -> None:
    for record in records:
        assert chain.place(record) is Place.NEXT
        chain.advance(record)


def test_a_feed_is_followed_from_its_first_record() -> None:
    chain, records = Chain(1), feed(3)
    assert chain.place(records[1]) is Place.AHEAD
    follow(chain, records)
    assert chain.head == (Position(1, 3), records[2].hash)
    assert (chain.next_seq, chain.held, chain.furthest) == (4, 0, None)
    assert all(chain.place(record) is Place.PASSED for record in records)
    assert all(chain.passed(record.hash) for record in records)


def test_a_first_record_that_has_a_past_is_a_conflict() -> None:
    chain = Chain(1)
    assert chain.place(signed(1, b"x" * 32)) is Place.CONFLICT
    assert chain.head is None


@pytest.mark.parametrize(
    ("ahead", "place"), [(1, Place.AHEAD), (HOLD_MAX_RECORDS, Place.AHEAD), (HOLD_MAX_RECORDS + 1, Place.TOO_FAR)]
)
def test_the_number_of_held_records_is_bounded(ahead: int, place: Place) -> None:
    chain = Chain(1)
    assert chain.place(signed(1 + ahead, bytes(32))) is place
    assert chain.held == (place is Place.AHEAD)


def test_as_many_as_the_bound_are_held_and_then_applied_in_turn() -> None:
    chain, records = Chain(1), feed(HOLD_MAX_RECORDS + 1)
    waiting = records[1:]
    random.Random(1).shuffle(waiting)
    assert {chain.place(record) for record in waiting} == {Place.AHEAD}
    assert chain.held == HOLD_MAX_RECORDS
    follow(chain, records[:1])
    for record in chain.held_in_turn():
        follow(chain, [record])
    assert (chain.held, chain.next_seq, chain._held_bytes) == (0, HOLD_MAX_RECORDS + 2, 0)


def test_the_bytes_of_held_records_are_bounded() -> None:
    size = HOLD_MAX_BYTES // 16
    chain, records = Chain(1), feed(20, size=size)
    places = [chain.place(record) for record in records[1:]]
    assert places == [Place.AHEAD] * 16 + [Place.TOO_FAR] * 3
    assert chain._held_bytes == HOLD_MAX_BYTES
    assert chain.place(records[1]) is Place.AHEAD
    follow(chain, records[:1])
    for record in chain.held_in_turn():
        follow(chain, [record])
    assert (chain.next_seq, chain._held_bytes) == (18, 0)


def test_a_second_content_is_known_for_the_whole_window_and_no_longer() -> None:
    chain, records = Chain(1), feed(HASH_WINDOW + 1)
    follow(chain, records)
    assert chain.place(signed(2, GENESIS, "other")) is Place.CONFLICT
    assert chain.place(signed(1, GENESIS, "other")) is Place.PASSED
    assert len(chain._hashes) == len(chain._passed) == HASH_WINDOW
    assert not chain.passed(records[0].hash)
    assert [chain.can_compare(Position(1, seq)) for seq in (1, 2, HASH_WINDOW + 1, HASH_WINDOW + 2)] == [
        *(False, True, True, True)
    ]


def test_the_bytes_kept_as_evidence_are_bounded() -> None:
    chain, records = Chain(1), feed(40, size=64 * 1024)
    follow(chain, records)
    assert chain._raws_bytes == sum(len(raw) for _, raw in chain._raws) == EVIDENCE_MAX_BYTES
    assert chain.place(signed(40, records[38].hash, "other")) is Place.CONFLICT
    assert chain.place(signed(1, GENESIS, "other")) is Place.CONFLICT
    assert [entry.known for entry in chain.evidence] == [records[39].raw, None]


def test_one_equivocation_is_kept_once_and_many_only_up_to_a_bound() -> None:
    chain, records = Chain(1), feed(2)
    follow(chain, records)
    for _ in range(3):
        assert chain.place(signed(2, records[0].hash, "other")) is Place.CONFLICT
    assert len(chain.evidence) == 1
    for n in range(100):
        assert chain.place(signed(2, records[0].hash, str(n))) is Place.CONFLICT
    assert len(chain.evidence) == EVIDENCE_MAX
    assert chain.head == (Position(1, 2), records[1].hash)


def test_a_statement_about_what_is_not_known_contradicts_nothing() -> None:
    chain, records = Chain(1), feed(2)
    follow(chain, records)
    for position in (Position(1, 3), Position(1, 10**9)):
        assert not chain.contradicts(Head(position, bytes(32)), b"statement")
    assert not chain.contradicts(Head(Position(1, 2), records[1].hash), b"statement")
    assert chain.contradicts(Head(Position(1, 2), bytes(32)), b"statement")
    assert chain.evidence == [(Position(1, 2), records[1].raw, b"statement")]

"""Which parts would make a whole, judged by what they say about themselves."""

import pytest

from ostraka_consumers import limits
from ostraka_consumers.sources._shelf import Label, Shelf, Title, read_label, windows
from ostraka_schemas.snapshots import SnapshotState
from tests.support.fake_issuer import FakeIssuer

STATE = SnapshotState(latest_iat=1_800_000_000)
OLD = Title(1, 5, 1_000, 2, "old")
NEW = Title(1, 9, 1_005, 2, "new")


@pytest.fixture
def issuer() -> FakeIssuer:
    issuer = FakeIssuer()
    issuer.open()
    return issuer


def test_a_part_says_what_it_belongs_to(issuer: FakeIssuer) -> None:
    label = read_label(issuer.snapshot_part(STATE, 2, 3))
    assert label is not None
    assert label.part == 2
    assert label.title[:4] == (1, 2, issuer.now, 3)
    assert read_label(issuer.snapshot_part(STATE, 3, 3)) == Label(label.title, 3)


def test_nothing_else_has_a_label(issuer: FakeIssuer) -> None:
    part = {"urn:ostraka:event:snapshot": {"part": 1, "parts": 1, "state": {}}}
    head = {"epoch": 1, "seq": 2, "hash": "x" * 43}
    good = issuer.payload(part, feed=head)
    assert read_label(issuer.sign_payload(good)) is not None
    for raw in (
        b"",
        b"a.b.c",
        b"{}",
        b"\x00" * 100,
        issuer.records[0],
        issuer.heartbeat(),
        issuer.sign_payload({**good, "iat": -1}),
        issuer.sign_payload({**good, "iat": True}),
        issuer.sign_payload({**good, "iat": 1.5}),
        issuer.sign_payload({**good, "feed": {**head, "hash": 7}}),
        issuer.sign_payload({**good, "feed": {**head, "hash": "x" * 42}}),
        issuer.sign_payload({**good, "feed": {**head, "hash": "x" * 150_000}}),
        issuer.sign_payload({**good, "feed": {**head, "seq": 2**53}}),
        issuer.sign_payload({**good, "iat": 2**53}),
        issuer.sign_payload({**good, "feed": []}),
        issuer.sign_payload({**good, "events": []}),
        issuer.sign_payload({**good, "events": {"urn:ostraka:event:snapshot": 1}}),
        *(
            issuer.sign_payload({**good, "events": {"urn:ostraka:event:snapshot": {"part": part, "parts": parts}}})
            for part, parts in [(0, 1), (2, 1), (1, 1_025), (1, None), ("1", 1)]
        ),
    ):
        assert read_label(raw) is None, raw


def test_the_newest_of_which_all_is_there() -> None:
    shelf = Shelf()
    for offset, label in enumerate([Label(OLD, 1), Label(OLD, 2), Label(NEW, 1), Label(NEW, 1)]):
        shelf.put(offset, label)
    assert shelf.newest_whole() == OLD
    shelf.put(9, Label(NEW, 2))
    assert shelf.newest_whole() == NEW
    assert shelf.take(NEW) == {2: 1, 3: 1, 9: 2}
    assert shelf.newest_whole() == OLD
    shelf.take(OLD)
    assert shelf.newest_whole() is None
    shelf.put_all_back()
    assert shelf.newest_whole() == NEW


def test_a_flood_of_titles_takes_no_more_room_and_does_not_keep_out_what_was_there_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "SNAPSHOT_TITLES_MAX", 3)
    shelf = Shelf()
    shelf.put(0, Label(OLD, 1))
    for number in range(100):
        shelf.put(number + 1, Label(Title(9, number, 9_000, 1, "flood"), 1))
    shelf.put(200, Label(OLD, 2))
    found = []
    while (title := shelf.newest_whole()) is not None:
        found.append(title)
        shelf.take(title)
    assert found == [Title(9, 1, 9_000, 1, "flood"), Title(9, 0, 9_000, 1, "flood"), OLD]


def test_the_log_is_looked_at_from_its_end() -> None:
    assert list(windows(5, 5)) == []
    assert list(windows(5, 6)) == [(5, 6)]
    assert list(windows(0, 400)) == [(336, 400), (80, 336), (0, 80)]


def test_not_all_of_a_flood_is_looked_at() -> None:
    stretches = list(windows(0, 10_000_000))
    assert [high for _, high in stretches] == [10_000_000, *(low for low, _ in stretches[:-1])]
    assert 10_000_000 - stretches[-1][0] < 5 * limits.SNAPSHOT_SCAN_MAX

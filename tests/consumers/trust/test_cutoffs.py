from itertools import product

import pytest

from ostraka_consumers.limits import HOLDER_WEIGHT
from ostraka_consumers.trust.cutoffs import ISSUER, Cutoffs, Key, Minted, Moment, Narrowings
from ostraka_schemas.records import Position

LEVELS = [ISSUER, Key("client", "web"), Key("subject", "alice"), Key("session", "s")]
NOW = 1_000
OLDER, SAME, NEWER = Moment(Position(1, 9), NOW - 1), Moment(Position(1, 10), NOW), Moment(Position(1, 11), NOW + 1)
WITH_FV = Minted(Position(1, 10), NOW)
WITHOUT_FV = Minted(None, NOW)


@pytest.mark.parametrize("moments", list(product([None, OLDER, NEWER], repeat=3)), ids=str)
@pytest.mark.parametrize("minted", [WITH_FV, WITHOUT_FV], ids=["fv", "iat"])
@pytest.mark.parametrize("skipped", range(4))
def test_the_latest_of_all_cut_offs_that_apply_decides(
    moments: tuple[Moment | None, ...], minted: Minted, skipped: int
) -> None:
    cutoffs = Cutoffs()
    levels = [level for n, level in enumerate(LEVELS) if n != skipped]
    for level, moment in zip(levels, moments, strict=True):
        if moment is not None:
            cutoffs.add(level, moment, 9_999)
    expected = next((level for level, moment in zip(levels, moments, strict=True) if moment is NEWER), None)
    assert cutoffs.hit(minted, LEVELS) == expected


@pytest.mark.parametrize(
    ("minted", "moment", "dead"),
    [
        (WITH_FV, OLDER, False),
        (WITH_FV, SAME, False),
        (WITH_FV, NEWER, True),
        (WITHOUT_FV, OLDER, False),
        (WITHOUT_FV, SAME, True),
        (WITHOUT_FV, NEWER, True),
        (Minted(Position(1, 10), NOW + 500), NEWER, True),
        (Minted(Position(1, 11), NOW - 500), NEWER, False),
        (Minted(Position(2, 1), NOW), NEWER, False),
        (Minted(Position(1, 99), NOW), Moment(Position(2, 1), NOW), True),
        (Minted(None, NOW), Moment(Position(9, 9), NOW - 1), False),
    ],
)
def test_a_token_is_older_by_position_and_only_without_one_by_time(minted: Minted, moment: Moment, dead: bool) -> None:
    assert minted.before(moment) == dead


def test_an_older_cut_off_that_comes_later_changes_nothing() -> None:
    cutoffs = Cutoffs()
    cutoffs.add(ISSUER, NEWER, 100)
    cutoffs.add(ISSUER, OLDER, 50)
    assert cutoffs.hit(WITH_FV, LEVELS) == cutoffs.hit(WITHOUT_FV, LEVELS) == ISSUER
    cutoffs.forget(99)
    assert len(cutoffs) == 1
    cutoffs.forget(101)
    assert len(cutoffs) == 0


def test_a_cut_off_that_is_renewed_is_kept_as_long_as_the_newest() -> None:
    cutoffs = Cutoffs()
    cutoffs.add(ISSUER, OLDER, 50)
    cutoffs.add(ISSUER, NEWER, 100)
    for now, left in ((51, 1), (100, 1), (101, 0)):
        cutoffs.forget(now)
        assert len(cutoffs) == left


def test_if_the_issuers_clock_stepped_back_position_and_time_each_keep_their_latest() -> None:
    cutoffs = Cutoffs()
    cutoffs.add(ISSUER, Moment(Position(1, 5), NOW + 100), 50)
    cutoffs.add(ISSUER, Moment(Position(1, 11), NOW - 100), 50)
    assert cutoffs.hit(WITH_FV, LEVELS) == ISSUER
    assert cutoffs.hit(WITHOUT_FV, LEVELS) == ISSUER


def test_cut_offs_are_forgotten_each_in_its_own_time_in_whatever_order_they_came() -> None:
    cutoffs = Cutoffs()
    for expires in (500, 100, 300, 200, 400):
        cutoffs.add(Key("subject", str(expires)), NEWER, expires)
    for now, left in ((99, 5), (100, 5), (101, 4), (350, 2), (350, 2), (501, 0)):
        cutoffs.forget(now)
        assert len(cutoffs) == left


def test_equal_ids_of_different_levels_are_different() -> None:
    cutoffs = Cutoffs()
    cutoffs.add(Key("client", "x"), NEWER, 9_999)
    for level in ("subject", "session", "issuer"):
        assert cutoffs.hit(WITH_FV, [Key(level, "x")]) is None
    assert cutoffs.hit(WITH_FV, [Key("client", "x")]) == ("client", "x")


ALICE = [ISSUER, Key("client", "web"), Key("subject", "alice")]


@pytest.mark.parametrize(
    ("revoked", "required", "allowed"),
    [
        ("orders:create", "orders:create", False),
        ("orders:create", "orders:read", True),
        ("orders:create", "orders:*", False),
        ("orders:create", "*:create", False),
        ("orders:create", "*:*", False),
        ("orders:*", "orders:create", False),
        ("orders:*", "*:read", False),
        ("orders:*", "reports:read", True),
        ("*:create", "orders:create", False),
        ("*:create", "orders:read", True),
        ("*:create", "orders:*", False),
        ("*:*", "orders:create", False),
        ("*:*", "*:*", False),
    ],
)
def test_a_permission_revoked_takes_it_from_every_older_token(revoked: str, required: str, allowed: bool) -> None:
    narrowings = Narrowings()
    narrowings.revoke(revoked, NEWER, 9_999)
    assert narrowings.allow(required, WITH_FV, ALICE) == allowed
    assert narrowings.allow(required, WITHOUT_FV, ALICE) == allowed
    assert narrowings.allow(required, Minted(Position(1, 11), NOW), ALICE)


@pytest.mark.parametrize(
    ("remaining", "required", "allowed"),
    [
        ([], "orders:create", False),
        (["orders:create"], "orders:create", True),
        (["orders:create"], "orders:*", False),
        (["orders:*"], "orders:create", True),
        (["orders:*"], "orders:*", True),
        (["orders:*"], "*:create", False),
        (["*:*"], "*:*", True),
        (["*:read"], "orders:read", True),
        (["*:read"], "orders:create", False),
        (["orders:create", "orders:read"], "orders:*", False),
    ],
)
def test_a_claims_change_leaves_at_most_what_it_names(remaining: list[str], required: str, allowed: bool) -> None:
    narrowings = Narrowings()
    narrowings.keep_only(Key("subject", "alice"), remaining, NEWER, 9_999)
    assert narrowings.allow(required, WITH_FV, ALICE) == allowed
    assert narrowings.allow(required, Minted(Position(1, 11), NOW), ALICE)
    assert narrowings.allow(required, WITH_FV, [ISSUER, Key("subject", "bob")])


def test_all_later_narrowings_apply_none_makes_up_for_another() -> None:
    narrowings = Narrowings()
    alice, web = Key("subject", "alice"), Key("client", "web")
    narrowings.keep_only(alice, ["a:b", "c:d"], NEWER, 9_999)
    narrowings.keep_only(alice, ["c:d", "e:f"], Moment(Position(1, 12), NOW), 9_999)
    narrowings.keep_only(web, ["*:*"], NEWER, 9_999)
    allowed = [p for p in ("a:b", "c:d", "e:f") if narrowings.allow(p, WITH_FV, ALICE)]
    assert allowed == ["c:d"]
    assert narrowings.allow("e:f", Minted(Position(1, 11), NOW), ALICE)
    narrowings.revoke("c:*", NEWER, 9_999)
    assert not narrowings.allow("c:d", WITH_FV, ALICE)
    assert len(narrowings) == 4


def test_narrowings_are_forgotten_each_in_its_own_time() -> None:
    narrowings = Narrowings()
    alice = Key("subject", "alice")
    for expires in (300, 100, 200):
        narrowings.keep_only(alice, [], NEWER, expires)
        narrowings.revoke("a:b", NEWER, expires)
    for now, left in ((100, 6), (101, 4), (250, 2), (301, 0)):
        narrowings.forget(now)
        assert len(narrowings) == left
        assert narrowings.allow("a:b", WITH_FV, ALICE) == (left == 0)


def test_cutting_off_the_same_key_again_and_again_takes_no_more_room() -> None:
    cutoffs = Cutoffs()
    key = Key("subject", "alice")
    for number in range(1, 1_000):
        cutoffs.add(key, Moment(Position(1, number), number), expires=float(number))
    assert len(cutoffs._expiry._heap) == 1
    cutoffs.forget(500.0)
    assert cutoffs.hit(Minted(Position(1, 1), 1), [key]) == key
    cutoffs.forget(999.5)
    assert (len(cutoffs), len(cutoffs._expiry._heap)) == (0, 0)


def test_a_renewed_cut_off_is_still_there_in_its_last_second_also_if_nothing_was_forgotten_before() -> None:
    cutoffs = Cutoffs()
    cutoffs.add(ISSUER, OLDER, 50)
    cutoffs.add(ISSUER, NEWER, 100)
    cutoffs.forget(100)
    assert cutoffs.hit(WITH_FV, LEVELS) == ISSUER


def test_a_narrowing_is_still_there_in_its_last_second_when_another_of_the_same_holder_leaves() -> None:
    narrowings = Narrowings()
    for expires in (50, 100):
        narrowings.keep_only(Key("subject", "alice"), ["c:d"], NEWER, expires)
    assert narrowings.weight == 2 * HOLDER_WEIGHT + 2
    narrowings.forget(100)
    assert (len(narrowings), narrowings.weight) == (1, HOLDER_WEIGHT + 1)
    assert not narrowings.allow("a:b", WITH_FV, ALICE)


def test_two_narrowings_of_one_holder_may_leave_at_once() -> None:
    narrowings = Narrowings()
    for pattern in ("a:b", "c:d"):
        narrowings.keep_only(Key("subject", "alice"), [pattern], NEWER, 50)
    narrowings.forget(100)
    assert (len(narrowings), narrowings.weight) == (0, 0)
    assert narrowings.allow("a:b", WITH_FV, ALICE)

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostraka_consumers.limits import DENY_BUCKET_MIN_SECONDS, DENY_BUCKETS
from ostraka_consumers.trust.denylist import DenyList, token_number
from ostraka_schemas import base64url

SPAN = 910


def test_what_was_denied_is_denied_and_nothing_else() -> None:
    denied = DenyList(SPAN)
    denied.add(token_number("a"), 1_000)
    assert token_number("a") in denied
    assert token_number("b") not in denied
    assert len(denied) == 1


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 3_000)), max_size=40),
    st.lists(st.integers(0, 4_000), max_size=5),
)
def test_an_entry_never_leaves_before_its_time(entries: list[tuple[int, int]], times: list[int]) -> None:
    denied, latest, until = DenyList(SPAN), 0, dict[int, int]()
    for number, expires in entries:
        denied.add(number, expires)
        until[number] = max(until.get(number, 0), expires)
    for now in times:
        latest = max(latest, now)
        denied.forget(now)
        assert all(number in denied for number, expires in until.items() if expires >= latest)


@given(st.lists(st.integers(0, SPAN), min_size=1, max_size=60))
def test_within_the_span_an_entry_outstays_its_time_by_at_most_a_bucket(offsets: list[int]) -> None:
    denied = DenyList(SPAN)
    width = denied._width
    for number, offset in enumerate(offsets):
        denied.add(number, 10_000 + offset)
    for now in range(10_000, 10_000 + SPAN + 3 * width, width // 2):
        denied.forget(now)
        kept = [offset for number, offset in enumerate(offsets) if number in denied]
        assert all(10_000 + offset + 2 * width > now for offset in kept)
    assert len(denied) == 0


@pytest.mark.parametrize("span", [1, 60, 310, 910, 4_000, 30 * 24 * 3600])
def test_there_are_few_buckets_however_far_apart_the_times_lie(span: int) -> None:
    denied, chance = DenyList(span), random.Random(7)
    assert denied._width >= DENY_BUCKET_MIN_SECONDS
    entries = [(number, chance.choice([chance.uniform(0, span), chance.uniform(0, 2**53)])) for number in range(2_000)]
    for number, expires in entries:
        denied.add(number, expires)
        assert len(denied._sets) <= DENY_BUCKETS
    assert all(number in denied for number, _ in entries)
    for now in (span, 2**40, 2**52):
        denied.forget(now)
        assert all(number in denied for number, expires in entries if expires >= now)
    denied.forget(2**54)
    assert len(denied) == 0


def test_a_look_up_takes_the_same_path_with_none_and_with_a_hundred_thousand() -> None:
    empty, full = DenyList(SPAN), DenyList(SPAN)
    for number in range(100_000):
        full.add(number, 10_000 + number % SPAN)
    assert len(full) == 100_000
    assert len(empty._sets) <= len(full._sets) <= DENY_BUCKETS
    assert all(type(bucket) is set for bucket in full._sets)
    assert 100_001 not in full
    assert 0 not in empty


def test_an_id_of_128_bits_is_its_own_number_and_any_other_is_hashed() -> None:
    for data in (bytes(16), bytes(range(16)), b"\xff" * 16):
        assert token_number(base64url.encode(data).decode()) == int.from_bytes(data)
    others = [
        "",
        "a",
        "A" * 21,
        "A" * 23,
        "A" * 21 + "B",
        "A" * 21 + "=",
        "é" * 22,
        "A" * 255,
        "\ud800",
        "A" * 21 + "\n",
    ]
    numbers = {token_number(jti) for jti in others}
    assert len(numbers) == len(others)
    assert token_number("A" * 22) not in numbers
    assert all(0 <= number < 2**128 for number in numbers)


def test_what_is_kept_makes_the_same_list_again() -> None:
    one, other = DenyList(900), DenyList(900)
    for n in range(1_000):
        one.add(n, 1_000_000 + n)
    kept = one.kept()
    for until, numbers in kept:
        other.add_many(numbers, until)
    assert other.kept() == kept
    assert sum(len(numbers) for _, numbers in kept) == len(one) == len(other) == 1_000
    for until, numbers in kept:
        assert all(1_000_000 + n <= until + 1 for n in numbers)
        other.forget(until)
        assert all(n in other for n in numbers)
        other.forget(until + 1)
        assert not any(n in other for n in numbers)


@pytest.mark.parametrize("start", [0, 10_000, 10_999])
def test_however_long_the_span_an_entry_outstays_its_time_by_less_than_a_fifteenth_of_it(start: int) -> None:
    span, step = 15_000, 50
    share = span // (DENY_BUCKETS - 1)
    denied = DenyList(span)
    ends = range(start, start + span + 1, step)
    for expires in ends:
        denied.add(expires, expires)
    assert len(denied._buckets) <= DENY_BUCKETS
    for expires in ends:
        denied.forget(expires)
        assert expires in denied
        assert not any(past in denied for past in range(start, expires - share + 1, step))


def test_what_is_absorbed_is_denied_here_and_there_no_more() -> None:
    for before in (0, 5, 100):
        one, other = DenyList(900), DenyList(900)
        for n in range(before):
            one.add(n, 1_000_000 + 9 * n)
        for n in range(50, 150):
            other.add(n, 1_000_000 + 9 * n)
        one.absorb(other)
        expected = {*range(before), *range(50, 150)}
        assert {n for n in range(300) if n in one} == expected
        assert (len(one), len(other), 60 in other) == (len(expected), 0, False)
        other.add(7, 1_000_000)
        assert (7 in one) == (7 in expected)
        one.forget(1_000_000 + 9 * 400)
        assert len(one) == 0

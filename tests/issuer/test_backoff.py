"""How long whoever fails to log in has to wait."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostraka_issuer.accounts.backoff import ACCOUNT, ADDRESS, seconds_left, still_counted, wait_after

NOW = 1_800_000_000.0
SCHEDULES = st.sampled_from([ACCOUNT, ADDRESS])


def test_the_waits_of_an_account_are_those_of_its_table() -> None:
    waits = [wait_after(ACCOUNT, failures) for failures in (0, 4, 5, 6, 7, 16, 17, 99, 100, 10**9)]
    assert waits == [0, 0, 1, 2, 4, 2048, 3600, 3600, 86_400, 86_400]


def test_an_address_is_slowed_down_later_and_never_much() -> None:
    assert [wait_after(ADDRESS, failures) for failures in (100, 101, 102, 10**9)] == [0, 1, 2, 60]


def guesses(days: int, pause_after: int) -> int:
    """How often somebody guesses who always does as soon as possible, but pauses for a day after so many."""
    now, tries, failures, failed_at = NOW, 0, 0, NOW
    while True:
        if tries and tries % pause_after == 0:
            now += 86_400
        now += seconds_left(ACCOUNT, failures, failed_at, now)
        if now >= NOW + days * 86_400:
            return tries
        failures, failed_at, tries = still_counted(ACCOUNT, failures, failed_at, now) + 1, now, tries + 1


@pytest.mark.parametrize("pause_after", [1, 5, 16, 40, 99, 10**9])
def test_nobody_guesses_more_than_a_hundred_times_and_once_a_day(pause_after: int) -> None:
    """NIST SP 800-63B-4 §3.2.2: what is left after a hundred failures is one try a day, whatever pauses are made."""
    assert guesses(365, pause_after) <= 100 + 365
    assert guesses(3_650, pause_after) <= 100 + 3_650


def test_an_address_is_forgiven_all_at_once_and_an_account_day_by_day() -> None:
    assert [still_counted(ADDRESS, 10**6, NOW, NOW + seconds) for seconds in (86_399, 86_400)] == [10**6, 0]
    assert [still_counted(ACCOUNT, 5, NOW, NOW + days * 86_400) for days in (0.9, 1, 2.5, 5, 900)] == [5, 4, 3, 0, 0]


@given(SCHEDULES, st.integers(0, 10**6))
def test_more_failures_never_mean_less_waiting(schedule: object, failures: int) -> None:
    assert isinstance(schedule, type(ACCOUNT))
    assert 0 <= wait_after(schedule, failures) <= wait_after(schedule, failures + 1) <= schedule.forgotten


@given(SCHEDULES, st.integers(0, 10**6), st.floats(-(10**7), 10**7))
def test_whoever_may_try_has_waited_and_a_clock_set_back_shuts_nobody_out(
    schedule: object, failures: int, passed: float
) -> None:
    assert isinstance(schedule, type(ACCOUNT))
    now = NOW + passed
    left = seconds_left(schedule, failures, NOW, now)
    assert 0 <= left <= schedule.forgotten
    if abs(passed) >= schedule.forgotten:
        assert left == 0
    assert 0 <= still_counted(schedule, failures, NOW, now) <= failures

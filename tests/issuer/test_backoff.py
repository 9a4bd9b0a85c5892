"""How long whoever fails to log in has to wait."""

from hypothesis import given
from hypothesis import strategies as st

from ostraka_issuer.accounts.backoff import (
    ACCOUNT,
    ADDRESS,
    Standing,
    seconds_left,
    standing,
    still_counted,
    wait_after,
)

NOW = 1_800_000_000.0
SCHEDULES = st.sampled_from([ACCOUNT, ADDRESS])


def test_the_waits_of_an_account_are_those_of_its_table() -> None:
    waits = [wait_after(ACCOUNT, failures) for failures in (0, 4, 5, 6, 7, 16, 17, 99, 100, 10**9)]
    assert waits == [0, 0, 1, 2, 4, 2048, 3600, 3600, 86_400, 86_400]


def test_an_address_is_slowed_down_later_and_never_much() -> None:
    assert [wait_after(ADDRESS, failures) for failures in (100, 101, 102, 10**9)] == [0, 1, 2, 60]


def test_nobody_guesses_more_than_a_hundred_times_on_end() -> None:
    """NIST SP 800-63B-4 §3.2.2: what is left after a hundred failures is one try a day."""
    now, tries = NOW, 0
    failures, failed_at = 0, NOW
    while now < NOW + 365 * 86_400:
        now += seconds_left(ACCOUNT, failures, failed_at, now)
        if still_counted(ACCOUNT, failures, failed_at, now) == 0 and failures:
            break
        failures, failed_at, tries = failures + 1, now, tries + 1
    assert tries == 100
    assert now - NOW > 3 * 86_400


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
    may = standing(schedule, failures, NOW, now)
    assert (may is Standing.WAIT) is (left > 0)
    if may is Standing.FREE:
        assert still_counted(schedule, failures, NOW, now) <= schedule.free
    if abs(passed) >= schedule.forgotten:
        assert may is Standing.FREE

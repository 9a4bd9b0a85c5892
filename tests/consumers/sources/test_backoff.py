"""Pauses between attempts: pure rules, no clock and no chance."""

from ostraka_consumers.sources._backoff import Backoff
from ostraka_consumers.sources._http_policy import HttpTiming
from ostraka_consumers.sources._policy import KafkaTiming

TIMING = KafkaTiming()


def longest(most: float) -> float:
    return most


def test_pauses_grow_to_a_bound() -> None:
    backoff = Backoff(TIMING, longest)
    assert [backoff.pause(0.0) for _ in range(7)] == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    assert [backoff.pause(0.0) for _ in range(2_000)][-1] == TIMING.retry_max


def test_a_steady_connection_makes_the_next_pause_short_again() -> None:
    backoff = Backoff(TIMING, longest)
    for _ in range(10):
        backoff.pause(0.0)
    assert backoff.pause(TIMING.steady) == TIMING.retry_min


def test_a_pause_can_be_bounded_from_outside() -> None:
    backoff = Backoff(TIMING, longest)
    assert [backoff.pause(0.0, at_most=0.5) for _ in range(5)] == [0.25, 0.5, 0.5, 0.5, 0.5]


def test_pauses_are_fully_jittered() -> None:
    asked: list[float] = []

    def none_at_all(most: float) -> float:
        asked.append(most)
        return 0.0

    assert Backoff(TIMING, none_at_all).pause(0.0) == 0.0
    assert asked == [TIMING.retry_min]


def test_over_http_they_reach_to_half_a_minute() -> None:
    backoff = Backoff(HttpTiming(), longest)
    assert [backoff.pause(0.0) for _ in range(8)] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]

"""The machine's clocks."""

import time

import pytest

from ostraka_consumers.clock import SystemClock, _counting_sleep


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="the system has no such clock")
def test_time_passes_while_the_machine_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def clock_gettime(clock: int) -> float:
        asked.append(clock)
        return 5_000.0

    monkeypatch.setattr(time, "clock_gettime", clock_gettime)
    assert SystemClock().now().monotonic == 5_000.0
    assert asked == [time.CLOCK_BOOTTIME]


def test_where_there_is_no_such_clock_it_is_the_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(time, "CLOCK_BOOTTIME", raising=False)
    assert _counting_sleep() is time.monotonic


def test_both_clocks_go_forward() -> None:
    clock = SystemClock()
    first, second = clock.now(), clock.now()
    assert second.monotonic >= first.monotonic
    assert abs(second.wall - time.time()) < 60

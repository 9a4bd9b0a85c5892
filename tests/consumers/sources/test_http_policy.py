"""When to ask again, anew or for a snapshot: pure rules, no server and no clock."""

import math

import pytest

from ostraka_consumers.sources._http_policy import Allowance, Gaps, HttpTiming, Look, Remedy, Trouble, Watch
from ostraka_schemas.records import Position

TIMING = HttpTiming()


def look(now: float, **changes: object) -> Look:
    fine = Look(now=now, silence=1.0, incomplete=False, reached=Position(1, 9), roots_due=False)
    return fine._replace(**changes)  # type: ignore[arg-type]


def watch(gaps: Gaps | None = None) -> Watch:
    return Watch(TIMING, gaps or Gaps(TIMING), opened_at=0.0)


def test_nothing_is_wrong() -> None:
    watching = watch()
    assert {watching.trouble(look(float(now))) for now in range(3_600)} == {None}


def test_silence_counts_from_when_the_connection_was_opened() -> None:
    watching = watch()
    assert watching.trouble(look(0.0, silence=math.inf)) is None
    assert watching.trouble(look(TIMING.silence_max, silence=math.inf)) is None
    trouble = watching.trouble(look(TIMING.silence_max + 0.1, silence=math.inf))
    assert trouble == Trouble("no verified heartbeat for 15 s")


def test_getting_on_with_a_backlog_is_neither_silence_nor_a_gap() -> None:
    watching = watch()
    for now in range(0, 100, 10):
        for late in (0.0, 0.9):
            at = look(now + late, silence=math.inf, incomplete=True, reached=Position(1, now + int(late > 0)))
            assert watching.trouble(at) is None


def test_a_key_that_is_not_known_is_asked_about_at_once() -> None:
    trouble = watch().trouble(look(0.0, roots_due=True))
    assert trouble is not None
    assert trouble.at_once
    assert not trouble.snapshot


def test_missing_records_are_asked_for_again_then_a_snapshot_then_ever_more_rarely() -> None:
    watching = watch()
    found = []
    for tenth in range(1_500):
        trouble = watching.trouble(look(tenth / 10, incomplete=True))
        if trouble is not None:
            assert trouble.at_once
            found.append((tenth / 10, trouble.snapshot))
    assert found == [(1.1, False), (1.2, True), (6.2, True), (16.2, True), (36.2, True), (76.2, True), (136.2, True)]


def test_what_was_missing_for_a_moment_is_forgotten() -> None:
    gaps = Gaps(TIMING)
    watching = watch(gaps)
    assert gaps.remedy(0.0) is Remedy.AGAIN
    assert gaps.remedy(0.0) is Remedy.SNAPSHOT
    assert watching.trouble(look(1.0, incomplete=True)) is None
    assert watching.trouble(look(1.9, incomplete=False)) is None
    assert watching.trouble(look(2.1, incomplete=True)) is None
    assert gaps.remedy(2.2) is Remedy.AGAIN


def test_how_often_a_gap_was_tried_outlives_the_connection() -> None:
    gaps = Gaps(TIMING)
    for _ in range(2):
        gaps.remedy(0.0)
    watching = watch(gaps)
    assert watching.trouble(look(0.0, incomplete=True)) is None
    assert watching.trouble(look(4.9, incomplete=True)) is None
    trouble = watching.trouble(look(5.0, incomplete=True))
    assert trouble is not None
    assert trouble.snapshot


@pytest.mark.parametrize("rate", [0.0, 2.0])
def test_so_many_at_once_and_so_many_a_second(rate: float) -> None:
    allowance = Allowance(5, rate, now=100.0)
    assert [allowance.take(100.0) for _ in range(7)] == [True] * 5 + [False] * 2
    assert [allowance.take(101.0) for _ in range(3)] == [True] * int(rate) + [False] * (3 - int(rate))
    assert sum(allowance.take(10_000.0) for _ in range(20)) == (5 if rate else 0)

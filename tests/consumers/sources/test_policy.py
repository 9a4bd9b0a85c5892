"""When to read on, again or anew: pure rules, no broker and no clock."""

import itertools
import math

import pytest

from ostraka_consumers.sources._policy import (
    KafkaTiming,
    Look,
    Place,
    Remedies,
    Rereads,
    Resume,
    Trouble,
    Watch,
    is_same,
    start_offset,
)

TIMING = KafkaTiming()
PLACE = Place(10, b"ten")


def look(now: float, **changes: object) -> Look:
    fine = Look(now=now, position=100, known_end=100, partitions={0}, silence=1.0, incomplete=False)
    return fine._replace(**changes)  # type: ignore[arg-type]


def watch(end: int = 100, remedies: Remedies | None = None) -> Watch:
    return Watch(TIMING, remedies or Remedies(TIMING), opened_at=0.0, end=end)


@pytest.mark.parametrize(
    ("place", "begin", "end", "expected"),
    [
        (None, 0, 20, 0),
        (None, 7, 20, 7),
        (PLACE, 0, 20, 10),
        (PLACE, 0, 11, 10),
        (PLACE, 10, 11, 10),
        (PLACE, 11, 20, 11),  # deleted by retention
        (PLACE, 0, 10, 0),  # shorter than what was read of it
        (PLACE, 0, 0, 0),
    ],
)
def test_where_to_start(place: Place | None, begin: int, end: int, expected: int) -> None:
    assert start_offset(place, begin, end) == expected


def test_the_same_record_at_the_same_offset() -> None:
    assert is_same(PLACE, 10, b"ten")
    assert is_same(Place(3, None), 3, None)
    assert not is_same(PLACE, 11, b"ten")
    assert not is_same(PLACE, 10, b"other")
    assert not is_same(PLACE, 10, None)


def test_nothing_is_wrong() -> None:
    watching = watch()
    assert [watching.trouble(look(float(now))) for now in range(0, 3_600, 5)] == [None] * 720


def test_before_the_first_answer_nothing_is_known_and_nothing_wrong() -> None:
    assert watch(end=0).trouble(look(0.0, position=0, known_end=None, silence=math.inf)) is None


@pytest.mark.parametrize(
    ("partitions", "words"), [(None, "does not exist"), (set(), "does not exist"), ({0, 1, 2}, "3 partitions")]
)
def test_not_exactly_one_partition(partitions: set[int] | None, words: str) -> None:
    trouble = watch().trouble(look(1.0, partitions=partitions))
    assert trouble is not None
    assert words in trouble.reason
    assert not trouble.from_beginning


def test_a_log_that_became_shorter_is_read_from_the_beginning() -> None:
    trouble = watch().trouble(look(1.0, known_end=99))
    assert trouble is not None
    assert trouble.from_beginning


def test_silence_counts_from_when_the_consumer_was_opened() -> None:
    watching = watch()
    assert watching.trouble(look(0.0, silence=math.inf)) is None
    assert watching.trouble(look(TIMING.silence_max, silence=math.inf)) is None
    trouble = watching.trouble(look(TIMING.silence_max + 0.1, silence=math.inf))
    assert trouble == Trouble("no verified heartbeat for 15 s")


def test_news_end_the_silence() -> None:
    watching = watch()
    assert watching.trouble(look(0.0)) is None
    assert watching.trouble(look(100.0, silence=TIMING.silence_max)) is None
    assert watching.trouble(look(100.0, silence=TIMING.silence_max + 0.1)) is not None


def test_getting_on_with_a_backlog_is_not_silence() -> None:
    watching = watch(end=1_000)
    for step in range(10):
        now = step * TIMING.silence_max
        assert watching.trouble(look(now, position=100 * step, known_end=1_000, silence=math.inf)) is None


def test_a_backlog_that_does_not_move_is_silence() -> None:
    watching = watch(end=1_000)
    assert watching.trouble(look(1.0, position=500, known_end=1_000, silence=math.inf)) is None
    late = 1.1 + TIMING.silence_max
    assert watching.trouble(look(late, position=500, known_end=1_000, silence=math.inf)) is not None


def test_a_flood_behind_the_backlog_does_not_pass_for_news() -> None:
    watching = watch(end=10)
    troubles = [
        watching.trouble(look(float(now), position=10 + now, known_end=10_000, silence=math.inf)) for now in range(17)
    ]
    assert troubles[:-1] == [None] * 16
    assert troubles[-1] is not None


def test_missing_records_are_waited_for_a_moment() -> None:
    watching = watch()
    assert watching.trouble(look(1.0, incomplete=True)) is None
    assert watching.trouble(look(1.0 + TIMING.incomplete_max, incomplete=True)) is None
    trouble = watching.trouble(look(1.1 + TIMING.incomplete_max, incomplete=True))
    assert trouble is not None
    assert trouble.from_beginning


def test_missing_records_that_may_still_come_are_not_looked_for() -> None:
    watching = watch(end=500)
    assert watching.trouble(look(1.0, position=100, known_end=500, incomplete=True)) is None
    # A flood moves the end away, but only what was there when they were found missing has to be read.
    assert watching.trouble(look(9.0, position=499, known_end=9_000, incomplete=True)) is None
    assert watching.trouble(look(9.1, position=500, known_end=9_000, incomplete=True)) is not None


def test_missing_records_that_came_are_forgotten() -> None:
    watching = watch()
    watching.trouble(look(1.0, incomplete=True))
    watching.trouble(look(1.5, incomplete=False))
    assert watching.trouble(look(2.1, incomplete=True)) is None


def test_the_log_is_read_again_ever_more_rarely() -> None:
    rereads = Rereads(TIMING)
    times = [second for second in range(600) if rereads.take(float(second))]
    assert times[:5] == [0, 5, 15, 35, 75]
    assert {later - earlier for earlier, later in itertools.pairwise(times[4:])} == {60}
    rereads.nothing_missing()
    assert rereads.take(700.0)
    assert not rereads.take(704.9)
    assert rereads.take(705.0)


def test_the_limit_of_rereads_outlives_the_consumer() -> None:
    remedies = Remedies(TIMING)
    assert remedies.rereads.take(0.0)
    watching = watch(remedies=remedies)
    watching.trouble(look(1.0, incomplete=True))
    assert watching.trouble(look(4.0, incomplete=True)) is None
    assert watching.trouble(look(5.0, incomplete=True)) is not None


def test_a_gap_that_lasts_asks_for_a_snapshot_and_the_log_in_turn() -> None:
    remedies = Remedies(TIMING)
    watching = watch(remedies=remedies)
    found = []
    for tenth in range(200):
        trouble = watching.trouble(look(tenth / 10, incomplete=True, wants_snapshot=tenth > 20))
        if trouble is not None:
            found.append((tenth / 10, trouble.snapshot, trouble.from_beginning))
    assert found == [
        (1.1, False, True),
        (2.1, True, False),
        (6.1, False, True),
        (7.1, True, False),
        (16.1, False, True),
        (17.1, True, False),
    ]
    remedies.nothing_missing()
    assert remedies.snapshots.take(37.1)
    assert remedies.snapshots.take(42.1)


def test_nobody_asks_for_a_snapshot_while_nothing_is_missing() -> None:
    watching = watch()
    assert {watching.trouble(look(float(now), wants_snapshot=True)) for now in range(60)} == {None}


FIRST = Resume()
ON = Resume(PLACE)
AGAIN = Resume(None, again=True)


@pytest.mark.parametrize(
    ("resume", "begin", "wanted", "takes", "near"),
    [
        (FIRST, 0, False, True, True),
        (FIRST, 0, True, True, True),
        (ON, 0, False, False, False),
        (ON, 10, False, False, False),
        (ON, 11, False, True, True),  # retention has passed the place
        (ON, 0, True, True, False),
        (Resume(PLACE, snapshot=True), 0, False, True, False),
        (AGAIN, 0, False, False, False),
        (AGAIN, 0, True, True, False),
        (Resume(PLACE, again=True), 11, False, True, False),
    ],
)
def test_when_a_snapshot_comes_first(resume: Resume, begin: int, wanted: bool, takes: bool, near: bool) -> None:
    assert resume.takes_snapshot(begin, wanted=wanted) is takes
    assert resume.starts_near_snapshot(begin) is near


def test_how_the_next_life_begins() -> None:
    assert AGAIN.after(PLACE, None) == Resume(PLACE, again=True)
    assert AGAIN.after(PLACE, Trouble("x")) == Resume(PLACE)
    assert FIRST.after(None, Trouble("x", from_beginning=True)) == AGAIN
    assert ON.after(PLACE, Trouble("x", snapshot=True)) == Resume(PLACE, snapshot=True)

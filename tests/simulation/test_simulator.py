"""No schedule breaks a promise; and a verifier that is broken on purpose is found out."""

from collections.abc import Iterator

import pytest

from tests import simulator
from tests.simulation.broken import BROKEN
from tests.simulation.hunt import hunt
from tests.simulation.invariants import INVARIANTS
from tests.simulation.remembered import remembered
from tests.simulation.runner import run
from tests.simulation.schedule import STEPS_MIN, make
from tests.simulation.shrink import shrink
from tests.simulation.story import Story
from tests.simulation.unheard import unheard

SCHEDULES = 20_000
SHARES = 4
ENOUGH = 1_500
"""Schedules within which every broken verifier is found out."""


@pytest.fixture
def quick() -> Iterator[None]:
    """Nothing is logged, and what is a function of the bytes is worked out once."""
    with remembered(), unheard():
        yield


@pytest.mark.slow
@pytest.mark.parametrize("share", range(SHARES))
def test_no_schedule_breaks_a_promise(share: int) -> None:
    count = SCHEDULES // SHARES
    found = hunt(share * count, count, processes=2)
    told = [f"seed {failing.seed}: {violation}" for failing in found for violation in failing.violations]
    assert not told, "\n".join([*told, "the story: ./run simulate --seed N"])


@pytest.mark.slow
@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_found_out(name: str, quick: None) -> None:
    breakage, rule = BROKEN[name]
    with breakage():
        assert any(rule in _broken(seed) for seed in range(ENOUGH))


def test_every_rule_can_fail() -> None:
    assert {rule for _, rule in BROKEN.values()} == {rule.__name__ for rule in INVARIANTS}


def _broken(seed: int) -> list[str]:
    return [violation.rule for violation in run(make(seed))[1]]


def test_a_seed_tells_the_same_story_each_time(quick: None) -> None:
    for seed in range(20):
        first, second = Story(), Story()
        run(make(seed), first)
        run(make(seed), second)
        assert first.lines == second.lines
        assert len(first.lines) > STEPS_MIN


def test_a_failing_schedule_is_made_short_and_still_fails(quick: None) -> None:
    breakage, _ = BROKEN["accepts without news"]
    with breakage():
        seed = next(seed for seed in range(ENOUGH) if "accepted_without_news" in _broken(seed))
        schedule = make(seed)
        short = shrink(schedule, "accepted_without_news")
        assert len(short.steps) <= 5
        story = Story()
        _, violations = run(short, story)
    assert "accepted_without_news" in [violation.rule for violation in violations]
    assert any("silence" in line for line in story.lines)
    assert any("ok" in line for line in story.lines)


def test_the_command_tells_one_and_plays_many(capsys: pytest.CaptureFixture[str]) -> None:
    assert simulator.main(["--seed", "3"]) == 0
    assert "every rule held" in capsys.readouterr().out
    assert simulator.main(["--seed", "3", "--schedules", "30", "--processes", "1"]) == 0
    assert "30 schedules from seed 3: every rule held" in capsys.readouterr().out


def test_the_command_fails_with_the_shortest_story(capsys: pytest.CaptureFixture[str], quick: None) -> None:
    breakage, _ = BROKEN["accepts without news"]
    with breakage():
        assert simulator.main(["--seed", "0", "--schedules", "200", "--processes", "1"]) == 1
    out = capsys.readouterr().out
    assert "accepted_without_news" in out
    assert "./run simulate --seed" in out
    assert "BROKEN" in out

"""The rules of refresh alone."""

import pytest

from ostraka_issuer.limits import GENERATION_MAX, REFRESH_GRACE, SESSION_IDLE, SESSION_TOTAL
from ostraka_issuer.sessions.rotation import Family, Verdict, ends_at, judge

NOW = 1_800_000_000.0
FRESH = Family(generation=5, created_at=NOW - 100, used_at=NOW, rotated_at=NOW)


@pytest.mark.parametrize(
    ("generation", "verdict"),
    [
        (5, Verdict.ROTATE),
        (4, Verdict.REPEAT),
        (3, Verdict.REUSED),
        (0, Verdict.REUSED),
        (6, Verdict.REUSED),
        (GENERATION_MAX, Verdict.REUSED),
    ],
)
def test_it_is_the_generation_that_counts(generation: int, verdict: Verdict) -> None:
    assert judge(FRESH, generation, NOW) is verdict


@pytest.mark.parametrize("direction", [1, -1])
def test_the_grace_ends_after_ten_seconds_whichever_way_the_clock_goes(direction: int) -> None:
    """The boundary belongs to it."""
    assert judge(FRESH, 4, NOW + direction * REFRESH_GRACE) is Verdict.REPEAT
    assert judge(FRESH, 4, NOW + direction * (REFRESH_GRACE + 0.001)) is Verdict.REUSED


def test_the_last_generation_is_not_raised() -> None:
    assert judge(FRESH._replace(generation=GENERATION_MAX), GENERATION_MAX, NOW) is Verdict.REUSED


@pytest.mark.parametrize(
    "family",
    [
        FRESH._replace(used_at=NOW - SESSION_IDLE),
        FRESH._replace(created_at=NOW - SESSION_TOTAL),
    ],
)
@pytest.mark.parametrize("generation", [3, 4, 5, 6])
def test_a_session_ends_by_itself(family: Family, generation: int) -> None:
    """Whatever is presented: an old token of a session that has run out is nobody's theft."""
    assert ends_at(family) == NOW
    assert judge(family, generation, NOW) is not Verdict.EXPIRED
    assert judge(family, generation, NOW + 0.001) is Verdict.EXPIRED

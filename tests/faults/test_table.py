"""The page that is made from the rows."""

from pathlib import Path

from tests.faults.rows import ROWS
from tests.faults.rows.base import WHOLE, Result, Row, Scale
from tests.faults.stage import Stage
from tests.faults.table import Played, page


async def nothing(stage: Stage, directory: Path, scale: Scale) -> Result:
    raise NotImplementedError


def test_a_row_has_its_figures_its_worst_and_its_verdict() -> None:
    good = Played(Row("F1", "a fault", nothing), Result(("one", "two|three"), 1.234), 9.0)
    bad = Played(Row("F2", "another", nothing), Result(("one",), 30.0, ("late", "lost")), 9.0)
    none = Played(Row("F3", "a third", nothing), Result(()), 9.0)
    text = page([good, bad, none], WHOLE, "a broker")
    assert "| F1 | a fault | one<br>two/three | 1.23 s | kept |" in text
    assert "| F2 | another | one | 30.00 s | **broken**: late; lost |" in text
    assert "| F3 | a third |  |  | kept |" in text
    assert "2 of 3 rows kept every promise" in text
    assert "a broker, " in text
    assert "30.0 s" in text


def test_rows_that_were_not_played_stay_as_they_are() -> None:
    first, second, gone = (Row(name, "a fault", nothing) for name in ("F1", "F2", "F3"))
    before = page([Played(row, Result(("old",), 2.5), 1.0) for row in (first, second, gone)], WHOLE, "a broker")
    text = page([Played(second, Result(("new",), 3.0, ("late",)), 1.0)], WHOLE, "b", before=before, order=["F1", "F2"])
    assert [line for line in text.splitlines() if line.startswith("| F")] == [
        "| F1 | a fault | old | 2.50 s | kept |",
        "| F2 | a fault | new | 3.00 s | **broken**: late |",
    ]
    assert "1 of 2 rows kept every promise" in text
    assert "accepted is 3.0 s" in text


def test_every_row_has_a_name_of_its_own() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)

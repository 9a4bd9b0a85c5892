"""What `./run mutate` adds to mutmut: the copy it works on, the reasons, the page."""

from pathlib import Path

import pytest

from tools.mutation import page, reasons, stage
from tools.mutation.results import Mutant

PROPERTIES = '''
class A:
    x = 1

    @property
    def y(self) -> int:
        """Two."""
        return self.x + 1

    @staticmethod
    def z() -> int:
        return 3
'''

KILLED = Mutant("n1", "chain.Chain.place", "killed")
ENDLESS = Mutant("n2", "chain.Chain.place", "timeout")
COMPARED = Mutant("n3", "chain.Chain.place", "survived", "if a < b:", "if a <= b:")
LACKING = Mutant("n4", "core.f", "survived", "case 1: return", "")
REASON = reasons.Reason("chain.Chain.place", frozenset({"if a <= b:"}), "equivalent", "a is never b.")


def test_properties_become_methods_that_mean_the_same() -> None:
    changed = stage.plain_properties(PROPERTIES)
    assert "@property" not in changed
    assert "@staticmethod" in changed
    names: dict[str, type] = {}
    exec(changed, names)
    made = names["A"]()
    assert (made.y, made.z()) == (2, 3)
    assert isinstance(names["A"].__dict__["y"], property)
    assert names["A"].__dict__["y"].__doc__ == "Two."


def test_the_copy_has_all_modules_of_the_core_and_keeps_what_did_not_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "STAGE", tmp_path)
    stage.build()
    core = stage.ROOT / "consumers" / "ostraka_consumers" / "trust"
    assert {file.name for file in (tmp_path / stage.PACKAGE).iterdir()} == {file.name for file in core.glob("*.py")}
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.py")}
    (tmp_path / "tests" / "left_over.py").write_text("")
    stage.refresh()
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.py")} == before
    assert all((tmp_path / test).exists() for test in stage.TESTS)


def test_a_reason_covers_the_change_it_names_in_the_function_it_names() -> None:
    elsewhere = Mutant("n5", "chain.Chain.hold", "survived", COMPARED.was, COMPARED.now)
    lacks = reasons.Reason("core.f", frozenset({"without: case 1: return"}), "not worth a test", "why")
    found = reasons.match([COMPARED, elsewhere, LACKING], [REASON, lacks])
    assert found == {COMPARED: REASON, elsewhere: None, LACKING: lacks}
    assert reasons.idle([LACKING], [REASON, lacks]) == ["chain.Chain.place: if a <= b:"]


def test_the_page_counts_and_names_what_lives() -> None:
    text = page.page([KILLED, ENDLESS, COMPARED, LACKING], [REASON])
    assert "**50.0%** of 4 mutants" in text
    assert "| `chain` | 3 | 2 | 1 |" in text
    assert "`chain.Chain.place`, equivalent. a is never b.\n\n* `if a < b:` → `if a <= b:`" in text
    assert "No reason is known yet:\n\n* `core.f`: without `case 1: return`" in text


def test_the_reasons_that_are_written_down_are_whole() -> None:
    core = stage.ROOT / "consumers" / "ostraka_consumers" / "trust"
    known = reasons.load()
    assert known
    for reason in known:
        assert (core / f"{reason.where.split('.')[0]}.py").exists(), reason
        assert reason.kind in reasons.KINDS, reason
        assert reason.why.endswith("."), reason
        assert reason.changes, reason

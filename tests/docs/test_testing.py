"""docs/how-to/testing.md: its files, run as they stand, and every call that it names."""

import re
import subprocess
import sys
from pathlib import Path

from ostraka_consumers.testing import FakeIssuer
from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs" / "how-to" / "testing.md"


def test_its_tests_pass(tmp_path: Path) -> None:
    names = []
    for block in blocks(PAGE):
        assert block.language == "python"
        name = block.text.partition("\n")[0].removeprefix("# ")
        (tmp_path / name).write_text(block.text, encoding="utf-8")
        names.append(name)
    assert names == ["shop.py", "conftest.py", "test_shop.py", "test_stream.py"]
    # No plugin is needed.
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio"]
    ran = subprocess.run(
        [*command, "--rootdir", str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "4 passed" in ran.stdout


def test_what_it_says_can_be_said_is_there() -> None:
    (table,) = re.findall(r"\| call \|.*?\n\n", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    named = set(re.findall(r"`(\w+)\(", table))
    assert {"token", "revoke", "cut_everyone", "rotate", "come_back", "advance"} <= named
    assert all(callable(getattr(FakeIssuer, name)) for name in named)

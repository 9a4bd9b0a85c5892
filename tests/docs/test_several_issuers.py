"""docs/how-to/several-issuers.md: its snippet makes what it says, and its test passes as it stands."""

import subprocess
import sys
from pathlib import Path

import pytest

from ostraka_consumers import MultiIssuerVerifier
from tests.docs.pages import ROOT, blocks
from tests.support.several import Twins

PAGE = ROOT / "docs" / "how-to" / "several-issuers.md"


def test_its_verifier_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twins = Twins()
    for name, issuer in zip(["ours", "partner"], twins.trusted, strict=True):
        (tmp_path / f"{name}.json").write_bytes(issuer.anchor.to_json())
    monkeypatch.chdir(tmp_path)
    made: dict[str, object] = {}
    exec(blocks(PAGE)[0].text, made)
    verifier = made["verifier"]
    assert isinstance(verifier, MultiIssuerVerifier)
    assert verifier.issuers == tuple(issuer.issuer for issuer in twins.trusted)


def test_its_test_passes(tmp_path: Path) -> None:
    for block in blocks(PAGE)[1:]:
        name = block.text.partition("\n")[0].removeprefix("# ")
        (tmp_path / name).write_text(block.text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio"]
    ran = subprocess.run(
        [*command, "--rootdir", str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 passed" in ran.stdout

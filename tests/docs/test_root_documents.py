"""The commands of docs/how-to/root-documents.md, in its order."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from ostraka_consumers.anchor import TrustAnchor
from ostraka_issuer.home import Home
from ostraka_issuer.runtime import open_issuer
from ostraka_schemas.records import Position
from tests.cli.terminal import environment
from tests.docs.pages import ROOT, blocks
from tests.issuer.world import new_settings

PAGE = ROOT / "docs" / "how-to" / "root-documents.md"
SECONDS = 120

INIT, DRAFT, SIGN, PUBLISH, KEYS, TWO_OF_THREE, ROTATE, STOLEN, AGAIN, RESTORED = (
    block.text for block in blocks(PAGE, "bash")
)


class Machine:
    """Runs blocks with the sticks mounted, here below ``path``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.home = path / "home"
        for stick in ("stick", "stick-b", "stick-c"):
            (path / stick).mkdir()

    def __call__(self, script: str) -> subprocess.CompletedProcess[str]:
        variables = {
            "OSTRAKA_HOME": str(self.home),
            "OSTRAKA_PASSWORD_PROFILE": "unsafe-for-tests",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        return subprocess.run(
            ["bash", "-e", "-c", script.replace("/media/", f"{self.path}/")],
            cwd=self.path,
            env=environment(variables),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def good(self, script: str) -> str:
        done = self(script)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


async def test_it_works_from_the_first_to_the_last_command(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    assert "Take the root key away" in machine.good(INIT)
    machine.good(DRAFT)
    unsigned = machine(PUBLISH)
    assert unsigned.returncode == 1
    assert "must sign" in unsigned.stderr
    machine.good(SIGN)
    assert "version 2 is committed" in machine.good(PUBLISH)
    machine.good(KEYS)
    machine.good(TWO_OF_THREE)
    machine.good(ROTATE)
    backup = tmp_path / "backup"
    # The feed key of the next document is made before the backup: a document that is published again needs its key.
    draft, *rest = STOLEN.splitlines(keepends=True)
    machine.good(draft)
    shutil.copytree(machine.home, backup)
    assert "every older token is refused" in machine.good("".join(rest))
    shutil.rmtree(machine.home)
    shutil.copytree(backup, machine.home)
    assert "version 5 is committed" in machine.good(AGAIN)
    machine.good(RESTORED)

    anchor = TrustAnchor.load(Home(machine.home).anchor)
    assert anchor.minimum == Position(3, 0)
    assert len(anchor.root_thumbprints) == 3
    settings = new_settings(tmp_path, home=machine.home, issuer="https://id.example.com")
    async with open_issuer(settings) as issuer:
        assert (issuer.feed.in_force.version, issuer.feed.in_force.epoch) == (6, 3)
        assert len(await issuer.feed.signed_roots()) == 6
        assert issuer.verifier.status.freshness == "fresh"

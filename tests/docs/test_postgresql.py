"""The commands of docs/how-to/postgresql.md, in its order, on a server of their own."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ostraka_issuer.limits import DATABASE_CONNECTIONS
from tests.cli.terminal import environment
from tests.docs.pages import ROOT, blocks
from tests.postgres.admin import fetch
from tests.postgres.fixtures import OwnPostgres, database_url

PAGE = ROOT / "docs" / "how-to" / "postgresql.md"
SECONDS = 150


@pytest.mark.skipif(
    shutil.which("psql") is None or shutil.which("pg_dump") is None,
    reason="psql and pg_dump are not installed; on Debian: apt-get install postgresql-client",
)
def test_it_works_from_the_first_to_the_last_command(own_postgres: OwnPostgres, tmp_path: Path) -> None:
    server = own_postgres()
    place = urlsplit(server.url)
    script = "\n".join(block.text for block in blocks(PAGE, "bash"))
    assert "127.0.0.1:5432" in script
    variables = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PGHOST": str(place.hostname),
        "PGPORT": str(place.port),
        "PGUSER": str(place.username),
        "PGDATABASE": "postgres",
        "OSTRAKA_HOME": str(tmp_path / "home"),
        "OSTRAKA_PASSWORD_PROFILE": "unsafe-for-tests",
    }
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script.replace("127.0.0.1:5432", f"127.0.0.1:{place.port}")],
        cwd=tmp_path,
        env=environment(variables),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ops" in done.stdout
    assert "change-me" not in done.stdout + done.stderr
    assert not (tmp_path / "home" / "ostraka.db").exists()
    users = fetch(database_url(server.url, "ostraka"), "SELECT username FROM users")
    assert [row["username"] for row in users] == ["ops"]
    assert (tmp_path / "ostraka.dump").read_bytes()[:5] == b"PGDMP"


def test_it_counts_the_connections_as_they_are() -> None:
    words = {8: "Eight", 9: "Nine", 10: "Ten"}
    assert re.search(rf"^{words[DATABASE_CONNECTIONS + 1]} connections for each", PAGE.read_text(), re.MULTILINE)

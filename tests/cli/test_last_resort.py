"""A process that is told to end does, also when what it waits for never answers."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

from ostraka_issuer.cli.exits import Exit
from ostraka_issuer.desk.ports import find_free_port
from ostraka_issuer.last_resort import LastResort
from tests.cli.terminal import environment, run

PATIENCE = 60.0

FROZEN = """
import asyncio, sys, threading
from ostraka_issuer.cli import app
from ostraka_issuer.store.engine import Store

async def frozen(self):
    await asyncio.to_thread(threading.Event().wait)

for kind in Store.__subclasses__():
    kind.close = frozen
app(["serve"])
"""


def test_serve_ends_though_the_database_never_does(tmp_path: Path) -> None:
    port = find_free_port()
    variables = {
        "OSTRAKA_HOME": str(tmp_path / "home"),
        "OSTRAKA_ISSUER": f"http://127.0.0.1:{port}",
        "OSTRAKA_HTTP_PORT": str(port),
        "OSTRAKA_KAFKA": "127.0.0.1:1",
        "OSTRAKA_PASSWORD_PROFILE": "unsafe-for-tests",
    }
    assert run("init", env=variables).code == Exit.OK
    process = subprocess.Popen(
        [sys.executable, "-c", FROZEN], env=environment(variables), stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        while "the issuer listens on" not in (line := process.stderr.readline()):
            assert line, "it ended without a word of it"
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 1
    assert "ended without waiting any longer" in err


def test_it_is_asked_for_once_and_can_be_called_off() -> None:
    ended = threading.Event()
    codes: list[int] = []

    def end(code: int) -> None:
        codes.append(code)
        ended.set()

    resort = LastResort(0.01, end)
    resort.begin()
    resort.begin()
    assert ended.wait(PATIENCE)
    resort.begin()
    assert codes == [1]
    called_off = LastResort(PATIENCE, end)
    called_off.begin()
    called_off.cancel()
    called_off._timer.join(PATIENCE)
    assert codes == [1]

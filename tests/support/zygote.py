"""Issuer processes that start in a fraction of a second, so that a test can kill hundreds of them.

The zygote imports the issuer once and forks a child for each start. A child is a real issuer in a process of its own:
HTTP, database, keys, feed. On SIGUSR1 it arms the failpoint it was given, so that what an earlier life left behind can
be worked off first. Its clock may be one that is set from outside. A child may also be another program of the tests.

    python -m tests.support.zygote      (JSON lines on standard input and output)
"""

import asyncio
import ctypes
import importlib
import json
import os
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.offset_clock import OffsetClock

if TYPE_CHECKING:
    from ostraka_issuer.settings import IssuerSettings

ROOT = Path(__file__).resolve().parents[2]
ANSWER_SECONDS = 60.0
_PR_SET_PDEATHSIG = 1


def _child(order: dict[str, Any]) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if "program" in order:
        importlib.import_module(order["program"]).main(order["argument"])
        os._exit(0)
    _issuer(order)
    os._exit(0)


def _issuer(order: dict[str, Any]) -> None:
    from ostraka_issuer import failpoints
    from ostraka_issuer.settings import load_settings

    os.environ.update(order["environment"])
    clock = None if order["clock"] is None else OffsetClock(Path(order["clock"]))
    spec = order["failpoint"]
    signal.signal(signal.SIGUSR1, lambda *_: failpoints.arm(spec))
    settings = load_settings()
    asyncio.run(_serve(settings, clock))


async def _serve(settings: "IssuerSettings", clock: OffsetClock | None) -> None:
    """What ``ostraka serve`` does, with another clock."""
    from ostraka_issuer.http.app import create_app
    from ostraka_issuer.http.server import Server, end_in_order, listen

    def ended(error: Exception) -> None:
        server.should_exit = True

    app = create_app(settings, clock=clock, ended=ended)

    def ending() -> None:
        app.state.issuer.feed.channel.close()

    server = Server(app, ending=ending)
    with listen(settings.http_host, settings.http_port) as listener:
        async with app.router.lifespan_context(app):
            end_in_order(server)
            await server.serve(sockets=[listener])


def main() -> None:
    """Serve the orders on standard input."""
    import ostraka_issuer.http.app

    _say({"ready": ostraka_issuer.http.app.__name__})
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            _, status = os.waitpid(order["wait"], 0)
            _say({"status": os.waitstatus_to_exitcode(status)})
            continue
        pid = os.fork()
        if pid == 0:
            try:
                _child(order)
            except BaseException:
                traceback.print_exc()
                raise
            finally:
                os._exit(1)
        _say({"pid": pid})


def _say(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


class Zygote:
    """The test's side. Use as an asynchronous context manager."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> "Zygote":
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.support.zygote",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        await self._answer()
        return self

    async def __aexit__(self, *_: object) -> None:
        # Its children end with it: see PR_SET_PDEATHSIG.
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def start(
        self, environment: dict[str, str], *, log: Path, failpoint: str | None = None, clock: Path | None = None
    ) -> int:
        """Start an issuer; returns its process id at once, before it is ready. ``clock``: see ``OffsetClock``."""
        return await self._fork(
            log, {"environment": environment, "failpoint": failpoint, "clock": None if clock is None else str(clock)}
        )

    async def run(self, program: str, argument: dict[str, Any], *, log: Path) -> int:
        """Run ``main(argument)`` of a module in a process of its own; returns its id at once."""
        return await self._fork(log, {"program": program, "argument": argument})

    async def _fork(self, log: Path, order: dict[str, Any]) -> int:
        await self._order({"log": str(log), **order})
        pid: int = (await self._answer())["pid"]
        return pid

    async def wait(self, pid: int) -> int:
        """Wait for a child's end; returns its exit code, negative for a signal."""
        await self._order({"wait": pid})
        status: int = (await self._answer())["status"]
        return status

    async def _order(self, value: dict[str, Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(value).encode() + b"\n")
        await self._process.stdin.drain()

    async def _answer(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(ANSWER_SECONDS):
            line = await self._process.stdout.readline()
        assert line, "the zygote has ended"
        answer: dict[str, Any] = json.loads(line)
        return answer


if __name__ == "__main__":
    main()

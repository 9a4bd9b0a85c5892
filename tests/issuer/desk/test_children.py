"""Children end with their parent, in order or by force, and servers come back to their ports."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ostraka_issuer.desk.children import start_child, stop_child, wait_for_end
from ostraka_issuer.desk.ports import HIGHEST_PORT, LOCALHOST, LOWEST_PORT, find_free_port, is_free

DEADLINE = 20.0

SLEEPER = "import time; print('up', flush=True); time.sleep(120)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPER


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A process that ended and that nobody has waited for yet still has an id.
    with contextlib.suppress(OSError):
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    return True


async def until_up(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + DEADLINE
    while b"up" not in log.read_bytes():
        assert process.poll() is None
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log"
    path.touch()
    return path


async def start(program: str, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        process = start_child([sys.executable, "-c", program], output=output)
    await until_up(process, log)
    return process


async def test_a_child_is_stopped_in_order(log: Path) -> None:
    process = await start(SLEEPER, log)
    await stop_child(process, DEADLINE)
    assert process.returncode == -signal.SIGTERM


async def test_a_child_that_does_not_listen_is_ended_by_force(log: Path) -> None:
    process = await start(STUBBORN, log)
    await stop_child(process, 0.1)
    assert process.returncode == -signal.SIGKILL


async def test_a_frozen_child_is_stopped(log: Path) -> None:
    process = await start(SLEEPER, log)
    process.send_signal(signal.SIGSTOP)
    await stop_child(process, DEADLINE)
    assert process.returncode == -signal.SIGTERM


async def test_ctrl_c_in_the_terminal_does_not_reach_a_child(log: Path) -> None:
    process = await start(SLEEPER, log)
    try:
        assert os.getpgid(process.pid) != os.getpgid(0)
    finally:
        await stop_child(process, DEADLINE)


async def test_a_program_that_is_missing_ends_at_once(log: Path) -> None:
    with log.open("ab") as output:
        process = start_child(["no-such-program"], output=output)
    assert await wait_for_end(process, DEADLINE)
    assert process.returncode != 0
    assert b"no-such-program" in log.read_bytes() or b"FileNotFoundError" in log.read_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="only the Linux kernel ends a child with its parent")
async def test_a_child_ends_when_its_parent_is_killed(log: Path) -> None:
    parent_program = f"""
import sys, time
from ostraka_issuer.desk.children import start_child
child = start_child([sys.executable, "-c", {SLEEPER!r}], output=open({str(log)!r}, "ab"))
print(child.pid, flush=True)
time.sleep(120)
"""
    parent = subprocess.Popen([sys.executable, "-c", parent_program], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    with parent.stdout:
        try:
            child = int(parent.stdout.readline())
            await until_up(parent, log)
            assert alive(child)
        finally:
            parent.kill()
            parent.wait()
    deadline = time.monotonic() + DEADLINE
    while alive(child):
        assert time.monotonic() < deadline, "the child outlives its parent"
        await asyncio.sleep(0.01)


async def test_ports_are_free_and_not_for_outgoing_connections() -> None:
    port = find_free_port()
    assert LOWEST_PORT <= port <= HIGHEST_PORT
    assert is_free(port)
    server = await asyncio.start_server(lambda reader, writer: writer.close(), LOCALHOST, port)
    async with server:
        assert not is_free(port)

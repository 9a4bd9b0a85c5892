"""Apache Kafka as one Java process: broker and controller, on free ports of 127.0.0.1, in a temporary directory."""

import asyncio
import base64
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ostraka_issuer.desk.children import kill_child, start_child, stop_child
from ostraka_issuer.desk.ports import LOCALHOST, find_free_port
from tests.kafka.jars import ensure_jars, kafka_version
from tests.kafka.probe import BrokerError, wait_until_ready
from tests.kafka.settings import BASE

START_SECONDS = 60.0
"""Two seconds on a quiet machine; a busy one may take far longer."""

STOP_SECONDS = 15.0
FORMAT_SECONDS = 60.0
PORT_ATTEMPTS = 3

_PORT_TAKEN = "Address already in use"


class ApacheKafka:
    """One broker. Its data and its address survive ``kill()`` and ``restart()``; ``stop()`` removes them.

    Args:
        extra: further broker properties, which win over the ones of ``settings.py``. The words ``{port}``,
            ``{second_port}``, ``{controller_port}`` and ``{directory}`` in a value are replaced; the second port is for
            another listener.
        format_arguments: further arguments for the storage tool, such as ``--add-scram``.
        cluster: the id of the cluster that it is one of; by default it is one of its own.
        client_options: arguments with which aiokafka's client can ask whether the broker is ready.
    """

    true_kafka = True
    can_be_killed = True

    def __init__(
        self,
        extra: Mapping[str, str] | None = None,
        *,
        format_arguments: Sequence[str] = (),
        cluster: str | None = None,
        client_options: Mapping[str, Any] | None = None,
    ) -> None:
        self.kind = f"Apache Kafka {kafka_version()} (Maven)"
        self._extra = dict(extra or {})
        self._format_arguments = tuple(format_arguments)
        self._cluster = new_cluster_id() if cluster is None else cluster
        self._client_options = dict(client_options or {})
        self._directory: Path | None = None
        self._jars = Path()
        self._ports: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """``host:port`` of the listener without encryption. Known once started."""
        return f"{LOCALHOST}:{self._ports['port']}"

    @property
    def second_bootstrap(self) -> str:
        """``host:port`` of the listener that ``extra`` put on ``{second_port}``."""
        return f"{LOCALHOST}:{self._ports['second_port']}"

    @property
    def directory(self) -> Path:
        """The temporary directory: properties, data and ``kafka.log``. Known once started."""
        if self._directory is None:
            raise BrokerError("Apache Kafka has no directory: it is not started")
        return self._directory

    @property
    def pid(self) -> int | None:
        """The id of the running process, or None."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    async def start(self) -> None:
        """Fetches the jars if need be, formats an empty storage, starts, and returns when the broker is ready.

        Raises:
            BrokerError: a part is missing or the broker did not come up; the end of its log is in the message.
        """
        self._jars = await asyncio.to_thread(ensure_jars)
        for attempt in range(1, PORT_ATTEMPTS + 1):
            self._directory = Path(tempfile.mkdtemp(prefix="ostraka-kafka-"))
            try:
                await asyncio.to_thread(self._format)
                await self._launch()
            except BaseException as error:
                await self.stop()
                if attempt == PORT_ATTEMPTS or not isinstance(error, BrokerError) or _PORT_TAKEN not in str(error):
                    raise
            else:
                return

    async def kill(self) -> None:
        """Ends the process with SIGKILL. What it had acknowledged is in the page cache and survives."""
        if self._process is not None:
            await kill_child(self._process)
            self._process = None

    async def restart(self) -> None:
        """Starts the broker again with the same address and data; kills it first if it still runs."""
        await self.kill()
        await self._launch()

    async def pause(self) -> None:
        """Freezes the process: connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    async def resume(self) -> None:
        """Lets a paused process go on."""
        self._signal(signal.SIGCONT)

    async def stop(self) -> None:
        """Ends the process and removes its directory. No effect if there is none."""
        if self._process is not None:
            await stop_child(self._process, STOP_SECONDS)
            self._process = None
        if self._directory is not None:
            await asyncio.to_thread(shutil.rmtree, self._directory, ignore_errors=True)
            self._directory = None

    def _signal(self, number: signal.Signals) -> None:
        if self.pid is None:
            raise BrokerError(f"cannot send {number.name}: Apache Kafka does not run")
        os.kill(self.pid, number)

    def _properties(self) -> dict[str, str]:
        listeners = f"PLAINTEXT://{LOCALHOST}:{{port}},CONTROLLER://{LOCALHOST}:{{controller_port}}"
        settings = {
            **BASE,
            "listeners": listeners,
            "advertised.listeners": f"PLAINTEXT://{LOCALHOST}:{{port}}",
            "controller.quorum.voters": f"1@{LOCALHOST}:{{controller_port}}",
            "log.dirs": "{directory}/data",
            **self._extra,
        }
        words = {**self._ports, "directory": str(self.directory)}
        for word, value in words.items():
            settings = {key: text.replace(f"{{{word}}}", value) for key, text in settings.items()}
        return settings

    def _format(self) -> None:
        names = ("port", "second_port", "controller_port")
        self._ports = {name: str(find_free_port()) for name in names}
        lines = [f"{key}={value}\n" for key, value in self._properties().items()]
        self._configuration.write_text("".join(lines), encoding="utf-8")
        tool = ["kafka.tools.StorageTool", "format", "-t", self._cluster, "-c", str(self._configuration)]
        command = [*self._java(), *tool, *self._format_arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=FORMAT_SECONDS, check=False)
        except subprocess.TimeoutExpired as error:
            raise BrokerError(f"formatting Apache Kafka's storage took longer than {FORMAT_SECONDS:.0f} s") from error
        if done.returncode != 0:
            raise BrokerError(f"formatting Apache Kafka's storage failed: {(done.stdout + done.stderr)[-2_000:]}")

    async def _launch(self) -> None:
        with self._log.open("ab") as log:
            command = [*self._java(), "kafka.Kafka", str(self._configuration)]
            self._process = start_child(command, output=log, directory=self.directory)
        try:
            await wait_until_ready(self.bootstrap, START_SECONDS, self._check_alive, self._client_options)
        except BrokerError as error:
            raise BrokerError(f"Apache Kafka did not start: {error}\n{self._tail()}") from error

    def _check_alive(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            raise BrokerError(f"the process ended with exit code {self._process.returncode}")

    def _java(self) -> list[str]:
        # Compiling little makes it start sooner; the heap is what these tests need.
        options = ["-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dlog4j2.level=WARN"]
        return [find_java(), *options, "-cp", f"{self._jars}/*"]

    @property
    def _configuration(self) -> Path:
        return self.directory / "server.properties"

    @property
    def _log(self) -> Path:
        return self.directory / "kafka.log"

    def _tail(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")[-4_000:] if self._log.exists() else ""


def new_cluster_id() -> str:
    """Returns an id for a new cluster."""
    words = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # One that starts with a dash would be taken for an option.
    return f"A{words[1:]}"


def find_java() -> str:
    """Returns the path of the ``java`` program, from JAVA_HOME or the search path.

    Raises:
        BrokerError: there is none.
    """
    home = os.environ.get("JAVA_HOME")
    candidate = shutil.which("java", path=f"{home}/bin") if home else None
    found = candidate or shutil.which("java")
    if found is None:
        raise BrokerError("Java is not installed; on Debian: apt-get install default-jre-headless")
    return found

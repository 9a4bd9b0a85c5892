"""The system's own PostgreSQL on a free port of 127.0.0.1, with its data in a temporary directory.

The programs refuse to run as root; there they run as ``postgres`` or ``nobody``.
"""

import functools
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from ostraka_issuer.desk.children import start_child
from ostraka_issuer.desk.ports import LOCALHOST, find_free_port
from tests.postgres.admin import wait_until_ready
from tests.postgres.errors import PostgresError

START_SECONDS = 60.0
STOP_SECONDS = 15.0
INIT_SECONDS = 60.0
PORT_ATTEMPTS = 3

USER = "tests"
_DEBIAN = Path("/usr/lib/postgresql")
_PORT_TAKEN = "Address already in use"

BASE: dict[str, str] = {
    "listen_addresses": LOCALHOST,
    "unix_socket_directories": "",
    "max_connections": "300",
    "shared_buffers": "32MB",
    # Nobody looks at these data after a power cut.
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
}


class SystemPostgres:
    """One server. Its data and its address survive ``crash()`` and ``restart()``; ``stop()`` removes them.

    Args:
        extra: further settings, which win over ``BASE``.
        password: clients must know it; without one everybody on this machine is let in.
        largest_file: bytes; the server cannot make a file larger, as on a full disk. One of its logs has 16 MiB.
    """

    def __init__(
        self, extra: Mapping[str, str] | None = None, *, password: str | None = None, largest_file: int | None = None
    ) -> None:
        self.kind = f"PostgreSQL {_version()} (system)"
        self._settings = {**BASE, **(extra or {})}
        self._password = password
        self._largest_file = largest_file
        self._directory: Path | None = None
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Of the database ``postgres``. Known once started."""
        word = f":{quote(self._password)}" if self._password else ""
        return f"postgresql://{USER}{word}@{LOCALHOST}:{self._port}/postgres"

    @property
    def log(self) -> str:
        """What the server wrote so far."""
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""

    def start(self) -> None:
        """Makes an empty cluster, starts it, and returns when the server answers.

        Raises:
            PostgresError: it did not come up; the end of its log is in the message.
        """
        for attempt in range(1, PORT_ATTEMPTS + 1):
            self._directory = Path(tempfile.mkdtemp(prefix="ostraka-postgres-"))
            self._port = find_free_port()
            try:
                self._init()
                self._launch()
            except BaseException as error:
                self.stop()
                if attempt == PORT_ATTEMPTS or not isinstance(error, PostgresError) or _PORT_TAKEN not in str(error):
                    raise
            else:
                return

    def crash(self) -> None:
        """Ends it at once: nothing is written any more, and the next start recovers."""
        self._end(signal.SIGQUIT)

    def restart(self) -> None:
        """Starts it again with the same address and data; ends it first if it still runs."""
        self.crash()
        self._launch()

    def pause(self) -> None:
        """Freezes every process of it: connections stay open and nothing answers."""
        for pid in self._pids():
            os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Lets a paused server go on."""
        for pid in self._pids():
            os.kill(pid, signal.SIGCONT)

    def stop(self) -> None:
        """Ends it and removes its directory. No effect if there is none."""
        self._end(signal.SIGQUIT)
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        for pid in self._pids():
            os.kill(pid, signal.SIGCONT)
        self._process.send_signal(how)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_SECONDS)
        self._process = None

    def _init(self) -> None:
        command = ["initdb", "-D", str(self._data), "-U", USER, "-E", "UTF8", "--locale=C", "--no-sync"]
        command += ["--no-instructions", "-A", "scram-sha-256" if self._password else "trust"]
        if self._password:
            word = self._base / "password"
            word.write_text(self._password)
            command += ["--pwfile", str(word)]
        _give_away(self._base)
        done = subprocess.run(
            _as_somebody([_program(command[0]), *command[1:]]),
            capture_output=True,
            text=True,
            timeout=INIT_SECONDS,
            check=False,
            cwd=self._base,
        )
        if done.returncode != 0:
            raise PostgresError(f"initdb failed: {(done.stdout + done.stderr)[-2_000:]}")
        lines = [f"{name} = '{value}'\n" for name, value in {**self._settings, "port": str(self._port)}.items()]
        with (self._data / "postgresql.conf").open("a") as file:
            file.writelines(lines)

    def _launch(self) -> None:
        with self._log.open("ab") as log:
            limited = [] if self._largest_file is None else ["prlimit", f"--fsize={self._largest_file}"]
            command = _as_somebody([*limited, _program("postgres"), "-D", str(self._data)])
            self._process = start_child(command, output=log, directory=self._base)
        try:
            wait_until_ready(self.url, START_SECONDS, self._check_alive)
        except PostgresError as error:
            raise PostgresError(f"{self.kind} did not start: {error}\n{self.log[-4_000:]}") from error

    def _check_alive(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            raise PostgresError(f"the process ended with exit code {self._process.returncode}")

    def _pids(self) -> Sequence[int]:
        if self._process is None or self._process.poll() is not None:
            return ()
        mother = self._process.pid
        children = Path(f"/proc/{mother}/task/{mother}/children").read_text().split()
        return [mother, *(int(pid) for pid in children)]

    @property
    def _base(self) -> Path:
        if self._directory is None:
            raise PostgresError("PostgreSQL has no directory: it is not started")
        return self._directory

    @property
    def _data(self) -> Path:
        return self._base / "data"

    @property
    def _log(self) -> Path:
        return self._base / "postgres.log"


def programs_are_missing() -> str | None:
    """What is missing to run a server here, or None."""
    try:
        _program("initdb")
        _program("postgres")
    except PostgresError as error:
        return str(error)
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        return "setpriv, to leave root, is not installed; on Debian: apt-get install util-linux"
    return None


@functools.cache
def _program(name: str) -> str:
    """The path of one of PostgreSQL's programs; Debian keeps them off the search path.

    Raises:
        PostgresError: it is not there.
    """
    found = shutil.which(name)
    if found is not None:
        return found
    versions = sorted(_DEBIAN.glob("*/bin"), key=lambda path: int(re.sub(r"\D", "", path.parent.name) or 0))
    for directory in reversed(versions):
        if (directory / name).exists():
            return str(directory / name)
    raise PostgresError("PostgreSQL's server is not installed; on Debian: apt-get install postgresql")


@functools.cache
def _version() -> str:
    done = subprocess.run([_program("postgres"), "--version"], capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.split()[2]


def _somebody() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _as_somebody(command: list[str]) -> list[str]:
    who = _somebody()
    if who is None:
        return command
    # The kernel forgets whose death a process follows when it changes its user.
    return [
        "setpriv", f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--clear-groups", "--pdeathsig=SIGKILL", *command
    ]  # fmt: skip


def _give_away(directory: Path) -> None:
    who = _somebody()
    if who is None:
        return
    for path in (directory, *directory.iterdir()):
        os.chown(path, who.pw_uid, who.pw_gid)

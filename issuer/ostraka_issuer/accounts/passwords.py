"""Passwords: argon2id (RFC 9106) with named parameters, hashed in a bounded pool of threads.

An unknown user costs the same work as a known one, so time does not tell which names exist (see ``strangers``).
"""

import asyncio
import contextlib
import os
import secrets
import sys
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

from argon2 import Parameters, PasswordHasher, Type, profiles
from argon2.exceptions import InvalidHashError, VerificationError

from ostraka_issuer.errors import BadRequest, HashingBusy
from ostraka_issuer.limits import (
    HASHING_NICENESS,
    HASHING_QUEUE,
    HASHING_THREADS,
    PASSWORD_MAX_BYTES,
    PASSWORD_MIN_CHARS,
)
from ostraka_issuer.settings import ProfileName

T = TypeVar("T")

PROFILES: Final = {
    # RFC 9106 §4, second recommended option: 64 MiB, 3 passes, 4 lanes.
    "rfc9106-low-memory": profiles.RFC_9106_LOW_MEMORY,
    # RFC 9106 §4, first recommended option: 2 GiB, 1 pass, 4 lanes.
    "rfc9106-high-memory": profiles.RFC_9106_HIGH_MEMORY,
    # OWASP Password Storage Cheat Sheet, argon2id: 19 MiB, 2 passes, 1 lane.
    "owasp": Parameters(
        type=Type.ID, version=19, salt_len=16, hash_len=32, time_cost=2, memory_cost=19 * 1024, parallelism=1
    ),
    # 8 KiB, 1 pass: protects nothing.
    "unsafe-for-tests": profiles.CHEAPEST,
}


class Passwords:
    """Hashes and checks passwords without blocking the event loop.

    Args:
        profile: one of ``PROFILES``.
        threads, queue: how many are worked on and how many wait, at most.
    """

    def __init__(self, profile: ProfileName, *, threads: int = HASHING_THREADS, queue: int = HASHING_QUEUE) -> None:
        self._hasher = PasswordHasher.from_parameters(PROFILES[profile])
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="ostraka-passwords", initializer=_give_way)
        self.places: Final = threads + queue
        self._places = threading.BoundedSemaphore(self.places)
        self._pending = 0
        self._counting = threading.Lock()
        self._nobody = self._hasher.hash(secrets.token_urlsafe(16))

    @property
    def pending(self) -> int:
        """How many passwords are worked on or wait for it; at most ``places``."""
        return self._pending

    def is_outdated(self, stored: str) -> bool:
        """Whether ``stored`` was made with other parameters than a hash made now would be."""
        try:
            return self._hasher.check_needs_rehash(stored)
        except InvalidHashError:
            return False

    async def hash(self, password: str, *, chosen: bool = True) -> str:
        """The hash to store, parameters and salt included.

        Args:
            chosen: somebody has just thought of it. If not, it is known to fit, and may be shorter than is asked now.

        Raises:
            BadRequest: too short or too long.
            HashingBusy: the queue is full.
        """
        data = _normal(password)
        if (chosen and len(password) < PASSWORD_MIN_CHARS) or len(data) > PASSWORD_MAX_BYTES:
            raise BadRequest(
                f"a password has at least {PASSWORD_MIN_CHARS} characters, at most {PASSWORD_MAX_BYTES} bytes"
            )
        return await self._run(lambda: self._hasher.hash(data))

    async def check(self, stored: str | None, password: str) -> bool:
        """Whether ``password`` fits the ``stored`` hash; with ``None`` the same work is done and the answer is no.

        Raises:
            HashingBusy: the queue is full.
        """
        data = _normal(password)[: PASSWORD_MAX_BYTES + 1]
        fits = await self._run(lambda: self._fits(stored or self._nobody, data))
        return fits and stored is not None and len(data) <= PASSWORD_MAX_BYTES

    async def close(self) -> None:
        """End the threads; what still waits is cancelled."""
        await asyncio.to_thread(self._pool.shutdown, wait=True, cancel_futures=True)

    def _fits(self, stored: str, data: bytes) -> bool:
        try:
            return self._hasher.verify(stored, data)
        except InvalidHashError:
            return stored != self._nobody and self._fits(self._nobody, data)  # a damaged hash costs its time, too
        except VerificationError:
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if not self._places.acquire(blocking=False):
            raise HashingBusy("too many logins at once; try again")
        self._count(1)
        try:
            future = self._pool.submit(work)
        except BaseException:
            self._free()
            raise
        # A caller that goes away does not free its place: the thread is still at work.
        future.add_done_callback(self._free)
        return await asyncio.wrap_future(future)

    def _free(self, _done: "Future[T] | None" = None) -> None:
        self._count(-1)
        self._places.release()

    def _count(self, more: int) -> None:
        with self._counting:  # Places are freed by the threads that hash.
            self._pending += more


def _give_way() -> None:
    """The event loop, with heartbeats and everybody else's requests, goes before this thread. On Linux only."""
    if sys.platform == "linux":  # elsewhere it is the process that has a priority
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), HASHING_NICENESS)


def _normal(password: str) -> bytes:
    # One password, however the keyboard composes it (NIST SP 800-63B §5.1.1.2).
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")

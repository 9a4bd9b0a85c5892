"""Many schedules, on as many processors as there are."""

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import ExitStack
from typing import Final, NamedTuple

from .invariants import Violation
from .remembered import remembered
from .runner import violations_of
from .unheard import unheard

CHUNK: Final = 200
"""Schedules that a process plays before it reports: about a second."""
FOUND_MAX: Final = 20
"""Failing seeds after which the hunt is over: they tell the same story."""

_process = ExitStack()


class Failing(NamedTuple):
    """A seed, and what is wrong with its history."""

    seed: int
    violations: list[Violation]


def hunt(
    first: int, count: int, processes: int, progress: Callable[[int], None] = lambda played: None
) -> list[Failing]:
    """Play the schedules of ``count`` seeds from ``first``; returns those whose history breaks a rule, in order.

    Args:
        progress: called with the number of schedules that were played since the last call.
    """
    chunks = iter([(seed, min(CHUNK, first + count - seed)) for seed in range(first, first + count, CHUNK)])
    if processes == 1:
        with remembered():
            return _one_by_one(chunks, progress)
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), initializer=_prepare) as pool:
        return sorted(_collect(pool, chunks, processes, progress))


def _one_by_one(chunks: Iterator[tuple[int, int]], progress: Callable[[int], None]) -> list[Failing]:
    found: list[Failing] = []
    for chunk in chunks:
        found += _play(*chunk)
        progress(chunk[1])
        if len(found) >= FOUND_MAX:
            break
    return found


def _collect(
    pool: ProcessPoolExecutor, chunks: Iterator[tuple[int, int]], processes: int, progress: Callable[[int], None]
) -> list[Failing]:
    found: list[Failing] = []
    running: dict[Future[list[Failing]], int] = {}
    while True:
        while len(running) < 2 * processes and len(found) < FOUND_MAX:
            chunk = next(chunks, None)
            if chunk is None:
                break
            running[pool.submit(_play, *chunk)] = chunk[1]
        if not running:
            return found
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            progress(running.pop(future))
            found += future.result()


def _prepare() -> None:
    """What a process does once."""
    _process.enter_context(unheard())
    _process.enter_context(remembered())


def _play(first: int, count: int) -> list[Failing]:
    return [Failing(seed, violations) for seed in range(first, first + count) if (violations := violations_of(seed))]

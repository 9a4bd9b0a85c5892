"""Batches, on one core or on all of them."""

import gc
import logging
import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tests.fuzzing import records, tokens
from tests.fuzzing.verdicts import Verdicts


class Target(NamedTuple):
    """What is fuzzed, and how many cases make a batch."""

    run: Callable[[int, int, int], Verdicts]
    size: int


TARGETS = {"tokens": Target(tokens.batch, tokens.BATCH), "records": Target(records.batch, records.BATCH)}


class Job(NamedTuple):
    """One batch."""

    target: str
    seed: int
    number: int
    cases: int


def jobs(target: str, seed: int, cases: int) -> list[Job]:
    """The batches that make up so many cases."""
    size = TARGETS[target].size
    return [Job(target, seed, number, min(size, cases - number * size)) for number in range(-(-cases // size))]


def do(job: Job) -> tuple[Job, Verdicts]:
    """Run one batch."""
    gc.collect()  # what the batch before has left behind is not to be paid for by this one
    with _silent():
        return job, TARGETS[job.target].run(job.seed, job.number, job.cases)


@contextmanager
def _silent() -> Iterator[None]:
    # Alarms are what many cases are made for.
    logger = logging.getLogger("ostraka.verifier")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


@contextmanager
def _alone() -> Iterator[None]:
    # Nor for the garbage of whoever runs this.
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def run(todo: list[Job], *, processes: int | None = None) -> Iterator[tuple[Job, Verdicts]]:
    """Run batches, each finished one as it comes; in this process if one is enough.

    Args:
        processes: how many; by default one for each core this process may use.
    """
    count = len(os.sched_getaffinity(0)) if processes is None else processes
    if count <= 1 or len(todo) <= 1:
        with _alone():
            yield from map(do, todo)
        return
    with multiprocessing.get_context("spawn").Pool(count, initializer=gc.freeze) as pool:
        yield from pool.imap_unordered(do, todo)


def replay(case: str) -> Verdicts:
    """Run the batch of a case up to it; what is found is only what is found there.

    Raises:
        ValueError: that is no case.
    """
    target, *numbers = case.split(":")
    if target not in TARGETS or len(numbers) != 3 or not all(number.isdecimal() for number in numbers):
        raise ValueError(f"a case is written TARGET:SEED:BATCH:CASE, TARGET being one of {', '.join(TARGETS)}")
    seed, number, index = map(int, numbers)
    with _alone(), _silent():
        verdicts = TARGETS[target].run(seed, number, index + 1)
    verdicts.findings = [finding for finding in verdicts.findings if finding.case == case]
    return verdicts

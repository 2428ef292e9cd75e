"""Exercises many descriptions, one after the other in each of a few processes.

A document that brings its process down is told of like one that cannot be read, and the others go on.
"""

import asyncio
import functools
import multiprocessing
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Final, NamedTuple

from actions.mock import MockBackend, MockServer
from actions.specs.model import Spec
from service.descriptions import DEFAULT, Bounds, Unit, collect
from service.usecases.describing import HINT, crashed, describe, failure
from service.usecases.exercising.bounding import TookTooLong, at_most
from service.usecases.exercising.calls import Exercise
from service.usecases.exercising.totals import totals

Line = dict[str, Any]

AHEAD: Final = 4
"""Documents that wait for each process, so that none is idle while a line is printed."""


LONGEST: Final = 300.0
"""Seconds that one document may take, all its operations together; the largest that we know take a tenth."""


class Job(NamedTuple):
    """One document: the path that was given, its place among those found there, how much is read of it."""

    path: str
    place: int
    name: str
    bounds: Bounds = DEFAULT


def jobs_of(path: Path, bounds: Bounds = DEFAULT) -> list[Job]:
    """Return a job for every document at a path."""
    found = enumerate(collect(path, bounds))
    return [Job(str(path), place, unit.name, bounds) for place, unit in found]


def exercise_all(jobs: Sequence[Job], *, processes: int) -> Iterator[Line]:
    """Yield what became of each document, in order, as soon as it is known."""
    if processes < 2 or len(jobs) < 2:
        yield from map(_job, jobs)
        return
    waiting = deque(jobs)
    while waiting:
        yield from _pooled(waiting, processes)
        if waiting:  # a process went down: find out at which document, one by one
            suspects = [waiting.popleft() for _ in range(min(len(waiting), processes * AHEAD))]
            for suspect in suspects:
                yield from _alone(suspect)


def _pooled(waiting: deque[Job], processes: int) -> Iterator[Line]:
    """Yield lines until all is done or the pool breaks; what has no line yet stays in `waiting`."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        running: deque[Future[Line]] = deque()
        begun = 0
        while waiting:
            while len(running) < processes * AHEAD and begun < len(waiting):
                try:
                    running.append(pool.submit(_job, waiting[begun]))
                except BrokenProcessPool:
                    break
                begun += 1
            if not running:
                return
            try:
                line = running.popleft().result()
            except BrokenProcessPool:
                return
            waiting.popleft()
            begun -= 1
            yield line


def _alone(job: Job) -> Iterator[Line]:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        began = time.monotonic()
        try:
            yield pool.submit(_job, job).result()
        except BrokenProcessPool as error:
            slow = time.monotonic() - began > LONGEST
            yield _given_up(job) if slow else crashed(job.name, error)


def _given_up(job: Job) -> Line:
    return failure(job.name, "too-slow", f"it was given up after {LONGEST:.0f} s", HINT)


@functools.lru_cache(maxsize=1)
def _units(path: str, bounds: Bounds) -> list[Unit]:
    return collect(Path(path), bounds)


def _job(job: Job) -> Line:
    """Exercise one document. Never raises: whatever goes wrong is its line."""
    try:
        with at_most(LONGEST):
            units = _units(job.path, job.bounds)
            if job.place >= len(units):
                return failure(job.name, "unreadable-file", f"{job.name} is no longer there")
            return exercise(units[job.place].read(), job.name)
    except TookTooLong:
        return _given_up(job)
    except Exception as error:  # noqa: BLE001 - one document must not take the others with it
        return crashed(job.name, error)


def exercise(spec: Spec, path: str) -> Line:
    """Exercise one description, at a mock of its own; return its line."""
    if not spec.readable:
        return describe(spec, path)
    operations = asyncio.run(_exercised(spec))
    return {"path": path, "operations": operations, "totals": totals(operations)}


async def _exercised(spec: Spec) -> list[dict[str, Any]]:
    async with MockServer(MockBackend(spec), keep=8) as server:
        return await Exercise(spec, server).run()

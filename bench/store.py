"""Measures the embedded store: layouts of a group, the whole cycle of accept and settle, its latency at rest.

`python -m bench store [--seconds S]`. A layout is judged beside a busy event loop: each
message costs the loop 100 µs of other work, as in the service. What the layout adds to that, in CPU of all
threads, and how long the loop stood still for it, is what counts. Nothing here fails by time.
"""

import argparse
import asyncio
import queue
import shutil
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

from bench.figures import Table
from service.delivery import Event, State
from service.store.base import Attempt, Entry, NewRun, RunKey, Settlement, Stored
from service.store.migrate import read
from service.store.sqlite import SQLiteStore
from service.store.sqlite.connect import connect_writer, statements

RECORD = b"r" * 700
WORK_US = 100


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=0.7, help="how long each figure is measured (0.7)")


def figures(options: argparse.Namespace) -> Iterator[Table]:
    """Measure the cycle, the store at rest, the layouts."""
    seconds = options.seconds
    yield Table(
        "accept and settle through the store, so many messages under way",
        [uvloop.run(cycle(many, seconds)) for many in (1, 10, 50, 200, 1000)],
    )
    yield Table("accept at 200 messages a second", [uvloop.run(rest(seconds))])
    yield Table("layouts of a group, beside a busy loop", list(layouts(seconds)))


# -- layouts

TABLES = {
    "messages": "INSERT INTO messages VALUES (?,?,?,?,?,?)",
    "identities": "INSERT INTO identities VALUES (?,?,?,?)",
    "runs": "INSERT INTO runs (message,rule,run,state,lane,epoch,number,started_at,changed_at)"
    " VALUES (?,?,?,?,?,?,?,?,?)",
    "attempts": "INSERT INTO attempts VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
}
Rows = dict[str, list[tuple[Any, ...]]]
Inbox = queue.SimpleQueue[Callable[[], object] | None]
Layout = Callable[[sqlite3.Connection, Rows, Inbox, threading.Event], None]


def layouts(seconds: float) -> Iterator[dict[str, Any]]:
    for interval in (0.005, 0.0005):
        for name, layout in LAYOUTS.items():
            for size in (1, 20, 200):
                yield {
                    "layout": name,
                    "switch ms": interval * 1000,
                    "group": size,
                    **_measure(layout, size, seconds, interval),
                }


def _measure(layout: Layout, size: int, seconds: float, interval: float) -> dict[str, Any]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(interval)
    try:
        with _database() as connection, _thread() as inbox:
            return _beside_work(layout, connection, inbox, size, seconds)
    finally:
        sys.setswitchinterval(before)


def _beside_work(
    layout: Layout,
    connection: sqlite3.Connection,
    inbox: Inbox,
    size: int,
    seconds: float,
) -> dict[str, Any]:
    committed = threading.Event()
    latencies, stalls, number, groups = [], [], 0, 0
    rounds = _calibrate()
    alone = _alone(rounds)
    cpu, start = time.process_time(), time.perf_counter()
    while time.perf_counter() - start < seconds:
        rows = _rows(number, size)
        number += size
        groups += 1
        committed.clear()
        began = time.perf_counter()
        layout(connection, rows, inbox, committed)
        stalls.append(time.perf_counter() - began)
        seen = 0.0
        for _ in range(size):
            _work(rounds)
            if not seen and committed.is_set():
                seen = time.perf_counter()
        committed.wait()
        latencies.append((seen or time.perf_counter()) - began)
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    return {
        "messages/s": round(number / wall),
        "CPU µs each": round((cpu / number - alone) * 1e6, 1),
        "stall ms": round(statistics.median(stalls) * 1e3, 2),
        "commit p50 ms": round(statistics.median(latencies) * 1e3, 2),
    }


def _many(connection: sqlite3.Connection, rows: Rows) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for table, sql in TABLES.items():
        connection.executemany(sql, rows[table])


def _wide(connection: sqlite3.Connection, rows: Rows) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for table, sql in TABLES.items():
        head, values = sql.split(" VALUES ")
        for start in range(0, len(rows[table]), 100):
            some = rows[table][start : start + 100]
            connection.execute(
                f"{head} VALUES " + ",".join([values] * len(some)), [v for row in some for v in row]
            )


def _commit(connection: sqlite3.Connection, committed: threading.Event) -> None:
    connection.execute("COMMIT")
    committed.set()


def everything_in_thread(
    connection: sqlite3.Connection, rows: Rows, inbox: Inbox, committed: threading.Event
) -> None:
    def task() -> None:
        _many(connection, rows)
        _commit(connection, committed)

    inbox.put(task)


def wide_in_thread(
    connection: sqlite3.Connection, rows: Rows, inbox: Inbox, committed: threading.Event
) -> None:
    def task() -> None:
        _wide(connection, rows)
        _commit(connection, committed)

    inbox.put(task)


def commit_in_thread(
    connection: sqlite3.Connection, rows: Rows, inbox: Inbox, committed: threading.Event
) -> None:
    _many(connection, rows)
    inbox.put(lambda: _commit(connection, committed))


def everything_on_loop(
    connection: sqlite3.Connection, rows: Rows, _inbox: Inbox, committed: threading.Event
) -> None:
    _many(connection, rows)
    _commit(connection, committed)


LAYOUTS: dict[str, Layout] = {
    "a: all in the thread": everything_in_thread,
    "b: wide, in the thread": wide_in_thread,
    "c: commit in the thread": commit_in_thread,
    "d: all on the loop": everything_on_loop,
}


def _rows(first: int, size: int) -> Rows:
    numbers = range(first + 1, first + size + 1)
    return {
        "messages": [(n, 1, n, "com.example.order.paid", 1, RECORD) for n in numbers],
        "identities": [(n, _hash(n), b"b" * 16, n) for n in numbers],
        "runs": [(n, 1, 1, 2, 1, 1, 1, n, n) for n in numbers],
        "attempts": [(n, 1, 1, 1, 0, n, n, "ok", 200, "", b"d" * 32, b"a" * 64) for n in numbers],
    }


def _hash(number: int) -> bytes:
    return (number * 0x9E3779B97F4A7C15F39CC0605CEDC835 & (1 << 128) - 1).to_bytes(16, "big")


def _work(rounds: int) -> None:
    total = 0
    for place in range(rounds):
        total += place


def _calibrate() -> int:
    began = time.perf_counter()
    _work(1_000_000)
    return int(1_000_000 * WORK_US * 1e-6 / (time.perf_counter() - began))


def _alone(rounds: int) -> float:
    began = time.process_time()
    for _ in range(1000):
        _work(rounds)
    return (time.process_time() - began) / 1000


@contextmanager
def _database() -> Iterator[sqlite3.Connection]:
    directory = Path(tempfile.mkdtemp(prefix="bench-store-"))
    connection = connect_writer(directory / "bench.db")
    for statement in statements(read("sqlite")[0].text):
        connection.execute(statement)
    try:
        yield connection
    finally:
        connection.close()
        shutil.rmtree(directory)


@contextmanager
def _thread() -> Iterator[Inbox]:
    inbox: Inbox = queue.SimpleQueue()

    def work() -> None:
        while (task := inbox.get()) is not None:
            task()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield inbox
    finally:
        inbox.put(None)
        thread.join()


# -- the store itself


class Cycle:
    """Keeps so many messages between accept and the end of settle."""

    def __init__(self, store: SQLiteStore) -> None:
        self.store = store
        self.number = 0
        self.finished = 0
        self.running = True
        self.idle = asyncio.Event()
        self.under_way = 0

    def begin(self) -> None:
        self.number += 1
        self.under_way += 1
        self.store.accept(entry(self.number), self.accepted)

    def accepted(self, stored: Stored | Exception) -> None:
        if isinstance(stored, Exception):
            raise stored
        settlement = Settlement(
            key=RunKey(stored.number, 1, 1),
            number=1,
            event=Event.SUCCEED,
            attempt=Attempt(
                number=1,
                step=0,
                started_at=1,
                ended_at=2,
                outcome="ok",
                status=200,
                digest=b"d" * 32,
                answer=b"a" * 64,
            ),
        )
        self.store.settle(settlement, self.settled)

    def settled(self, applied: bool) -> None:
        assert applied
        self.finished += 1
        self.under_way -= 1
        if self.running:
            self.begin()
        elif not self.under_way:
            self.idle.set()


def entry(number: int) -> Entry:
    return Entry(
        source=1,
        received_at=int(time.time() * 1000),
        type="com.example.order.paid",
        record=RECORD,
        ruleset=1,
        identity=_hash(number),
        body=b"b" * 16,
        runs=(NewRun(rule=1, lane=1, state=State.RUNNING),),
    )


@contextmanager
def _directory() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="bench-store-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


def _store(directory: Path) -> SQLiteStore:
    def fatal(error: BaseException) -> None:
        raise error

    return SQLiteStore(
        directory, reached=lambda _point: None, clock_ms=lambda: int(time.time() * 1000), on_fatal=fatal
    )


async def cycle(many: int, seconds: float) -> dict[str, Any]:
    with _directory() as directory:
        store = _store(directory)
        await store.open()
        load = Cycle(store)
        cpu, start, health = time.process_time(), time.perf_counter(), store.health()
        for _ in range(many):
            load.begin()
        await asyncio.sleep(seconds)
        load.running = False
        await load.idle.wait()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - start
        after = store.health()
        await store.close()
    fsyncs = after.fsyncs - health.fsyncs
    return {
        "under way": many,
        "messages/s": round(load.finished / wall),
        "CPU µs each": round(cpu / load.finished * 1e6, 1),
        "messages/fsync": round(load.finished / fsyncs, 1),
    }


async def rest(seconds: float) -> dict[str, Any]:
    with _directory() as directory:
        store = _store(directory)
        await store.open()
        latencies: list[float] = []
        cpu = time.process_time()
        count = max(200, int(200 * seconds))
        for number in range(1, count + 1):
            began = time.perf_counter()
            store.accept(entry(number), partial(_note, latencies, began))
            await asyncio.sleep(0.005)
        cpu = time.process_time() - cpu
        await store.close()
    ordered = sorted(latencies)
    return {
        "messages": count,
        "p50 ms": round(ordered[len(ordered) // 2] * 1e3, 2),
        "p99 ms": round(ordered[int(len(ordered) * 0.99)] * 1e3, 2),
        "CPU µs each": round(cpu / count * 1e6, 1),
    }


def _note(latencies: list[float], began: float, _stored: Stored | Exception) -> None:
    latencies.append(time.perf_counter() - began)


if __name__ == "__main__":
    from bench.__main__ import main

    main(["store", *sys.argv[1:]])

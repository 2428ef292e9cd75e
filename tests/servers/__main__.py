"""Servers that stand between test runs: `python -m tests.servers up|down|status [kafka|rabbitmq|postgres …]`.

`archive` runs one Kafka broker and stops it, once after it was installed: that makes the class-data archive which
takes a second or two off each of the many starts in tests.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from service.demo.servers import LocalKafka, processes
from service.demo.servers.kafka import has_archive
from tests.servers import place
from tests.servers.values import VALUES

_FETCHED_WITHIN = 600.0
"""Seconds `up` waits: where containers are used, their images may have to be fetched first."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.servers", description=__doc__)
    parser.add_argument("what", choices=["up", "down", "status", "archive"])
    parser.add_argument("kinds", nargs="*", help="kafka, rabbitmq, postgres; all when none is named")
    parser.add_argument("--owner", type=int, help="up: the process whose end ends the servers")
    given = parser.parse_args()
    kinds = given.kinds or list(VALUES)
    if unknown := set(kinds) - set(VALUES):
        parser.error(f"there is no server {', '.join(sorted(unknown))}; there are {', '.join(VALUES)}")
    return {"up": _up, "down": _down, "status": _status, "archive": _archive}[given.what](kinds, given.owner)


def _up(kinds: list[str], owner: int | None) -> int:
    place.sweep()
    here = place.Place(place.standing().folder, owner)
    began = time.monotonic()
    for kind in kinds:
        here.want(kind)
    code = 0
    for kind in kinds:
        state = here.await_state(kind, _FETCHED_WITHIN)
        said = state.reason or " ".join(str(part) for part in state.value.values())
        print(f"{kind}: {state.name} after {time.monotonic() - began:.1f} s: {said}", flush=True)
        code = code if state.name == "ready" else 1
    return code


def _down(kinds: list[str], _owner: int | None) -> int:
    here = place.standing()
    for kind in kinds:
        state = here.read(kind)
        if state is None or not state.alive:
            print(f"{kind}: does not stand")
            continue
        handle = os.pidfd_open(state.keeper)
        signal.pidfd_send_signal(handle, signal.SIGTERM)
        os.close(handle)
        deadline = time.monotonic() + 30
        while processes.started(state.keeper) == state.since and time.monotonic() < deadline:
            time.sleep(0.05)
        print(f"{kind}: ended" if not state.alive else f"{kind}: its keeper {state.keeper} does not end")
    return 0


def _status(kinds: list[str], _owner: int | None) -> int:
    here = place.standing()
    for kind in kinds:
        state = here.read(kind)
        if state is None or not state.alive:
            print(f"{kind}: does not stand")
        else:
            print(f"{kind}: {state.name}, keeper {state.keeper}: {state.reason or state.value}")
    return 0


def _archive(_kinds: list[str], _owner: int | None) -> int:
    with tempfile.TemporaryDirectory(prefix="pointsman-kafka-") as folder:
        server = LocalKafka(Path(folder))
        if server.find() or has_archive():
            return 0
        began = time.monotonic()
        asyncio.run(_once(server))
    print(f"kafka: runs; its class-data archive made in {time.monotonic() - began:.1f} s")
    return 0


async def _once(server: LocalKafka) -> None:
    try:
        await server.start()
        await server.stop(60)
    finally:
        server.end()


if __name__ == "__main__":
    sys.exit(main())

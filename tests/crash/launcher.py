"""Starts the service as processes of their own, quickly: it has imported the program once and forks.

`python -m tests.crash.launcher DESCRIPTOR`, a socket over which `product` asks: `command` replaces the fork by the plain
command `python -m service …`; otherwise the fork calls the same entry point with the same words. Nothing of the
service runs before the fork, so a fork differs from the command in its start-up time only. A `mutant` is planted in the
child alone. Without words the fork is another launcher, asked over the socket that came with it.
"""

import gc
import importlib
import os
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Final, NoReturn

import msgspec

PRELOADED: Final = (
    "service.app",
    "service.cli.app",
    "service.cli.serving",
    "service.store.sqlite",
    "triggers.webhook",
    "triggers.presets",
    "actions.http",
    "actions.engines.pyreqwest",
    "actions.specs.openapi",
    "uvicorn.lifespan.off",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.httptools_impl",
    "encodings.idna",
    "triggers.kafka.source",
    "triggers.kafka.checking",
    "triggers.kafka.reading",
    "triggers.rabbitmq.source",
    "triggers.postgres.source",
    "triggers.poll.source",
    "triggers.schedule.source",
    "actions.kafka.connector",
    "actions.rabbitmq.connector",
)
"""What the service imports on its way to its first message."""


class Start(msgspec.Struct):
    """One process to start; its standard error is the descriptor that comes with it.

    Without words it is another launcher, and the descriptor is its socket.
    """

    words: list[str] = []
    environment: dict[str, str] = {}
    folder: str = ""
    mutant: str = ""
    command: bool = False


def load() -> None:
    """Import the program, for all forks to come."""
    for name in PRELOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


def serve(asked: socket.socket) -> None:
    """Start one process after the other; tell its id, then how it ended. An id is not reused before we are asked again."""
    left = 0
    while True:
        data, descriptors, _, _ = socket.recv_fds(asked, 1 << 16, 1)
        if left:
            os.waitpid(left, 0)
            left = 0
        if not data:
            return
        start = msgspec.json.decode(data, type=Start)
        child = os.fork()
        if not child:
            if start.words:
                become(start, descriptors[0], asked)
            asked.close()
            serve(socket.socket(fileno=descriptors[0]))
            os._exit(0)
        os.close(descriptors[0])
        if not start.words:
            continue
        asked.send(f"{child}\n".encode())
        ended = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        killed = ended.si_code in (os.CLD_KILLED, os.CLD_DUMPED)
        asked.send(f"{-ended.si_status if killed else ended.si_status}\n".encode())
        left = child


def become(start: Start, output: int, asked: socket.socket) -> NoReturn:
    """Be the service from here on."""
    asked.close()
    os.dup2(output, 2)
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(0, 1)
    os.close(output)
    # Streams know what kind of file they were opened upon, which is no longer the case.
    sys.stdin, sys.stdout = (open(number, mode, closefd=False) for number, mode in ((0, "r"), (1, "w")))  # noqa: SIM115 - for as long as it lives
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115 - for as long as it lives
    os.chdir(start.folder)
    os.environ.clear()
    os.environ.update(start.environment)
    if start.command:
        os.execv(sys.executable, [sys.executable, "-m", "service", *start.words])
    from service import __main__, crashpoints

    crashpoints.reached = crashpoints.armed(os.environ)  # it was made at import, before the fork
    if start.mutant:
        from tests.crash import mutants
        from tests.crash.calls import mutants as of_calls
        from tests.crash.outside import mutants as of_sources

        (mutants.MUTANTS | of_calls.MUTANTS | of_sources.MUTANTS)[start.mutant]()
    sys.argv = [str(Path(__main__.__file__)), *start.words]
    status = 70
    try:
        __main__.main()
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else 1
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who asks; the end of the socket is our end
    load()
    serve(socket.socket(fileno=int(sys.argv[1])))

"""Picks ports for servers that must come back on the same port after they were killed.

Such a port must lie below the ephemeral range: there the kernel gives it to any outgoing connection while the
server is down, and the server finds its address in use.
"""

import random
import socket
from pathlib import Path
from typing import Final

from service.errors import Unavailable

LOOPBACK: Final = "127.0.0.1"
_FIRST: Final = 20_000
_END: Final = 32_768
_TRIES: Final = 200
_EPHEMERAL: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_taken: set[int] = set()


def take_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens and which this process has not given out before.

    Other processes pick at random too: two may take the same port in the same instant, rarely.
    """
    end = min(_END, _first_ephemeral())
    for _ in range(_TRIES):
        port = random.randrange(_FIRST if end > _FIRST else 1_024, end)  # noqa: S311 - not a secret
        if port not in _taken and is_free(port):
            _taken.add(port)
            return port
    raise Unavailable(f"no free port was found on {LOOPBACK} below {end}")


def is_free(port: int) -> bool:
    """Say whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    """Say whether something accepts connections on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((LOOPBACK, port)) == 0


def _first_ephemeral() -> int:
    try:
        return int(_EPHEMERAL.read_text("ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return _END

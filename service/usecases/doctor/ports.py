"""Looks whether the ports are free, or already ours. It listens for a moment and answers nobody."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator, Mapping
from typing import Final

from service.settings import Settings
from service.usecases.doctor.rows import Row, fine, wrong
from triggers.base import PROBLEM_TYPE

_MOST: Final = 4096
_WITHIN: Final = 2.0


async def port_rows(settings: Settings) -> list[Row]:
    """Look at both ports of an instance that is not this process."""
    wanted = (
        ("webhooks", "--port", settings.host, settings.port, "/hooks/"),
        ("admin API", "--admin-port", settings.admin_host, settings.admin_port, "/api/v1/"),
    )
    return [await _port(*one) for one in wanted]


def listening_rows(ports: Mapping[str, int]) -> Iterator[Row]:
    """Say where this process listens."""
    for what, port in ports.items():
        yield fine("network", what, f"listens on port {port}")


async def _port(what: str, option: str, host: str, port: int, path: str) -> Row:
    if port == 0:
        return fine("network", what, "any free port")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE and await _ours(host, port, path):
            return fine("network", what, f"{host}:{port} is ours: an instance runs there")
        return wrong(
            "network",
            what,
            "port-taken" if error.errno == errno.EADDRINUSE else "port-refused",
            f"cannot listen on {host}:{port}: {error.strerror or error}",
            f"choose another {option}, or stop what is there",
        )
    return fine("network", what, f"{host}:{port} is free")


async def _ours(host: str, port: int, path: str) -> bool:
    """Say whether a Pointsman answers there: it refuses with a problem document of its own."""
    local = "127.0.0.1" if host in ("0.0.0.0", "") else "::1" if host == "::" else host  # noqa: S104 - compared
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_WITHIN):
            reader, writer = await asyncio.open_connection(local, port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
                await writer.drain()
                answer = b""
                while len(answer) < _MOST and (more := await reader.read(_MOST)):
                    answer += more
                return PROBLEM_TYPE.encode() in answer
            finally:
                writer.close()
    return False

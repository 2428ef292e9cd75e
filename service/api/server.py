"""The admin listener: FastAPI on uvicorn, inside the service's own loop."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from typing_extensions import override

from service import __version__
from service.api import connections, deliveries, descriptions, health, messages, problems, setup, sources
from service.api.protocol import HEAD_BYTES, BoundedProtocol
from service.api.security import Guard, Reader
from service.errors import Unavailable
from service.settings import Settings
from service.usecases.desk import Desk
from service.usecases.tokens import Tokens


def create_app(desk: Desk, tokens: Tokens, hosts: tuple[str, ...]) -> FastAPI:
    """Return the ASGI application."""
    app = FastAPI(
        title="Pointsman admin API",
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,  # as the log of admin calls names them
    )
    app.state.desk = desk
    app.state.tokens = tokens
    problems.install(app)
    app.include_router(health.router, responses=_PROBLEMS)
    app.include_router(connections.callback)
    routers = (
        messages.router,
        deliveries.router,
        sources.router,
        connections.router,
        descriptions.router,
        setup.router,
    )
    for router in routers:
        app.include_router(router, prefix="/api/v1", responses=_PROBLEMS)

    @app.get("/api/v1/openapi.json", include_in_schema=False)
    async def openapi(_caller: Reader) -> dict[str, Any]:
        return app.openapi()

    app.add_middleware(Guard, hosts=hosts)
    return app


_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    "default": {
        "description": "A problem (RFC 9457): `type` is stable, `errors` lists everything that is wrong.",
        "content": {
            "application/problem+json": {
                "schema": {
                    "type": "object",
                    "required": ["type", "title", "status"],
                    "properties": {
                        "type": {"type": "string", "format": "uri"},
                        "title": {"type": "string"},
                        "status": {"type": "integer"},
                        "detail": {"type": "string"},
                        "errors": {"type": "array", "items": {"type": "object"}},
                    },
                }
            }
        },
    }
}


class _Quiet(uvicorn.Server):
    """uvicorn without its own signal handling: the service owns the signals."""

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class AdminServer:
    """Serves the admin API from `start` to `stop`."""

    def __init__(self, desk: Desk, tokens: Tokens, settings: Settings) -> None:
        self._settings = settings
        hosts = settings.admin_hosts
        if settings.admin_host not in ("0.0.0.0", "::", *hosts):  # noqa: S104 - compared, not bound
            hosts = (*hosts, settings.admin_host)
        self._app = create_app(desk, tokens, hosts)
        self._server: _Quiet | None = None
        self._serving: asyncio.Task[None] | None = None
        self.port = 0

    async def start(self) -> None:
        """Listen. Raise Unavailable when the port is taken."""
        logging.getLogger("uvicorn").addHandler(logging.NullHandler())  # `problems` logs what is worth it
        config = uvicorn.Config(
            self._app,
            http=BoundedProtocol,
            h11_max_incomplete_event_size=HEAD_BYTES,
            ws="none",
            host=self._settings.admin_host,
            port=self._settings.admin_port,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            limit_concurrency=256,
            timeout_graceful_shutdown=2,
        )
        self._server = _Quiet(config)
        host, port = self._settings.admin_host, self._settings.admin_port
        try:
            listening = socket.create_server((host, port), family=_family(host), backlog=128)
        except OSError as error:
            raise Unavailable(
                f"the admin API cannot listen on {host}:{port}: {error.strerror or error}; "
                "choose another --admin-port"
            ) from error
        # What is accepted inherits it; asyncio sets it only on sockets that it has made itself.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = listening.getsockname()[1]
        self._serving = asyncio.get_running_loop().create_task(self._server.serve(sockets=[listening]))

    async def stop(self) -> None:
        """Stop listening and end the connections. Twice is harmless."""
        if self._server is None or self._serving is None:
            return
        self._server.should_exit = True
        await self._serving
        self._server = None


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET

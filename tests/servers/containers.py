"""The shared servers as containers of the official images, where a container engine answers.

Whether those images could be had is known only by trying: what fails here is tried as a local process next.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any, Final

import docker
import docker.errors
import requests
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient

from service.demo.servers import kafka, postgres, rabbitmq
from service.demo.servers.ports import take_port

IMAGES: Final = {
    "kafka": "apache/kafka:4.1.0",
    "rabbitmq": "rabbitmq:4.1-management",
    "postgres": "postgres:17",
}
TROUBLES: Final = (docker.errors.DockerException, requests.RequestException, TimeoutError, OSError)
"""What the engine, the registry or the container may answer instead of a server."""
_READY_WITHIN: Final = 90.0
_LOCAL: Final = ("localhost", "127.0.0.1")


def engine_answers() -> bool:
    """Say whether there is a container engine and it is wanted."""
    if os.environ.get("POINTSMAN_TEST_SERVERS") == "local":
        return False
    try:
        client = docker.from_env(timeout=5)
    except TROUBLES:
        return False
    try:
        return bool(client.ping())
    except TROUBLES:
        return False
    finally:
        client.close()


class Contained:
    """One shared server in a container; testcontainers' reaper removes it should this process be killed."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._container: DockerContainer | None = None

    def missing(self) -> str | None:
        return None

    async def start(self) -> tuple[dict[str, Any], int | None]:
        host = DockerClient().host()
        made = _MAKERS[self._kind](
            DockerContainer(IMAGES[self._kind]), "127.0.0.1" if host in _LOCAL else host
        )
        self._container, addresses, ready = made
        starting = asyncio.ensure_future(asyncio.to_thread(self._container.start))
        try:
            await asyncio.shield(starting)
        finally:
            # A thread cannot be cancelled, and `end` must find the container that it makes.
            await asyncio.wait({starting})
        async with asyncio.timeout(_READY_WITHIN):
            while True:
                if await ready():
                    return addresses, None
                await asyncio.sleep(0.2)

    def end(self) -> None:
        if self._container is not None:
            self._container.stop()


Made = tuple[DockerContainer, dict[str, Any], Callable[[], Awaitable[bool]]]


def _kafka(container: DockerContainer, host: str) -> Made:
    port = take_port()
    properties = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": "1@localhost:9093",
        "listeners": "PLAINTEXT://:9092,CONTROLLER://:9093",
        "advertised.listeners": f"PLAINTEXT://{host}:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        **kafka.ONE_BROKER,
    }
    for key, value in properties.items():
        container.with_env("KAFKA_" + key.upper().replace(".", "_"), value)
    _publish(container, 9092, host, port)
    bootstrap = f"{host}:{port}"
    return container, {"bootstrap": bootstrap}, lambda: kafka.ready(bootstrap)


def _rabbitmq(container: DockerContainer, host: str) -> Made:
    amqp, management, stream = take_port(), take_port(), take_port()
    container._command = [  # with_command joins and splits words, which this must survive
        "sh",
        "-c",
        "rabbitmq-plugins enable --offline rabbitmq_stream && exec docker-entrypoint.sh rabbitmq-server",
    ]
    for inside, port in ((5672, amqp), (15672, management), (5552, stream)):
        _publish(container, inside, host, port)
    url = f"amqp://guest:guest@{host}:{amqp}/"
    addresses = {"url": url, "management": f"http://{host}:{management}", "stream_port": stream}
    return container, addresses, lambda: rabbitmq.ready(url)


def _postgres(container: DockerContainer, host: str) -> Made:
    port = take_port()
    settings = {**postgres.SETTINGS, "fsync": "off"}
    container.with_env("POSTGRES_HOST_AUTH_METHOD", "trust")
    container._command = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
    _publish(container, 5432, host, port)
    dsn = f"postgresql://postgres@{host}:{port}/postgres"
    return container, {"host": host, "port": port}, lambda: postgres.ready(dsn)


def _publish(container: DockerContainer, inside: int, host: str, port: int) -> None:
    """Publish a port, on the loopback alone where the engine is on this machine: there is no password."""
    container.ports[f"{inside}/tcp"] = ("127.0.0.1", port) if host == "127.0.0.1" else port


_MAKERS: Final = {"kafka": _kafka, "rabbitmq": _rabbitmq, "postgres": _postgres}

"""One RabbitMQ node with management and streams, from the distribution's own programs.

It has its own port mapper (epmd), as a child of ours: the one that Erlang would start by itself is shared by
all nodes of a machine and stays behind when they are gone.
"""

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import ClassVar, Final

from typing_extensions import override

from service.demo.servers import processes
from service.demo.servers.base import LocalServer
from service.demo.servers.ports import LOOPBACK, answers, take_port
from service.errors import Unavailable

_PROGRAM: Final = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""The real one: the wrapper in /usr/sbin changes user and environment."""
_STREAM: Final = "rabbitmq_stream"
_MANAGEMENT: Final = "rabbitmq_management"
_MAPPER_WITHIN: Final = 10.0


class LocalRabbitMQ(LocalServer):
    """A RabbitMQ node with user and password `guest`; `extra` are further lines of rabbitmq.conf.

    With its management API, `stop` takes six seconds in RabbitMQ 3.10; without, one.
    """

    kind: ClassVar[str] = "rabbitmq"

    def __init__(
        self, directory: Path, extra: dict[str, str] | None = None, *, management: bool = True
    ) -> None:
        super().__init__(directory)
        self._extra: Final = extra or {}
        self._with_management: Final = management
        self._port: Final = take_port()
        self._management_port: Final = take_port()
        self._stream_port: Final = take_port()
        self._distribution_port: Final = take_port()
        self._mapper_port: Final = take_port()
        self._mapper: subprocess.Popen[bytes] | None = None

    @override
    def _find(self) -> str | None:
        if not _PROGRAM.exists():
            return f"RabbitMQ is not installed ({_PROGRAM} is missing); run: make servers"
        if _epmd() is None:
            return "Erlang's port mapper (epmd) is missing; run: sudo apt-get install erlang-base"
        return None

    @property
    @override
    def port(self) -> int:
        return self._port

    @property
    @override
    def url(self) -> str:
        return f"amqp://guest:guest@{LOOPBACK}:{self._port}/"

    @property
    def management(self) -> str:
        """The address of the management API."""
        return f"http://{LOOPBACK}:{self._management_port}"

    @property
    def stream_port(self) -> int:
        """The port of the stream protocol."""
        return self._stream_port

    @override
    def _prepare(self) -> None:
        lines = {
            "listeners.tcp.1": f"{LOOPBACK}:{self._port}",
            "loopback_users": "none",
            "log.console": "true",
            "log.console.level": "info",
            "log.console.use_colors": "off",
            "log.file": "false",
        }
        plugins = []
        if _has(_STREAM):
            plugins.append(_STREAM)
            lines["stream.listeners.tcp.1"] = f"{LOOPBACK}:{self._stream_port}"
        if self._with_management and _has(_MANAGEMENT):
            plugins.append(_MANAGEMENT)
            lines["management.tcp.ip"] = LOOPBACK
            lines["management.tcp.port"] = str(self._management_port)
        lines |= self._extra
        (self.directory / "rabbitmq.conf").write_text(
            "".join(f"{key} = {value}\n" for key, value in lines.items()), "utf-8"
        )
        (self.directory / "enabled_plugins").write_text(f"[{','.join(plugins)}].\n", "ascii")
        (self.directory / "home").mkdir(exist_ok=True)

    @override
    def _launch(self) -> "subprocess.Popen[bytes]":
        environment = self._environment()
        if self._mapper is None or self._mapper.poll() is not None:
            self._mapper = self._launch_mapper(environment)
        return processes.spawn([str(_PROGRAM)], log=self.log, environment=environment)

    @override
    async def _probe(self) -> bool:
        return answers(self._port) and await ready(self.url)

    @override
    def _end_companions(self) -> None:
        mapper, self._mapper = self._mapper, None
        if mapper is not None:
            if mapper.poll() is None:
                processes.kill(mapper.pid)
            mapper.wait(processes.GONE_WITHIN)

    def _launch_mapper(self, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
        words = [str(_epmd()), "-port", str(self._mapper_port), "-address", LOOPBACK]
        mapper = processes.spawn(words, log=self.directory / "epmd.log", environment=environment)
        processes.record(self.directory / "epmd.pid", mapper.pid)
        deadline = time.monotonic() + _MAPPER_WITHIN
        while not answers(self._mapper_port):
            if mapper.poll() is not None or time.monotonic() > deadline:
                processes.kill(mapper.pid)
                mapper.wait(processes.GONE_WITHIN)
                raise Unavailable(f"Erlang's port mapper did not start; see {self.directory / 'epmd.log'}")
            time.sleep(0.01)  # milliseconds in all: it has nothing to read or to prepare
        return mapper

    def _environment(self) -> dict[str, str]:
        place = self.directory
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C.UTF-8",
            "HOME": str(place / "home"),  # Erlang makes its cookie there
            "RABBITMQ_NODENAME": f"pointsman{self._port}@localhost",
            "RABBITMQ_MNESIA_BASE": str(place / "data"),
            "RABBITMQ_LOG_BASE": str(place),
            "RABBITMQ_CONFIG_FILE": str(place / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(place / "enabled_plugins"),
            "RABBITMQ_PID_FILE": str(place / "node"),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "ERL_EPMD_PORT": str(self._mapper_port),
            "ERL_EPMD_ADDRESS": LOOPBACK,
            # Has the script become the node instead of its parent, so that our signals reach the node. Not
            # reading from a terminal must then be asked for.
            "RABBITMQ_ALLOW_INPUT": "true",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-noinput -start_epmd false -kernel inet_dist_use_interface {127,0,0,1}"
            ),
            "RABBITMQ_SERVER_START_ARGS": "+S 2:2 +sbwt none",
        }


async def ready(url: str) -> bool:
    """Say whether a RabbitMQ node at this address opens a connection and a channel."""
    import aio_pika
    from aio_pika.exceptions import AMQPError

    try:
        connection = await aio_pika.connect(url, timeout=3)
        async with connection, connection.channel():
            return True
    except (AMQPError, OSError):
        return False


def _epmd() -> Path | None:
    found = shutil.which("epmd") or next(iter(Path("/usr/lib/erlang").glob("erts-*/bin/epmd")), None)
    return None if found is None else Path(found)


def _has(plugin: str) -> bool:
    return any(Path("/usr/lib/rabbitmq/lib").glob(f"rabbitmq_server-*/plugins/{plugin}-*"))

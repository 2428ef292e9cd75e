"""One Kafka broker that is its own controller (KRaft), from jars that `scripts/servers` fetched.

The first broker of an installation that is stopped in good order leaves a class-data archive beside the jars,
which takes seconds off every later start.
"""

import contextlib
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import ClassVar, Final

from typing_extensions import override

from service.demo.servers import processes
from service.demo.servers.base import STOP_WITHIN, LocalServer, run
from service.demo.servers.ports import LOOPBACK, answers, take_port

_CLUSTER: Final = "4L6g3nShT-eMCtK--X86sw"
ONE_BROKER: Final = {
    # One broker: every internal topic has one copy and, for a quick start, one partition.
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # Without these two a broker that was killed waits 13 to 17 s until its own earlier session has ended.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "500",
}
"""What a broker that is alone needs to be told, however it is run."""


class LocalKafka(LocalServer):
    """A Kafka broker; `extra` are further lines of server.properties."""

    kind: ClassVar[str] = "kafka"

    def __init__(self, directory: Path, extra: dict[str, str] | None = None) -> None:
        super().__init__(directory)
        self._extra: Final = extra or {}
        self._port: Final = take_port()
        self._controller_port: Final = take_port()
        self._recording: Path | None = None

    @override
    def _find(self) -> str | None:
        if shutil.which("java") is None:
            return "java is missing (Kafka needs 17 or newer); run: make servers"
        if home() is None:
            return f"Kafka's jars are not in {_cache()}; run: make servers"
        return None

    @property
    @override
    def port(self) -> int:
        return self._port

    @property
    @override
    def url(self) -> str:
        return self.bootstrap

    @property
    def bootstrap(self) -> str:
        """What Kafka's clients call their bootstrap servers."""
        return f"{LOOPBACK}:{self._port}"

    @override
    async def stop(self, patience: float = STOP_WITHIN) -> None:
        await super().stop(patience)
        recording, self._recording = self._recording, None
        if recording is not None and recording.exists():
            recording.replace(_archive(_home()))

    @override
    def _prepare(self) -> None:
        file = self.directory / "server.properties"
        properties = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{LOOPBACK}:{self._controller_port}",
            "listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://{LOOPBACK}:{self._controller_port}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": str(self.directory / "data"),
            **ONE_BROKER,
            **self._extra,
        }
        file.write_text("".join(f"{key}={value}\n" for key, value in properties.items()), "utf-8")
        if not (self.directory / "data" / "meta.properties").exists():
            tool = ["kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", str(file)]
            run([*_java(_home()), *tool], dict(os.environ))

    @override
    def _launch(self) -> "subprocess.Popen[bytes]":
        archive = _archive(_home())
        classes = []
        if archive.exists():
            # A stale archive (another java, other jars) is passed over in silence, as -Xshare:auto says.
            classes = [f"-XX:SharedArchiveFile={archive}", "-Xshare:auto"]
        elif os.access(archive.parent, os.W_OK):
            self._recording = archive.with_name(f"{archive.name}.{os.getpid()}.{self._port}")
            classes = [f"-XX:ArchiveClassesAtExit={self._recording}"]
        memory = ["-Xms128m", "-Xmx384m"]
        command = [
            *_java(_home(), *memory, *classes),
            "kafka.Kafka",
            str(self.directory / "server.properties"),
        ]
        return processes.spawn(command, log=self.log, environment=dict(os.environ))

    @override
    async def _probe(self) -> bool:
        return answers(self._port) and await ready(self.bootstrap)


async def ready(bootstrap: str) -> bool:
    """Say whether a broker at this address knows its cluster and its group coordinator answers."""
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.errors import KafkaError

    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=3_000)
    try:
        await admin.start()
        cluster = await admin.describe_cluster()
        # A coordinator that gives offsets has read its log: groups can be joined.
        await admin.list_consumer_group_offsets("pointsman-ready")
    except (KafkaError, OSError):
        return False
    finally:
        await admin.close()
    return bool(cluster["brokers"])


def home() -> Path | None:
    """Return the folder of the newest Kafka that is installed whole, or None."""
    given = os.environ.get("POINTSMAN_KAFKA_HOME")
    if given:
        return Path(given) if (Path(given) / "libs").is_dir() else None
    found = [done.parent for done in _cache().glob("kafka-*/complete")]
    return max(
        found, key=lambda path: [int(digits) for digits in re.findall(r"\d+", path.name)], default=None
    )


def has_archive() -> bool:
    """Say whether the installed Kafka has its class-data archive for this java."""
    return home() is not None and _archive(_home()).exists()


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "pointsman"


def _home() -> Path:
    found = home()
    if found is None:
        raise FileNotFoundError(f"Kafka's jars are not in {_cache()}")
    return found


def _java(kafka: Path, *options: str) -> list[str]:
    """Return the beginning of a command: a java that starts fast and says little."""
    quick = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    quiet = ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Xlog:cds=off", "-Xlog:cds+dynamic=off"]
    return [shutil.which("java") or "java", *options, *quick, *quiet, "-cp", f"{kafka / 'libs'}/*"]


def _archive(kafka: Path) -> Path:
    return kafka / f"classes-{_java_version()}.jsa"


@cache
def _java_version() -> str:
    """Return a word for this java; archives of one are of no use to another."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        said = subprocess.run(  # noqa: S603 - the words are ours
            [shutil.which("java") or "java", "-version"], capture_output=True, timeout=30, check=False
        )
        found = re.search(rb'version "([\w.+-]+)"', said.stderr)
        if found is not None:
            return found[1].decode("ascii")
    return "unknown"

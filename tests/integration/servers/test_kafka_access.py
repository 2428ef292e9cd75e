"""Logging in, encrypting, and what `check` finds: every refusal is said with its fix, and nothing is changed."""

import asyncio
import subprocess
from typing import Any

import pytest

from service.demo.servers.kafka import home
from service.demo.servers.ports import take_port
from tests.fakes.certificates import Authority
from tests.fakes.sources import Emitted, Reports, source_context
from tests.integration.servers.kafka_runs import Runs
from tests.patience import PATIENCE
from tests.servers import things
from tests.servers.kafka_room import KafkaRoom
from triggers.base import Finding
from triggers.errors import SourceRejected, SourceUnavailable
from triggers.kafka import KafkaSource
from triggers.kafka.config import KafkaConfig

PASSWORD = "pa55word-of-anna"
AUTHORITY = Authority()


class Guarded:
    """A broker with users: anna may do everything, bert nothing; on one port in clear, on another with TLS."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.clear = f"127.0.0.1:{take_port()}"
        self.safe = f"127.0.0.1:{take_port()}"
        self.nowhere = f"127.0.0.1:{take_port()}"

    def settings(self) -> dict[str, str]:
        both = f"LOGIN://{self.clear},SAFE://{self.safe},AWAY://127.0.0.1:{take_port()}"
        plain = "org.apache.kafka.common.security.plain.PlainLoginModule required"
        users = f'{plain} user_anna="{PASSWORD}" user_bert="{PASSWORD}";'
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        identity = AUTHORITY.sign("127.0.0.1").decode()
        key = identity[identity.index("-----BEGIN PRIVATE KEY") :]
        settings = {
            "listeners": f"PLAINTEXT://{self.server.bootstrap},CONTROLLER://127.0.0.1:{self.server._controller_port},{both}",
            "advertised.listeners": f"PLAINTEXT://{self.server.bootstrap},LOGIN://{self.clear},SAFE://{self.safe},"
            f"AWAY://{self.nowhere}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,LOGIN:SASL_PLAINTEXT,"
            "SAFE:SASL_SSL,AWAY:PLAINTEXT",
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS;User:anna",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.certificate.chain": identity[: identity.index("-----BEGIN PRIVATE KEY")],
            "ssl.keystore.key": key,
        }
        self.away = both.rsplit("//", 1)[1]
        for listener in ("login", "safe"):
            settings[f"listener.name.{listener}.plain.sasl.jaas.config"] = users
            for size in ("256", "512"):
                settings[f"listener.name.{listener}.scram-sha-{size}.sasl.jaas.config"] = scram
        return {name: value.strip().replace("\n", "\\n") for name, value in settings.items()}

    async def add_scram_users(self) -> None:
        """Users of SCRAM live in the cluster; only Kafka's own tool makes them."""
        tool = ["java", "-cp", f"{home()}/libs/*", "kafka.admin.ConfigCommand"]
        tool += ["--bootstrap-server", self.server.bootstrap, "--alter", "--entity-type", "users"]
        for size in ("256", "512"):
            secret = f"SCRAM-SHA-{size}=[iterations=4096,password={PASSWORD}]"
            command = [*tool, "--entity-name", "anna", "--add-config", secret]
            await asyncio.to_thread(
                subprocess.run, command, check=True, capture_output=True, timeout=PATIENCE
            )

    def config(self, **changes: Any) -> KafkaConfig:
        said: dict[str, Any] = {
            "kind": "kafka",
            "servers": [self.clear],
            "topics": ["orders"],
            "group": "guarded",
        }
        login = {"mechanism": "PLAIN", "username": "anna", "password": PASSWORD}
        return KafkaConfig.model_validate({**said, "sasl": login, "request_timeout": "2s", **changes})

    async def check(self, **changes: Any) -> list[Finding]:
        """Return what a source finds, what is installed here apart."""
        source = KafkaSource("orders", self.config(**changes))
        await source.open(source_context(Emitted()))
        try:
            found = await source.check()
        finally:
            await source.close()
        assert PASSWORD not in repr(found)
        assert all(one.message and one.fix for one in found)
        return [one for one in found if one.code != "codecs-missing"]


@pytest.fixture
async def guarded(make_kafka) -> Guarded:
    extra = {"ssl.client.auth": "none"}
    guarded = Guarded(make_kafka(extra=extra))
    extra.update(guarded.settings())
    await guarded.server.start()
    await things.create_topic(guarded.server.bootstrap, "orders")
    return guarded


async def test_every_way_to_log_in_is_gone_and_every_refusal_is_said(guarded: Guarded) -> None:
    await guarded.add_scram_users()
    room = KafkaRoom(guarded.server.bootstrap)
    tls = {"ca": AUTHORITY.pem.decode()}
    anna = {"username": "anna", "password": PASSWORD}

    for number, changes in enumerate(
        (
            {"sasl": {"mechanism": "PLAIN", **anna}},
            {"sasl": {"mechanism": "SCRAM-SHA-256", **anna}},
            {"sasl": {"mechanism": "SCRAM-SHA-512", **anna}, "servers": [guarded.safe], "tls": tls},
            {"sasl": None, "servers": [guarded.server.bootstrap]},
        ),
        start=1,
    ):
        assert await guarded.check(**changes) == []
        await room.produce("orders", [b"%d" % number])
        store = Emitted()
        await _take(guarded, store, number, changes)

    codes = {
        "wrong password": {"sasl": {**anna, "mechanism": "PLAIN", "password": "wrong"}},
        "wrong scram password": {"sasl": {**anna, "mechanism": "SCRAM-SHA-512", "password": "wrong"}},
        "untrusted": {"servers": [guarded.safe], "tls": {}},
        "no TLS on a TLS port": {"servers": [guarded.safe]},
        "TLS on a clear port": {"tls": tls},
        "no login where one is wanted": {"sasl": None},
        "nobody there": {"servers": [guarded.nowhere]},
    }
    found = {name: [one.code for one in await guarded.check(**changes)] for name, changes in codes.items()}
    assert found == {
        "wrong password": ["login-refused"],
        "wrong scram password": ["login-refused"],
        "untrusted": ["certificate-not-trusted"],
        "no TLS on a TLS port": ["not-kafka"],
        "TLS on a clear port": ["not-kafka"],
        "no login where one is wanted": ["not-kafka"],
        "nobody there": ["unreachable"],
    }
    for name, error in (
        ("wrong password", SourceRejected),
        ("wrong scram password", SourceRejected),
        ("untrusted", SourceRejected),
        ("no TLS on a TLS port", SourceUnavailable),
        ("TLS on a clear port", SourceUnavailable),
        ("no login where one is wanted", SourceUnavailable),
        ("nobody there", SourceUnavailable),
    ):
        raised = await _refusal(guarded, codes[name])
        assert type(raised) is error, (name, raised)
        assert PASSWORD not in repr(raised)

    bert = {"sasl": {"mechanism": "PLAIN", "username": "bert", "password": PASSWORD}}
    assert {one.code for one in await guarded.check(**bert)} == {"topic-not-permitted", "group-not-permitted"}
    refused = await _refusal(guarded, bert)
    assert isinstance(refused, SourceUnavailable | SourceRejected)
    assert "may not see it" in str(refused)

    away = await guarded.check(sasl=None, servers=[guarded.away])
    assert {one.code for one in away} >= {"advertised-unreachable"}
    assert guarded.nowhere in away[0].message


async def test_a_check_finds_what_is_wrong_with_topics_and_groups(kafka, kafka_topic) -> None:
    runs = Runs(KafkaRoom(kafka.bootstrap), await kafka_topic(prefix="access"))
    await runs.room.produce(runs.topic, [b"0", b"1", b"2"])

    async def codes(**changes: Any) -> list[str]:
        source = KafkaSource("orders", runs.config(**changes))
        await source.open(source_context(runs.emitted, report=Reports()))
        found = [one.code for one in await source.check()]
        await source.close()
        return [code for code in found if code != "codecs-missing"]

    assert await codes() == []
    assert await codes(topics=[runs.topic, "no-such-topic"]) == ["topic-missing"]
    assert await codes(pattern="no-such-.*") == ["no-topic-matches"]
    async with runs.run(assignor="range") as running:
        await runs.values(3)
        assert await codes(assignor="roundrobin") == ["assignor-differs"]
        assert await codes(assignor="range") == []
        assert not running.task.done()
    await runs.room.produce(runs.topic, [b"3", b"4"])
    await runs.room.delete_before(runs.topic, 4)
    assert await codes() == ["records-gone"]
    async with runs.room.cluster() as cluster:
        assert "no-such-topic" not in (await cluster.metadata()).topics


async def _take(guarded: Guarded, store: Emitted, count: int, changes: dict[str, Any]) -> None:
    source = KafkaSource("orders", guarded.config(group=f"g{count}", session_timeout="2s", **changes))
    await source.open(source_context(store))
    task = asyncio.create_task(source.run(store.begin()))
    await store.until(lambda: len(store.messages) >= count, f"{count} messages")
    task.cancel()
    await asyncio.wait([task], timeout=PATIENCE)
    await source.close()


async def _refusal(guarded: Guarded, changes: dict[str, Any]) -> BaseException | None:
    source, store = KafkaSource("orders", guarded.config(**changes)), Emitted()
    await source.open(source_context(store))
    task = asyncio.create_task(source.run(store.begin()))
    await asyncio.wait([task], timeout=PATIENCE)
    assert task.done()
    await source.close()
    return task.exception()

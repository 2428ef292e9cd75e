"""Proves access to a cluster without changing anything: brokers, login, topics, group, what is still there.

It joins no group, commits nothing and creates no topic. It never raises for what it finds.
"""

import ssl
from collections.abc import Callable
from typing import Final, Literal

from aiokafka import codec, errors
from aiokafka.conn import create_conn

from triggers.base import Finding, SourceContext
from triggers.errors import TriggerError
from triggers.kafka import offsets
from triggers.kafka.cluster import Cluster, Group, address, metadata_of, shut
from triggers.kafka.config import KafkaConfig
from triggers.kafka.faults import DRIVER, plain
from triggers.kafka.offsets import Partition
from triggers.kafka.security import Link
from triggers.kafka.topics import chosen
from triggers.kafka.wire import Metadata

MAX_TOPICS: Final = 50
"""How many topics are tried for permission to read: enough to see what is not permitted."""

Find = Callable[..., None]

_KNOWN: Final = (
    (
        ssl.SSLCertVerificationError,
        "certificate-not-trusted",
        "give the authority's certificate as `tls.ca`, or mend the name in the broker's",
    ),
    (ssl.SSLError, "tls-failed", "look whether this port speaks TLS; if it does not, leave `tls` out"),
    (
        (errors.SaslAuthenticationFailed, errors.AuthenticationFailedError),
        "login-refused",
        "look at `sasl.username` and `sasl.password`",
    ),
    (
        (errors.UnsupportedSaslMechanismError, errors.IllegalSaslStateError),
        "login-not-supported",
        "choose a `sasl.mechanism` that this port has, or leave `sasl` out",
    ),
)
"""What goes wrong with a connection, its code, and what would mend it. The more special comes first."""


async def check(config: KafkaConfig, link: Link, context: SourceContext) -> list[Finding]:
    """Return everything that stands in the way of reading."""
    found: list[Finding] = []

    def find(code: str, message: str, fix: str, *, field: str = "", warning: bool = False) -> None:
        severity: Literal["error", "warning"] = "warning" if warning else "error"
        found.append(Finding(severity=severity, code=code, message=message, fix=fix, field=field))

    if not (codec.has_snappy() and codec.has_lz4() and codec.has_zstd()):
        find(
            "codecs-missing",
            "records compressed with snappy, lz4 or zstd cannot be opened here; they would become rejects",
            "install the package cramjam",
            warning=True,
        )
    reached = [await _reach(server, config, link, find) for server in config.servers]
    if not any(reached):
        return found
    cluster = Cluster(config.servers, link)
    try:
        metadata = await cluster.metadata(config.topics or None)
        await _brokers(config, link, metadata, find)
        _topics(config, metadata, find)
        await _reading(config, cluster, metadata, find)
        group = await _group(config, cluster, find)
        if group is not None:
            await _still_there(config, cluster, metadata, context, find)
    except TriggerError as error:
        find("not-answered", str(error), "look at the brokers, then check again")
    finally:
        await cluster.close()
    return found


async def _reach(
    server: str, config: KafkaConfig, link: Link, find: Find, *, advertised: bool = False
) -> bool:
    """Connect to one address and log in; say whether that went well."""
    connection = None
    try:
        connection = await create_conn(*address(server), **link)
        await metadata_of(connection, [])  # a port that wants a login takes a connection without one
    except (*DRIVER, ValueError) as error:
        code, fix = _advice(error, config, advertised=advertised)
        what = f"the cluster says that a broker is at {server}, but" if advertised else f"{server}:"
        find(code, f"{what} {plain(error)}", fix, field="servers")
        return False
    finally:
        if connection is not None:
            await shut(connection)
    return True


def _advice(error: BaseException, config: KafkaConfig, *, advertised: bool) -> tuple[str, str]:
    """Return a code for what went wrong with a connection, and what would mend it."""
    for one in (error, error.__cause__):
        for kind, code, fix in _KNOWN:
            if isinstance(one, kind):
                return code, fix
    if advertised:
        return (
            "advertised-unreachable",
            "set the broker's `advertised.listeners` to an address that can be reached from here",
        )
    if isinstance(error, errors.KafkaError | TimeoutError | EOFError | ConnectionResetError):
        port = "a Kafka port with TLS" if config.tls else "a Kafka port without TLS"
        login = "" if config.sasl else ", and whether it wants `sasl`"
        return "not-kafka", f"look whether this is {port}{login}"
    return "unreachable", "start the broker, or mend the address"


async def _brokers(config: KafkaConfig, link: Link, metadata: Metadata, find: Find) -> None:
    """Reach each broker where it says that it is: that is where a consumer goes."""
    for node in metadata.nodes.values():
        where = f"[{node.host}]:{node.port}" if ":" in node.host else f"{node.host}:{node.port}"
        if where not in config.servers:
            await _reach(where, config, link, find, advertised=True)


def _topics(config: KafkaConfig, metadata: Metadata, find: Find) -> None:
    for name in config.topics:
        topic = metadata.topics.get(name)
        code = topic.error if topic is not None else errors.UnknownTopicOrPartitionError.errno
        if code == errors.TopicAuthorizationFailedError.errno:
            find(
                "topic-not-permitted",
                f"{name}: not permitted",
                "permit DESCRIBE and READ on it",
                field="topics",
            )
        elif code:
            find(
                "topic-missing",
                f"{name}: there is no such topic, or this user may not see it",
                "create it, mend its name, or permit DESCRIBE and READ",
                field="topics",
            )
    if config.pattern is not None and not chosen(config, metadata):
        find(
            "no-topic-matches",
            f"no topic matches {config.pattern}",
            "mend the pattern, or create the topics: they will be found",
            field="pattern",
            warning=True,
        )


async def _reading(config: KafkaConfig, cluster: Cluster, metadata: Metadata, find: Find) -> None:
    """Fetch one byte of each topic: only that shows whether reading is permitted."""
    firsts = {one.topic: one for one in reversed(chosen(config, metadata))}
    for one in list(firsts.values())[:MAX_TOPICS]:
        try:
            logs = await cluster.logs([one])
            if one in logs:
                await cluster.raw(one, logs[one].start, 1, 0)
        except TriggerError as error:
            find("topic-not-readable", f"{one.topic}: {error}", "permit READ on the topic", field="topics")


async def _group(config: KafkaConfig, cluster: Cluster, find: Find) -> Group | None:
    try:
        group = await cluster.group(config.group)
    except TriggerError as error:
        find("group-not-permitted", str(error), f"permit READ on group {config.group}", field="group")
        return None
    if group.state == "Stable" and group.protocol not in ("", config.assignor):
        find(
            "assignor-differs",
            f"the members of group {config.group} share out partitions by {group.protocol}",
            f"set `assignor: {group.protocol}`, or choose a group of its own",
            field="assignor",
        )
    return group


async def _still_there(
    config: KafkaConfig, cluster: Cluster, metadata: Metadata, context: SourceContext, find: Find
) -> None:
    """Compare what was taken with what the log still has."""
    stored = offsets.read(await context.positions(), metadata.cluster)
    partitions = chosen(config, metadata)
    committed = await cluster.committed(config.group, partitions)
    for one, log in (await cluster.logs(partitions)).items():
        taken = stored.get(one)
        if taken.rewind if taken is not None else one not in committed:
            continue
        gap = offsets.place(taken, committed.get(one), log, at=None, policy=config.on_gap).gap
        if gap is not None:
            find(*_gone(one, gap, config), field="on_gap", warning=config.on_gap != "stop")


def _gone(one: Partition, gap: offsets.Gap, config: KafkaConfig) -> tuple[str, str, str]:
    said = f"{one.topic}/{one.partition}: {gap.reason} at offset {gap.at}, the log goes on at {gap.to}"
    keep = "keep records longer than the source may be stopped (`retention.ms`)"
    fix = f"{keep}; rewind the source to decide how to go on" if config.on_gap == "stop" else keep
    return "records-gone", f"records that were not taken are gone: {said}", fix

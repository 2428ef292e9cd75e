"""What is wrong or doubtful about a RabbitMQ source: in its configuration, and at the broker.

Looks only: nothing at the broker is made, changed or taken.
"""

import ipaddress
from typing import Literal

from triggers.base import Finding
from triggers.errors import SourceRejected, SourceUnavailable
from triggers.rabbitmq import topology
from triggers.rabbitmq.config import DeclareConfig, RabbitMQConfig
from triggers.rabbitmq.connection import Access, Link

_DROPS_BY_ITSELF = 4
"""The major version from which quorum queues drop what was delivered 20 times, unless told otherwise."""


def _finding(
    severity: Literal["error", "warning"], code: str, message: str, fix: str, field: str = ""
) -> Finding:
    return Finding(severity=severity, code=code, message=message, fix=fix, field=field)


def review(config: RabbitMQConfig) -> list[Finding]:
    """Return what is allowed in a configuration and probably not meant."""
    findings = []
    if config.id is None and config.body != "cloudevents" and config.reads_stream is None:
        findings.append(
            _finding(
                "warning",
                "random-id",
                "a message without message_id gets a random id: delivered again, it is stored twice",
                "have publishers set message_id, or say where the id is, for example id: data.order_id",
                "id",
            )
        )
    if not config.tls and not _is_local(config.host):
        findings.append(
            _finding(
                "warning",
                "no-tls",
                "the password and all messages go over the network as they are",
                "write amqps:// in the url",
                "url",
            )
        )
    if config.username is None and config.cert is None and not _is_local(config.host):
        findings.append(
            _finding(
                "warning",
                "guest",
                "RabbitMQ lets the user guest in from its own host only",
                "give username and password",
                "username",
            )
        )
    if config.declare is not None:
        findings += _review_declare(config.declare)
    return findings


def _review_declare(declare: DeclareConfig) -> list[Finding]:
    findings = []
    arguments = declare.arguments
    if not declare.durable:
        findings.append(
            _finding(
                "warning",
                "not-durable",
                "the queue and its messages are gone when the broker restarts",
                "write durable: true",
                "declare.durable",
            )
        )
    if "x-expires" in arguments:
        findings.append(
            _finding(
                "warning",
                "expires",
                "the broker deletes the queue with its messages when we are away for longer than x-expires",
                "take x-expires away",
                "declare.arguments.x-expires",
            )
        )
    drops = [name for name in ("x-message-ttl", "x-max-length", "x-max-length-bytes") if name in arguments]
    kept = "x-dead-letter-exchange" in arguments or "reject-publish" in str(arguments.get("x-overflow"))
    if drops and not kept and declare.type != "stream":
        findings.append(
            _finding(
                "warning",
                "drops-messages",
                f"{' and '.join(drops)}: the broker drops messages before we have taken them",
                "add x-dead-letter-exchange, or take the limit away",
                "declare.arguments",
            )
        )
    if declare.type == "quorum" and not kept:
        findings.append(
            _finding(
                "warning",
                "no-dead-letters",
                "a quorum queue drops a message that was delivered too often (RabbitMQ 4: 20 times)",
                "add x-dead-letter-exchange, or x-delivery-limit: -1",
                "declare.arguments",
            )
        )
    return [finding for finding in findings if finding.code != "no-dead-letters" or not _unlimited(declare)]


async def check(access: Access, config: RabbitMQConfig) -> list[Finding]:
    """Return what is wrong or doubtful at the broker."""
    try:
        async with await access.connect("check") as link:
            return await _check_queue(link, config)
    except SourceUnavailable as error:
        return [_finding("error", "unreachable", str(error), "start the broker, or mend url", "url")]
    except SourceRejected as error:
        return [_refusal(error)]


def _refusal(error: SourceRejected) -> Finding:
    text = str(error)
    if "certificate" in text:
        return _finding("error", "untrusted", text, "give the authority's certificate as `ca`", "ca")
    if "the login" in text:
        return _finding("error", "bad-login", text, "mend username and password", "username")
    if "virtual host" in text:
        return _finding("error", "no-vhost", text, "mend the path of url, or grant permissions", "url")
    if "ACCESS_REFUSED" in text:
        return _finding("error", "no-permission", text, "grant the permission to the user", "username")
    return _finding("error", "refused", text, "see the broker's log")


async def _check_queue(link: Link, config: RabbitMQConfig) -> list[Finding]:
    found = await topology.find(link, config.queue)
    if found is None:
        return [_missing(config)]
    findings = []
    stream = config.reads_stream is not None
    if found.type == "stream" and not stream:
        findings.append(
            _finding(
                "error",
                "is-stream",
                f"the queue {config.queue} is a stream",
                "write `stream: {start: first}`",
                "stream",
            )
        )
    elif found.type not in ("stream", None) and stream:
        findings.append(
            _finding(
                "error",
                "no-stream",
                f"the queue {config.queue} is no stream but {found.type}",
                "take `stream` away",
                "stream",
            )
        )
    else:
        findings += await _check_likeness(link, config)
    if (
        config.declare is None
        and found.type == "classic"
        and await topology.is_durable(link, config.queue) is False
    ):
        findings.append(
            _finding(
                "warning",
                "not-durable",
                f"the queue {config.queue} and its messages are gone when the broker restarts",
                "make it anew as a durable queue",
                "queue",
            )
        )
    if config.declare is None and found.type == "quorum" and _drops(link):
        findings.append(
            _finding(
                "warning",
                "delivery-limit",
                "this broker drops a message that was delivered 20 times, without a dead letter exchange",
                "set a dead letter exchange by policy, or delivery-limit -1",
                "queue",
            )
        )
    if found.consumers > 1 and not stream:  # one may be this very source, which is running
        findings.append(
            _finding(
                "warning",
                "other-consumers",
                f"{config.queue} has {found.consumers} consumers, this source among them if it runs: "
                "each message goes to one of them only",
                "give this source a queue of its own, bound to the same exchange",
                "queue",
            )
        )
    return findings


async def _check_likeness(link: Link, config: RabbitMQConfig) -> list[Finding]:
    try:
        different = await topology.difference(link, config)
    except SourceRejected as error:
        return [
            _finding(
                "error", "no-permission", str(error), "grant `configure` on the queue to the user", "username"
            )
        ]
    if not different:
        return []
    message = f"the queue {config.queue} is there and differs from `declare`, {different}"
    fix = "write `declare` as the queue is, or move its messages and delete it"
    return [_finding("error", "differs", message, fix, "declare")]


def _missing(config: RabbitMQConfig) -> Finding:
    message = f"there is no queue {config.queue} in the virtual host {config.vhost}"
    if config.declare is None:
        fix = "make it, or write `declare:` to have it made"
        return _finding("error", "no-queue", message, fix, "queue")
    fix = "it is made when the source starts, or now by `sources setup`"
    return _finding("warning", "no-queue", message, fix, "queue")


def _drops(link: Link) -> bool:
    major = link.version.partition(".")[0]
    return major.isdigit() and int(major) >= _DROPS_BY_ITSELF


def _unlimited(declare: DeclareConfig) -> bool:
    limit = declare.arguments.get("x-delivery-limit")
    return isinstance(limit, int) and limit < 0


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")

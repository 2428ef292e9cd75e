"""The queue of a source, its exchanges and bindings: looked at, made, and removed.

A channel dies with the first thing that the broker refuses, so each question has a channel of its own. What
is there is never changed: a queue that differs from the configuration is a refusal that says what differs.
"""

import re
from collections.abc import Callable, Coroutine
from typing import Any, Final

import msgspec
from aiormq.abc import AbstractChannel

from triggers.base import SetupStep
from triggers.errors import SourceRejected
from triggers.rabbitmq.config import BindingConfig, DeclareConfig, QueueType, RabbitMQConfig
from triggers.rabbitmq.connection import Link

_KIND: Final = re.compile(r"of queue type rabbit_(classic|quorum|stream)_queue")
_DIFFERS: Final = re.compile(r"inequivalent arg '(?P<name>[^']*)'.*?: (?P<what>received .*)$", re.DOTALL)
_NO_NUMBER: Final = {"x-expires": "no"}
"""An argument that no broker takes: with it nothing is ever made, and what is there is compared up to it."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a queue that is there."""

    type: QueueType | None
    ready: int
    consumers: int


async def asked(link: Link, work: Callable[[AbstractChannel], Coroutine[Any, Any, Any]], what: str) -> Any:
    """Return the answer to one question, asked on a channel of its own."""
    channel = await link.channel()
    answer = await link.call(work(channel), what)
    await link.call(channel.close(), "closing a channel")
    return answer


async def find(link: Link, queue: str) -> Found | None:
    """Return what is known of a queue; None when it is not there."""
    try:
        declared = await asked(
            link, lambda channel: channel.queue_declare(queue, passive=True), f"a look at the queue {queue}"
        )
    except SourceRejected as error:
        if "NOT_FOUND" in str(error):
            return None
        raise
    kind = await kind_of(link, queue)
    return Found(type=kind, ready=declared.message_count or 0, consumers=declared.consumer_count or 0)


async def kind_of(link: Link, queue: str) -> QueueType | None:
    """Return what kind of queue it is; None when the broker does not tell.

    There is no question for this in AMQP. An offset in a consumer's arguments is refused by every queue but a
    stream, and the refusal names the kind. A stream takes it, and from `next` it hands over nothing old.
    """

    async def consume(channel: AbstractChannel) -> None:
        await channel.basic_qos(prefetch_count=1)
        await channel.basic_consume(queue, _drop, arguments={"x-stream-offset": "next"})

    try:
        await asked(link, consume, f"a look at the queue {queue}")
    except SourceRejected as error:
        kind = _KIND.search(str(error))
        if kind is not None:
            return kind[1]  # type: ignore[return-value]  # the expression allows these three
        if "invalid arg 'x-stream-offset'" in str(error):
            return None
        raise
    return "stream"


async def is_durable(link: Link, queue: str) -> bool | None:
    """Say whether a queue that is there outlives a restart; None when we may not ask."""
    try:
        await asked(
            link,
            lambda channel: channel.queue_declare(queue, durable=True, arguments=dict(_NO_NUMBER)),
            f"a look at the queue {queue}",
        )
    except SourceRejected as error:
        if "ACCESS_REFUSED" in str(error):
            return None
        return "'durable'" not in str(error)
    return True


async def difference(link: Link, config: RabbitMQConfig) -> str:
    """Return in what a queue that is there differs from the configuration; "" for in nothing.

    Asked by declaring it as it shall be, which changes nothing that is there.
    """
    declare = config.declare
    if declare is None:
        return ""
    try:
        await declare_queue(link, config.queue, declare)
    except SourceRejected as error:
        different = _DIFFERS.search(str(error))
        if different is None:
            raise
        return f"`{different['name']}`: {different['what']}"
    return ""


async def declare_queue(link: Link, queue: str, declare: DeclareConfig) -> None:
    """Make the queue as it shall be. Raise SourceRejected when it is there and differs."""
    await asked(
        link,
        lambda channel: channel.queue_declare(queue, durable=declare.durable, arguments=_arguments(declare)),
        f"to declare the queue {queue}",
    )


async def establish(link: Link, config: RabbitMQConfig) -> Found:
    """Return the queue as it is, made and bound first where the configuration wants it."""
    if config.declare is not None:
        different = await difference(link, config)
        if different:
            raise SourceRejected(
                f"the queue {config.queue} is there and differs from `declare`, {different}; "
                "write `declare` as the queue is, or move its messages and delete it"
            )
    for binding in config.bindings:
        await _bind(link, config.queue, binding)
    found = await find(link, config.queue)
    if found is None:
        raise SourceRejected(
            f"there is no queue {config.queue} in the virtual host {config.vhost}; "
            "make it, or write `declare:` to have it made"
        )
    _agree(config, found)
    return found


def _agree(config: RabbitMQConfig, found: Found) -> None:
    """Raise SourceRejected when a stream would be read as a queue, or a queue as a stream."""
    if found.type == "stream" and config.reads_stream is None:
        raise SourceRejected(
            f"the queue {config.queue} is a stream, which remembers nothing for its readers: "
            "write `stream: {start: first}` so that we remember how far we are"
        )
    if found.type not in ("stream", None) and config.reads_stream is not None:
        raise SourceRejected(f"the queue {config.queue} is no stream but {found.type}; take `stream` away")


async def _bind(link: Link, queue: str, binding: BindingConfig) -> None:
    exchange = binding.declare
    if exchange is not None:
        await asked(
            link,
            lambda channel: channel.exchange_declare(
                binding.exchange,
                exchange_type=exchange.type,
                durable=exchange.durable,
                arguments=dict(exchange.arguments),
            ),
            f"to declare the exchange {binding.exchange}",
        )
    await asked(
        link,
        lambda channel: channel.queue_bind(
            queue, binding.exchange, routing_key=binding.routing_key, arguments=dict(binding.arguments)
        ),
        f"to bind the queue {queue} to the exchange {binding.exchange}",
    )


async def _drop(_message: object) -> None:
    """Take nothing: the channel closes, and what came goes back."""


def _arguments(declare: DeclareConfig) -> dict[str, Any]:
    # A classic queue is declared without its type, as everybody declared it before there were types.
    kind: dict[str, Any] = {} if declare.type == "classic" else {"x-queue-type": declare.type}
    return {**kind, **declare.arguments}


# -- setup and teardown


async def setup(link: Link, config: RabbitMQConfig, *, apply: bool) -> list[SetupStep]:
    """Return what the broker needs to have; with `apply`, make it so. Steps after a problem are not tried."""
    steps: list[SetupStep] = []
    found = await find(link, config.queue)
    if config.declare is None:
        steps.append(_there(config, found))
    else:
        steps.append(await _declared(link, config, config.declare, found, apply=apply))
    for binding in config.bindings:
        steps += await _bound(link, config.queue, binding, apply=apply and not steps[-1].problem)
    return steps


def _there(config: RabbitMQConfig, found: Found | None) -> SetupStep:
    what = f"the queue {config.queue} is there"
    if found is not None:
        return SetupStep(what=what, done=True)
    return SetupStep(
        what=what,
        problem=f"there is no queue {config.queue} in the virtual host {config.vhost}",
        fix="make it, or write `declare:` to have it made",
    )


async def _declared(
    link: Link, config: RabbitMQConfig, declare: DeclareConfig, found: Found | None, *, apply: bool
) -> SetupStep:
    step = SetupStep(
        what=f"declare the {declare.type} queue {config.queue}",
        statement=_admin(
            "declare",
            "queue",
            name=config.queue,
            queue_type=declare.type,
            durable=str(declare.durable).lower(),
            arguments=_json(declare.arguments),
        ),
    )
    if found is None and not apply:
        return step
    try:
        different = await difference(link, config)
    except SourceRejected as error:
        return msgspec.structs.replace(
            step, problem=str(error), fix="grant `configure` on it to the user, or declare it by hand"
        )
    if different:
        return msgspec.structs.replace(
            step,
            problem=f"it is there and differs, {different}",
            fix="write `declare` as the queue is, or move its messages and delete it",
        )
    return msgspec.structs.replace(step, done=True)


async def _bound(link: Link, queue: str, binding: BindingConfig, *, apply: bool) -> list[SetupStep]:
    steps = []
    if binding.declare is not None:
        steps.append(
            SetupStep(
                what=f"declare the {binding.declare.type} exchange {binding.exchange}",
                statement=_admin(
                    "declare",
                    "exchange",
                    name=binding.exchange,
                    type=binding.declare.type,
                    durable=str(binding.declare.durable).lower(),
                    arguments=_json(binding.declare.arguments),
                ),
            )
        )
    steps.append(
        SetupStep(
            what=f"bind the queue {queue} to the exchange {binding.exchange}",
            statement=_admin(
                "declare",
                "binding",
                source=binding.exchange,
                destination=queue,
                routing_key=binding.routing_key,
                arguments=_json(binding.arguments),
            ),
        )
    )
    if not apply:  # whether a binding is there cannot be asked over AMQP, and to make it again is harmless
        return steps
    try:
        await _bind(link, queue, binding)
    except SourceRejected as error:
        fix = "make the exchange, or write `declare:` at it; grant write on the queue, read on the exchange"
        return [msgspec.structs.replace(step, problem=str(error), fix=fix) for step in steps]
    return [msgspec.structs.replace(step, done=True) for step in steps]


async def teardown(link: Link, config: RabbitMQConfig, *, apply: bool) -> list[SetupStep]:
    """Return what to remove when the source is given up; with `apply`, remove it.

    A queue that was there before us stays, and so does one with messages in it; exchanges stay, because
    others may use them.
    """
    found = await find(link, config.queue)
    if config.declare is None:
        return [
            await _unbound(link, config.queue, binding, found, apply=apply) for binding in config.bindings
        ]
    step = SetupStep(
        what=f"delete the queue {config.queue} with its bindings",
        statement=_admin("delete", "queue", name=config.queue),
        done=found is None,
    )
    if found is None:
        return [step]
    if found.type == "stream":
        step = msgspec.structs.replace(step, what=f"delete the stream {config.queue} and what is in it")
    elif found.ready:
        return [
            msgspec.structs.replace(
                step,
                problem=f"{found.ready} messages are in it",
                fix="let the source take them first, or delete the queue by hand",
            )
        ]
    if apply:
        try:
            await asked(
                link,
                lambda channel: channel.queue_delete(config.queue, if_empty=found.type == "classic"),
                f"to delete the queue {config.queue}",
            )
        except SourceRejected as error:
            return [msgspec.structs.replace(step, problem=str(error), fix="delete it by hand")]
        step = msgspec.structs.replace(step, done=True)
    return [step]


async def _unbound(
    link: Link, queue: str, binding: BindingConfig, found: Found | None, *, apply: bool
) -> SetupStep:
    step = SetupStep(
        what=f"unbind the queue {queue} from the exchange {binding.exchange}",
        statement=_admin(
            "delete",
            "binding",
            source=binding.exchange,
            destination_type="queue",
            destination=queue,
            properties_key=binding.routing_key,
        ),
        done=found is None,
    )
    if not apply or found is None:
        return step
    try:
        await asked(
            link,
            lambda channel: channel.queue_unbind(
                queue, binding.exchange, routing_key=binding.routing_key, arguments=dict(binding.arguments)
            ),
            f"to unbind the queue {queue}",
        )
    except SourceRejected as error:
        return msgspec.structs.replace(step, problem=str(error), fix="remove the binding by hand")
    return msgspec.structs.replace(step, done=True)


def _admin(verb: str, thing: str, **settings: str) -> str:
    """Return a statement for `rabbitmqadmin`, quoted for a shell."""
    words = [f"{name}={value}" for name, value in settings.items() if value not in ("", "{}")]
    quoted = [word if re.fullmatch(r"[\w=.:/-]+", word, re.ASCII) else _quote(word) for word in words]
    return " ".join(["rabbitmqadmin", verb, thing, *quoted])


def _quote(word: str) -> str:
    return "'" + word.replace("'", "'\"'\"'") + "'"


def _json(arguments: dict[str, Any]) -> str:
    return msgspec.json.encode(arguments).decode("utf-8")

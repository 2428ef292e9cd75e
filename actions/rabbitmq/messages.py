"""Turns a composed message into one of AMQP 0-9-1. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from actions.cloudevents import STRUCTURED_TYPE, EventStyle, completed, document, headers
from actions.errors import Refused
from actions.publishing import Outgoing, binding
from actions.specs.model import Operation

MAX_BODY_BYTES: Final = 16 << 20
"""What RabbitMQ 4 takes unless it is told otherwise."""
_SHORT: Final = 255
"""Bytes of a short string: routing keys and most properties."""
_EXCHANGE: Final = re.compile(r"[a-zA-Z0-9\-_.:@#,/><]{0,127}")
_WHOLE: Final = range(-(1 << 63), 1 << 63)


class Publication(msgspec.Struct, frozen=True):
    """What is sent. `answers`: nobody listening any more is an answer (404), no reason to wait.

    `properties` are those of AMQP under their names there; the message id is among them.
    """

    exchange: str
    routing_key: str
    headers: Mapping[str, Any]
    properties: Mapping[str, Any]
    body: bytes
    mandatory: bool = True
    answers: bool = False

    def with_attempt(self, attempt: Mapping[str, str]) -> "Publication":
        """Return the message with the headers of one attempt; they win over those of the arguments."""
        return msgspec.structs.replace(self, headers={**self.headers, **attempt})


def make_publication(
    outgoing: Outgoing, style: EventStyle, operation: Operation, *, key: str, user: str
) -> Publication | None:
    """Return the message, None when there is nobody to send it to.

    Raise Refused with everything that RabbitMQ would not take. `user` is who we log in as.
    """
    if outgoing.address is None:
        return None
    said = binding(operation, "operation", "amqp")
    body, content_type = outgoing.body, outgoing.content_type
    table = dict(outgoing.headers)
    properties = {**_defaults(said), **outgoing.properties}
    properties["message_id"] = key
    if outgoing.attributes is not None and style.mode != "none":
        attributes = completed(outgoing.attributes, id_=key, source=style.source, type_=operation.id)
        properties["message_id"] = attributes["id"]
        if style.mode == "structured":
            body, content_type = document(attributes, body, content_type), STRUCTURED_TYPE
        else:
            table.update(headers(attributes, style.prefix))
    if content_type:
        properties["content_type"] = content_type
    properties["delivery_mode"] = 2 if properties.pop("persistent", True) else 1
    made = Publication(
        exchange=outgoing.exchange,
        routing_key=outgoing.address,
        headers=_written(table),
        properties=properties,
        body=body or b"",
        mandatory=said.get("mandatory") is not False,
        answers=operation.extras.get("x-pointsman-answers") is True,
    )
    problems = tuple(_problems(made, user))
    if problems:
        text = "; ".join(reason for _, reason in problems)
        raise Refused(f"{operation.id} cannot be published: {text}", problems)
    return made


def _defaults(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties that a description asks for."""
    made: dict[str, Any] = {}
    for name in ("expiration", "priority"):
        value = said.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            made[name] = value
    if said.get("deliveryMode") in (1, 2):
        made["persistent"] = said["deliveryMode"] == 2
    return made


def _written(value: Any) -> Any:
    """Return a JSON value as a header's: fractions become text, since a table's are of single precision."""
    if isinstance(value, dict):
        return {name: _written(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_written(one) for one in value]
    return str(value) if isinstance(value, float) else value


def _problems(made: Publication, user: str) -> Iterator[tuple[str, str]]:
    if not _EXCHANGE.fullmatch(made.exchange):
        yield "", f"{made.exchange[:60]!r} is no name of an exchange"
    if _length(made.routing_key) > _SHORT:
        yield "", f"the routing key is longer than {_SHORT} bytes"
    for name, value in made.properties.items():
        if isinstance(value, str) and _length(value) > _SHORT:
            yield f"/properties/{name}", f"{name} is longer than {_SHORT} bytes"
    if made.properties.get("priority", 0) not in range(256):
        yield "/properties/priority", "priority must be from 0 to 255"
    if made.properties.get("expiration", 0) < 0:
        yield "/properties/expiration", "expiration must be milliseconds from 0 on"
    if made.properties.get("timestamp", 0) not in range(253402300800):
        yield "/properties/timestamp", "timestamp must be seconds since 1970, up to the year 9999"
    if made.properties.get("user_id", user) != user:
        yield "/properties/user_id", "user_id must be the user that the connection logs in as"
    if len(made.body) > MAX_BODY_BYTES:
        yield "/body", f"the body is larger than {MAX_BODY_BYTES >> 20} MiB"
    yield from _unfit(made.headers, "/headers")


def _unfit(value: Any, pointer: str) -> Iterator[tuple[str, str]]:
    """Yield what a table of AMQP cannot hold."""
    if isinstance(value, dict):
        for name, one in value.items():
            if _length(name) > 128:
                yield pointer, f"the name {name[:40]!r}… of a header is longer than 128 bytes"
            yield from _unfit(one, f"{pointer}/{name}")
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from _unfit(one, f"{pointer}/{index}")
    elif isinstance(value, int) and value not in _WHOLE:
        yield pointer, f"{value} does not fit into 64 bits; give it as text"


def _length(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))

"""Templates that set one field: `setheader` and `setqueryparameter`. Pure.

A value that comes out empty sets nothing: what its expressions name is not there. One that is written empty
takes the place of what is there.
"""

from typing import Final
from urllib.parse import unquote_plus

from typing_extensions import override

from actions.expressions import Scalar, Template, render
from actions.policies.documents import Unfit
from actions.policies.messages import Draft, Header, Message, Reply, encode
from actions.policies.steps import Step
from actions.templates import Parameters

_SPACED: Final = frozenset(["user-agent", "server"])
"""Headers whose several values are told apart by a space (RFC 9110 §10.1.5), not by a comma."""


class SetHeader(Step):
    """Sets a header of a request or an answer."""

    def __init__(self, title: str, fields: Parameters) -> None:
        super().__init__(title)
        self._name = fields.template("name")
        self._value = fields.template("value")
        self._exists = fields.text("existsAction").lower() or "override"

    def touches(self, headers: frozenset[str], query: frozenset[str]) -> bool:
        """Say whether this reads or sets one of these headers, or query parameters."""
        own = {part.name.lower() for part in _reading(self._value, "headers")}
        own.add(render_plain(self._name).lower())
        fields = {part.name.lower() for part in _reading(self._value, "queryParameters")}
        return bool(own & headers or fields & query)

    @property
    def names_host(self) -> bool:
        """Whether this says the Host header, which is that of the URL whoever says it."""
        return render_plain(self._name).lower() == "host"

    @override
    def request(self, draft: Draft) -> None:
        if not self.names_host:
            self._set(draft)
            return
        host = draft.base.partition("://")[2].partition("/")[0]
        if render(self._value, draft).strip().lower() not in {"", host}:
            raise Unfit(f"the Host header is that of the URL, {host}, and nothing else")

    @override
    def answer(self, reply: Reply) -> None:
        self._set(reply)

    def _set(self, message: Message) -> None:
        value = render(self._value, message).strip()
        if value or (not self._value and self._exists != "append"):
            put_header(message.headers, render(self._name, message).strip(), value, self._exists)


class SetField(Step):
    """Sets a parameter of the query."""

    def __init__(self, title: str, fields: Parameters) -> None:
        super().__init__(title)
        self._name = fields.template("name")
        self._value = fields.template("value")
        self._exists = fields.text("existsAction").lower() or "override"

    def touches(self, headers: frozenset[str], query: frozenset[str]) -> bool:
        """Say whether this reads or sets one of these headers, or query parameters."""
        own = {part.name.lower() for part in _reading(self._value, "queryParameters")}
        own.add(render_plain(self._name).lower())
        read = {part.name.lower() for part in _reading(self._value, "headers")}
        return bool(own & query or read & headers)

    @override
    def request(self, draft: Draft) -> None:
        value = render(self._value, draft)
        if value or (not self._value and self._exists != "append"):
            put_field(draft.query, render(self._name, draft).strip(), value, self._exists)


def put_header(headers: list[Header], name: str, value: str, exists: str) -> None:
    """Set a header in place: `override` what is there, `skip` when something is, or `append` to it."""
    lower = name.lower()
    places = [index for index, pair in enumerate(headers) if pair[0].lower() == lower]
    if not places:
        headers.append((name, value))
    elif exists == "append":
        given, before = headers[places[-1]]
        headers[places[-1]] = (given, f"{before}{' ' if lower in _SPACED else ', '}{value}")
    elif exists != "skip":
        headers[places[0]] = (headers[places[0]][0], value)
        for index in reversed(places[1:]):
            del headers[index]


def put_field(query: list[str], name: str, value: str, exists: str) -> None:
    """Set a field of a query in place: `override`, `skip`, or `append` one more of the name."""
    field = f"{encode(name)}={encode(value)}"
    places = [index for index, one in enumerate(query) if unquote_plus(one.partition("=")[0]) == name]
    if not places or exists == "append":
        query.append(field)
    elif exists != "skip":
        query[places[0]] = field
        for index in reversed(places[1:]):
            del query[index]


def render_plain(template: Template) -> str:
    """Return the literal text of a template."""
    return "".join(getattr(part, "text", "") for part in template).strip()


def _reading(template: Template, function: str) -> list[Scalar]:
    return [part for part in template if isinstance(part, Scalar) and part.function == function]

"""Templates that say what is called: `routerequesttoendpoint`, and first `setvaluefromurl`. Pure.

A new path is relative to the base of the operation, holds its path parameters as `{name}`, and may bring
fields of a query, which come before those of the request. What is fetched first comes from the same origin.
"""

import re
from typing import Final
from urllib.parse import quote

from typing_extensions import override

from actions.base import Answer
from actions.expressions import Method, Path, Scalar, Template, Text, evaluate, render
from actions.policies.documents import Document, Unfit, text_of
from actions.policies.fields import put_field, put_header
from actions.policies.messages import LITERAL, Draft, encode
from actions.policies.steps import Step
from actions.templates import Parameters
from actions.transport import Request

_NAME: Final = re.compile(r"\{([^{}]*)\}")
_OF_THE_CALL: Final = frozenset(
    ["content-type", "content-encoding", "if-match", "if-none-match", "idempotency-key", "x-idempotency-key"]
)
"""Headers that speak of the call's own body and resource: they are not sent with what is fetched first,
unless a policy has set them for it."""


class Route(Step):
    """Sends the request to another path, with another method."""

    def __init__(self, title: str, fields: Parameters) -> None:
        super().__init__(title)
        self._path = fields.template("newPath")
        self._method = fields.template("httpMethod")

    @property
    def is_bare(self) -> bool:
        """Whether nothing of this is left once another path is chosen: it brings no query."""
        return not any(isinstance(part, Text) and "?" in part.text for part in self._path)

    @override
    def request(self, draft: Draft) -> None:
        path, query = written(self._path, draft)
        method = render(self._method, draft).strip().upper() or draft.method
        draft.path = path
        draft.query = [*query, *(field for field in draft.query if field not in query)]
        draft.verb = method


class Prefetch(Step):
    """Puts a value of another call's answer into a header or a query parameter."""

    host: Step | None = None
    """What chose the host that this is fetched from, where another one is chosen later."""

    def __init__(self, title: str, fields: Parameters) -> None:
        super().__init__(title)
        target = fields.template("parameterTemplate")[0]
        if not isinstance(target, Scalar):
            raise Unfit("its target is no header and no query parameter")
        self._target = target
        self._method = fields.text("httpMethod").strip().upper() or "GET"
        self._url = fields.template("parameterValueUrl")
        self._value = fields.template("parameterValuePathTemplate")

    def touches(self, headers: frozenset[str], query: frozenset[str]) -> bool:
        """Say whether this sets one of these headers or query parameters."""
        return self._target.name.lower() in (headers if self._target.function == "headers" else query)

    def first(self, draft: Draft) -> Request:
        """Return the request that is made first: the call's own, led to the other path, without its body."""
        method = draft.method if "@" in self._method else self._method
        path, query = written(self._url, draft)
        headers = [
            pair for pair in draft.headers if pair[0].lower() not in _OF_THE_CALL or pair not in draft.given
        ]
        base = draft.base if self.host is None else self.host.base(draft)
        return draft.elsewhere(method, base + path, query, headers)

    def take(self, draft: Draft, request: Request, answer: Answer) -> None:
        """Put the value of the answer where it belongs."""
        value = self._found(answer)
        if not value:
            place = request.url.partition("?")[0]
            raise Unfit(f"the answer of {request.method} {place} does not hold what is to be sent")
        self.put(draft, value)

    def put(self, draft: Draft, value: str) -> None:
        """Put a value where it belongs."""
        if self._target.function == "headers":
            put_header(draft.headers, self._target.name, value, "override")
        else:
            put_field(draft.query, self._target.name, value, "override")

    def _found(self, answer: Answer) -> str:
        text = ""
        for part in self._value:
            if isinstance(part, Path):
                if answer.truncated:
                    raise Unfit("the answer of its own call was cut at the connection's limit")
                slot = Document(answer.body).at(part)
                text += (text_of(slot.value()) if slot else None) or ""
            elif isinstance(part, Scalar):
                text += answer.header(part.name.lower()) or part.default or ""
            elif isinstance(part, Text):
                text += part.text
        return text


def written(template: Template, draft: Draft) -> tuple[str, list[str]]:
    """Return the path and the fields of the query that a template makes. Raise Unfit."""
    text = ""
    for part in template:
        if isinstance(part, Text):
            text += _with_names(part.text, draft)
        elif isinstance(part, Method):
            text += draft.method
        else:
            text += encode(_needed(part, draft))
    path, _, query = text.partition("#")[0].partition("?")
    if "://" in path or path.startswith("//"):
        raise Unfit("a path must follow the server: this is a URL of its own")
    return "/" + path.lstrip("/"), [field for field in query.split("&") if field]


def _with_names(text: str, draft: Draft) -> str:
    """Return literal text with the parameters of the operation's path filled in."""
    out, end = "", 0
    for match in _NAME.finditer(text):
        out += quote(text[end : match.start()], safe=LITERAL + "#") + draft.capture(match[1])
        end = match.end()
    return out + quote(text[end:], safe=LITERAL + "#")


def _needed(part: Scalar | Path, draft: Draft) -> str:
    value = evaluate(part, draft)
    if value:
        return value
    name = part.name if isinstance(part, Scalar) else ".".join(map(str, part.steps))
    raise Unfit(f"the path needs {name}, which has no value")

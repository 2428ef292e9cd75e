"""The request and the answer while policies change them, and where expressions find their values. Pure.

A `Draft` is a request taken apart: base, path, query, headers, body; a `Reply` is an answer together with the
request that brought it. Neither sends anything; `finish` puts them together again and refuses what cannot be
sent exactly as it stands.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote, unquote, unquote_plus

import msgspec
from typing_extensions import override

from actions.base import Answer
from actions.errors import Refused
from actions.expressions import Function, Path
from actions.policies.documents import Document, Slot, Unfit, text_of
from actions.specs.model import Operation
from actions.transport import Request, header_problems, line_problems

Header = tuple[str, str]
Lookup = Callable[[str], str | None]
"""The value of a connection parameter by its name, None where there is none."""

SAFE: Final = "-._~*"
"""What stands for itself in a path and a query, besides letters and digits."""
LITERAL: Final = "%/:@!$&'()*+,;=?[]"

_TEMPLATE: Final = re.compile(r"\{([^{}]*)\}")
_STALE: Final = frozenset(
    ["content-length", "content-md5", "digest", "content-digest", "repr-digest", "accept-ranges"]
)
"""Headers of an answer that speak of the bytes which a policy has changed. Its ETag stays: it names the
version that the backend keeps, and `If-Match` sends it back."""


def encode(text: str) -> str:
    """Return text as one part of a path's segment or of a query."""
    return quote(text, safe=SAFE)


class Message:
    """What policies see of a request or an answer. `item` is set while a policy walks a collection."""

    def __init__(self, headers: tuple[Header, ...], body: bytes, connection: Lookup, method: str) -> None:
        self.headers: list[Header] = list(headers)
        self.item: Slot | None = None
        self.touched = False
        self._body = body
        self._document: Document | None = None
        self._connection = connection
        self._method = method

    @property
    def method(self) -> str:
        """The method of the operation as described."""
        return self._method

    @property
    def empty(self) -> bool:
        """Whether there is no body at all."""
        return not self._body.strip()

    def document(self) -> Document:
        """Return the body as JSON. Raise Unfit where it is none."""
        if self._document is None:
            self._document = Document(self._body)
        return self._document

    def body(self) -> bytes:
        """Return the body as it is now."""
        return self._document.encode() if self._document is not None and self.touched else self._body

    def header(self, name: str) -> str | None:
        """Return the values of a header, whatever the case of its name."""
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(found) if found else None

    def field(self, name: str) -> str | None:
        """Return a query parameter, decoded."""
        raise NotImplementedError

    def named(self, function: Function, name: str) -> str | None:
        """Return the value of a scalar expression."""
        if function == "connectionParameters":
            return self._connection(name)
        return self.header(name) if function == "headers" else self.field(name)

    def at(self, path: Path) -> str | None:
        """Return the text at a place of the body; None where nothing is, or there is no JSON body."""
        slot = self.slot(path)
        return None if slot is None else text_of(slot.value())

    def slot(self, path: Path) -> Slot | None:
        """Return the place that a path names, None where it does not exist."""
        if self.empty:
            return None
        return self.document().at(path, self.item)


class Draft(Message):
    """A request on its way through the request section."""

    def __init__(self, request: Request, operation: Operation, place: "PathTemplate", lookup: Lookup) -> None:
        super().__init__(request.headers, request.body, lookup, operation.method or request.method)
        self.given = request.headers
        self.verb = request.method
        url, _, query = request.url.partition("?")
        self.base, self.path = place.cut(url)
        self.captured = place.match(self.path)
        self.query: list[str] = [field for field in query.split("&") if field]

    @override
    def field(self, name: str) -> str | None:
        return field_of(self.query, name)

    @property
    def url(self) -> str:
        """The URL as it is now."""
        return self.base + self.path + (f"?{'&'.join(self.query)}" if self.query else "")

    def capture(self, name: str) -> str:
        """Return a parameter of the operation's path, or of its query, encoded. Raise Unfit for neither."""
        for key, value in self.captured.items():
            if key == name or key.lower() == name.lower():
                if value is None:
                    raise Unfit(f"{name} cannot be told apart from what stands beside it in the path")
                return value
        found = self.field(name)
        if found is None:
            raise Unfit(f"{{{name}}} is no parameter of the operation's path, and none was sent in its query")
        return encode(found)

    def finish(self) -> Request:
        """Return the request. Raise Unfit when it cannot be sent exactly as it stands."""
        return _checked(Request(self.verb, self.url, tuple(self.headers), self.body()))

    def elsewhere(self, verb: str, url: str, query: list[str], headers: list[Header]) -> Request:
        """Return another request, without a body. Raise Unfit when it cannot be sent."""
        return _checked(Request(verb, url + (f"?{'&'.join(query)}" if query else ""), tuple(headers)))


class Reply(Message):
    """An answer on its way through the response or the failure section."""

    def __init__(self, answer: Answer, request: Request, operation: Operation, lookup: Lookup) -> None:
        super().__init__(answer.headers, answer.body, lookup, operation.method or request.method)
        self.request = request
        self.status = answer.status
        self.notes: list[str] = []
        self._answer = answer
        self._query = [field for field in request.url.partition("?")[2].split("&") if field]

    @override
    def field(self, name: str) -> str | None:
        return field_of(self._query, name)

    @override
    def header(self, name: str) -> str | None:
        found = super().header(name)
        return self.request.header(name) if found is None else found

    @override
    def document(self) -> Document:
        if self._answer.truncated:
            raise Unfit("the answer was cut at the connection's limit")
        return super().document()

    def finish(self) -> Answer:
        """Return the answer. What speaks of bytes that were changed is set right or left out."""
        body, headers = self._answer.body, self.headers
        if self.touched:
            body = self.body()
            headers = [pair for pair in headers if pair[0].lower() not in _STALE]
            if len(headers) < len(self.headers):
                headers.append(("content-length", str(len(body))))
        kept = tuple((name.lower(), value) for name, value in headers)
        return msgspec.structs.replace(self._answer, status=self.status, headers=kept, body=body)


class PathTemplate:
    """The path of an operation, as it is described: finds its parameters again in a URL.

    With a `base`, any path below that is the operation's.
    """

    def __init__(self, operation: Operation, base: str = "") -> None:
        self._base = base
        names = {one.name for one in operation.parameters if one.location == "path"}
        path = operation.path.partition("#")[0].partition("?")[0].lstrip("/")
        segments = path.split("/") if operation.path else []
        self._segments = [_pieces(segment, names) for segment in segments]

    def cut(self, url: str) -> tuple[str, str]:
        """Return the base and the path of a URL without its query."""
        if self._base and url.startswith(f"{self._base}/"):
            return self._base, url[len(self._base) :]
        origin_end = url.find("/", url.find("://") + 3)
        if origin_end < 0:
            return url, ""
        parts = url[origin_end + 1 :].split("/")
        keep = max(len(parts) - len(self._segments), 0)
        path = "/" + "/".join(parts[keep:]) if self._segments else ""
        return url[: len(url) - len(path)], path

    def match(self, path: str) -> Mapping[str, str | None]:
        """Return the encoded values of the path's parameters; None for one that could be read in two ways."""
        found: dict[str, str | None] = {}
        for pieces, segment in zip(self._segments, path.lstrip("/").split("/"), strict=False):
            found.update(_match(pieces, segment))
        return found


Piece = tuple[str, bool]


def _pieces(segment: str, names: set[str]) -> list[Piece]:
    pieces: list[Piece] = []
    end = 0
    for match in _TEMPLATE.finditer(segment):
        if match[1] in names:
            pieces += [(quote(segment[end : match.start()], safe=LITERAL), False), (match[1], True)]
            end = match.end()
    return [piece for piece in [*pieces, (quote(segment[end:], safe=LITERAL), False)] if piece[0]]


def _match(pieces: list[Piece], segment: str) -> dict[str, str | None]:
    """Read a segment from its left and from its right: where the two differ, there is more than one way."""
    names = [text for text, is_input in pieces if is_input]
    readings = [
        re.fullmatch("".join(any_ if is_input else re.escape(text) for text, is_input in pieces), segment)
        for any_ in ("(.*?)", "(.*)")
    ]
    lazy, greedy = readings
    if lazy is None or greedy is None:
        return dict.fromkeys(names)
    values = zip(names, lazy.groups(), greedy.groups(), strict=True)
    return {name: first if first == second else None for name, first, second in values}


def _checked(request: Request) -> Request:
    problems = line_problems(request.method, request.url) + header_problems(request.headers)
    if problems:
        raise Unfit("; ".join(problems))
    return request


def field_of(query: list[str], name: str) -> str | None:
    """Return a query parameter, decoded; several of the name are joined by commas."""
    pairs = [field.partition("=") for field in query]
    for same in (str, str.lower):
        found = [value for key, _, value in pairs if same(unquote_plus(key)) == same(name)]
        if found:
            return ",".join(unquote(value) for value in found)
    return None


def refused(title: str, reason: object) -> Refused:
    """Return the error that names the policy and what is wrong."""
    return Refused(f"policy {title!r}: {reason}")


def values_of(given: Mapping[str, str], declared: Mapping[str, Any]) -> Lookup:
    """Return how connection parameters are found: what was given, else the declared default, in any case."""
    folded = {name.lower(): value for name, value in given.items()}
    defaults = {name.lower(): one.default for name, one in declared.items()}

    def lookup(name: str) -> str | None:
        if name in given:
            return given[name]
        found = folded.get(name.lower())
        return defaults.get(name.lower()) if found is None else found

    return lookup

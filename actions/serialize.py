"""Turns an operation and its arguments into the parts of one HTTP request.

Pure. Everything wrong with the arguments is said at once, in one Refused. Arguments never reach the host,
never add or remove a segment of the path, and never end a header. Credentials are added by somebody else.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote

import msgspec

from actions.bodies import BodyWriter, body_writer
from actions.errors import Refused
from actions.parameters import ABSENT, SAFE, Problems, compile_parameter, has_dots
from actions.specs.model import LOCATIONS, NEVER_SET, Operation, Server, Spec
from actions.specs.references import Registry

_TEMPLATE: Final = re.compile(r"\{([^{}]*)\}")
_SERVER: Final = re.compile(r"https?://[^/?#\s\\{}]+(?:/[^?#\s\\{}]*)?", re.IGNORECASE)


class RequestParts(msgspec.Struct, frozen=True, kw_only=True):
    """A request without credentials. `headers` has neither Content-Type nor anything of the transport."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    content_type: str = ""


Piece = tuple[str, bool]
"""Literal text, encoded, and False; or the name of a path parameter and True."""

_LITERAL: Final = "%/:@!$&'()*+,;=?[]"

Build = Callable[[Mapping[str, Any]], RequestParts]


def expand_server(server: Server, variables: Mapping[str, str]) -> str:
    """Return the URL of a server with its variables filled in. Raises Refused with every problem."""
    problems: Problems = [
        (f"/{name}", f"{name} is not a variable of this server{_meant(name, server.variables)}")
        for name in variables
        if name not in server.variables
    ]
    values = {}
    for name, variable in server.variables.items():
        value = variables.get(name, variable.default)
        values[name] = value or ""
        if value is None:
            problems.append((f"/{name}", f"{name} is required: {server.url} has no default for it"))
        elif name in variables and variable.enum and value not in variable.enum:
            allowed = ", ".join(variable.enum[:10])
            problems.append((f"/{name}", f"{name} is {value[:60]!r}, but must be one of {allowed}"))
    if problems:
        raise Refused(listed(f"the server {server.url} cannot be used", problems), tuple(problems))
    return _TEMPLATE.sub(lambda match: values.get(match.group(1), match.group()), server.url)


def build(operation: Operation, spec: Spec, server_url: str, arguments: Mapping[str, Any]) -> RequestParts:
    """Build one request; keep what `compile_operation` returns to build many."""
    return compile_operation(operation, spec, server_url)(arguments)


def compile_operation(operation: Operation, spec: Spec, server_url: str) -> Build:
    """Return the function that builds requests of one operation at one server.

    It raises Refused with all problems of the arguments, each with its pointer; so does this when the
    operation cannot be called at all.
    """
    if operation.problem:
        raise Refused(operation.problem)
    if any(one.location == "message" for one in operation.parameters):
        raise Refused(f"{operation.id} publishes a message: it cannot be called over HTTP")
    base = server_url.rstrip("/")
    if not _SERVER.fullmatch(base):
        raise Refused(f"{server_url[:200]!r} is no absolute http(s) URL of a server")
    return _Builder(operation, spec.registry, base).build


class _Builder:
    """An operation, compiled for one server."""

    def __init__(self, operation: Operation, registry: Registry, base: str) -> None:
        self._operation = operation
        self._method = operation.method
        self._grouped = operation.grouped
        self._inputs = [
            compile_parameter(
                one,
                registry,
                group=f"/{one.location}" if self._grouped else "",
                filled=one.location == "header" and one.name == operation.key_header,  # the caller sends it
            )
            for one in operation.parameters
            if one.location != "header" or one.name.lower() not in NEVER_SET
        ]
        templated = {one.name for one in self._inputs if one.location == "path"}
        path, self._query = _parsed(operation.path, templated)
        self._segments = _segmented(path)
        self._base = base if not path or path[0][0].startswith("/") else base + "/"
        self._body: BodyWriter | None = None
        if operation.body:
            self._body = body_writer(operation.body, registry)
        self._accept = _accept(operation)

    def build(self, arguments: Mapping[str, Any]) -> RequestParts:
        """Build one request."""
        problems: Problems = []
        written: dict[str, dict[str, str]] = {location: {} for location in LOCATIONS}
        known = 0
        for one in self._inputs:
            given = arguments.get(one.location, {}) if self._grouped else arguments
            value = given.get(one.name, ABSENT) if isinstance(given, Mapping) else ABSENT
            known += value is not ABSENT
            text = one.text(value, problems)
            if text is not None:
                written[one.location][one.name] = text
        body: bytes | None = None
        if self._body:
            body = self._body.write(arguments.get("body", ABSENT), problems)
            known += "body" in arguments
        if self._grouped or known != len(arguments):
            self._report_unknown(arguments, problems)
        url = self._url(written["path"], written["query"], problems)
        if problems:
            name = self._operation.id or f"{self._method} {self._operation.path}"
            raise Refused(listed(f"{name} cannot be called", problems), tuple(problems))
        headers = [*self._accept, *written["header"].items()]
        if written["cookie"]:
            headers.append(("Cookie", "; ".join(text for text in written["cookie"].values() if text)))
        return RequestParts(
            method=self._method,
            url=url,
            headers=tuple(headers),
            body=body,
            content_type=self._body.content_type if self._body and body is not None else "",
        )

    def _url(self, path: dict[str, str], query: dict[str, str], problems: Problems) -> str:
        segments = []
        for pieces in self._segments:
            if len(pieces) == 1 and not pieces[0][1]:
                segments.append(pieces[0][0])
                continue
            segment = "".join(path.get(text, "x") if is_input else text for text, is_input in pieces)
            if not SAFE.fullmatch(segment) and has_dots(segment):
                name = next(text for text, is_input in pieces if is_input)
                reason = f"{name} would change the path: it makes a dot segment"
                problems.append((self._pointer(name), reason))
            segments.append(segment)
        url = self._base + "/".join(segments)
        parts = [text for text in query.values() if text]
        if self._query:
            constant = (path.get(text, "") if is_input else text for text, is_input in self._query)
            parts.insert(0, "".join(constant))
        return f"{url}?{'&'.join(parts)}" if parts else url

    def _pointer(self, name: str) -> str:
        return next(one.pointer for one in self._inputs if one.name == name and one.location == "path")

    def _report_unknown(self, arguments: Mapping[str, Any], problems: Problems) -> None:
        if not self._grouped:
            names = [one.name for one in self._inputs] + ["body"] * bool(self._body)
            report_unknown(arguments, names, "", problems)
            return
        groups: dict[str, list[str]] = {}
        for one in self._inputs:
            groups.setdefault(one.location, []).append(one.name)
        report_unknown(arguments, [*groups, *["body"] * bool(self._body)], "", problems)
        for location, names in groups.items():
            given = arguments.get(location, {})
            if isinstance(given, Mapping):
                report_unknown(given, names, f"/{location}", problems)
            else:
                reason = f"{location} must be an object: names of this operation collide, so they are grouped"
                problems.append((f"/{location}", reason))


def _parsed(template: str, names: set[str]) -> tuple[list[Piece], list[Piece]]:
    """Return the pieces of the path and of its constant query; a fragment is never sent."""
    path: list[Piece] = []
    query: list[Piece] = []
    pieces, end = path, 0
    for match in (*_TEMPLATE.finditer(template), None):
        if match and match.group(1) not in names:
            continue
        literal, sharp, _ = template[end : match.start() if match else len(template)].partition("#")
        if pieces is path and "?" in literal:
            before, _, literal = literal.partition("?")
            path.append((quote(before, safe=_LITERAL), False))
            pieces = query
        pieces.append((quote(literal, safe=_LITERAL), False))
        if sharp or not match:
            break
        pieces.append((match.group(1), True))
        end = match.end()
    return [piece for piece in path if piece[0]], [piece for piece in query if piece[0]]


def _segmented(pieces: list[Piece]) -> list[tuple[Piece, ...]]:
    segments: list[list[Piece]] = [[]]
    for text, is_input in pieces:
        first, *others = [text] if is_input else text.split("/")
        segments[-1].append((first, is_input))
        segments.extend([(other, False)] for other in others)
    return [tuple(piece for piece in segment if piece[0]) or (("", False),) for segment in segments]


def _accept(operation: Operation) -> tuple[tuple[str, str], ...]:
    """Return the Accept header: what the good answers are declared to be, JSON first."""
    media = [
        one
        for status, response in operation.responses.items()
        if status.startswith("2") or status == "default"
        for one in response.media
    ]
    names = dict.fromkeys(one.type for one in sorted(media, key=lambda one: one.kind != "json"))
    return (("Accept", ", ".join(list(names)[:5])),) if names else ()


def report_unknown(given: Mapping[str, Any], names: list[str], prefix: str, problems: Problems) -> None:
    """Add a problem for every name that is no input, with what may have been meant."""
    for name in given:
        if name not in names:
            text = f"{name} is not an input of this operation{_meant(str(name), names)}"
            problems.append((f"{prefix}/{name}", text))


def _meant(word: str, candidates: "Mapping[str, Any] | list[str]") -> str:
    from difflib import get_close_matches

    near = get_close_matches(word, list(candidates), n=1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; there are {', '.join(list(candidates)[:20])}" if candidates else "; it takes none"


def listed(head: str, problems: Problems) -> str:
    """Return one text that says all problems."""
    return f"{head}: " + "; ".join(text for _, text in problems)

"""Turns an operation and its arguments into the parts of one HTTP request.

Pure. Everything wrong with the arguments is said at once, in one Refused. Arguments never reach the host,
never add or remove a segment of the path, and never end a header. Credentials are added by somebody else.
`Content-Type` and `Accept` may be given beside the inputs: they choose among what the description offers.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from actions.arguments import ABSENT, Problems, Unfit, escaped, leaf, opened
from actions.bodies import BodyWriter, body_writer
from actions.bodies.media import mended
from actions.errors import Refused
from actions.parameters import SAFE, compile_parameter, has_dots
from actions.paths import TEMPLATE, Piece, compile_path
from actions.specs.model import LOCATIONS, NEVER_SET, Operation, Parameter, Server, Spec
from actions.specs.references import Registry

_SERVER: Final = re.compile(r"https?://[^/?#\s\\{}]+(?:/[^?#\s\\{}]*)?", re.IGNORECASE)
_CHOICES: Final = frozenset({"content-type", "accept"})
"""Headers that choose among media types: inputs of every operation, never needed."""
_MEDIA_RANGES: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


class RequestParts(msgspec.Struct, frozen=True, kw_only=True):
    """A request without credentials. `headers` has neither Content-Type nor anything of the transport."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    content_type: str = ""


Headers = tuple[tuple[str, str], ...]

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
    return TEMPLATE.sub(lambda match: values.get(match.group(1), match.group()), server.url)


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
        inputs = [one for one in operation.parameters if not _is_own(one)]
        queries = {one.name for one in inputs if one.location == "query"}
        path = compile_path(operation.path, {one.name for one in inputs if one.location == "path"}, queries)
        self._constants = path.query
        self._overlap = queries.intersection(pair.name for pair in path.query)
        self._inputs = [
            compile_parameter(
                one,
                registry,
                group=f"/{one.location}" if self._grouped else "",
                filled=(one.location == "header" and one.name == operation.key_header)  # the caller sends it
                or (one.location == "query" and one.name in self._overlap),
                spans=one.name in path.spans,
                asked=one.name in path.asked,
            )
            for one in inputs
        ]
        self._chunks = _chunks(base if path.rooted else base + "/", path.segments)
        self._body: BodyWriter | None = None
        if operation.body:
            self._body = body_writer(operation.body, registry)
        self._choices = _Choices(operation, registry, self._body)
        self._accept = self._choices.accept

    def build(self, arguments: Mapping[str, Any]) -> RequestParts:
        """Build one request."""
        problems: Problems = []
        written: dict[str, dict[str, str]] = {location: {} for location in LOCATIONS}
        known = "body" in arguments if self._body else 0
        groups = self._groups(arguments) if self._grouped else None
        for one in self._inputs:
            value = (groups[one.location] if groups else arguments).get(one.name, ABSENT)
            known += value is not ABSENT
            text = one.text(value, problems)
            if text is not None:
                written[one.location][one.name] = text
        accept, chosen, extra = self._accept, self._choices.content_type, self._choices.extra
        if groups or known != len(arguments):
            accept, chosen, extra = self._more(arguments, problems)
        payload = None
        if self._body:
            payload = self._body.write(arguments.get("body", ABSENT), problems, chosen)
        url = self._url(written["path"], written["query"], problems)
        if problems:
            name = self._operation.id or f"{self._method} {self._operation.path}"
            raise Refused(listed(f"{name} cannot be called", problems), tuple(problems))
        headers = [*accept, *written["header"].items(), *extra]
        if written["cookie"]:
            _add_cookies(headers, written["cookie"])
        body, content_type = payload or (None, "")
        return RequestParts(
            method=self._method, url=url, headers=tuple(headers), body=body, content_type=content_type
        )

    def _url(self, path: dict[str, str], query: dict[str, str], problems: Problems) -> str:
        texts = []
        for chunk in self._chunks:
            if isinstance(chunk, str):
                texts.append(chunk)
                continue
            segment = "".join([path.get(text, "x") if is_input else text for text, is_input in chunk])
            if not SAFE.fullmatch(segment) and has_dots(segment):
                name = next(text for text, is_input in chunk if is_input)
                pointer = next(
                    one.pointer for one in self._inputs if (one.name, one.location) == (name, "path")
                )
                problems.append((pointer, f"{name} would change the path: it makes a dot segment"))
            texts.append(segment)
        parts = [text for text in query.values() if text]
        if self._constants:
            parts[:0] = [
                "".join(path.get(text, "") if is_input else text for text, is_input in pieces)
                for name, pieces in self._constants
                if name not in self._overlap or not query.get(name)
            ]
        url = "".join(texts)
        return f"{url}?{'&'.join(parts)}" if parts else url

    # What is beside the inputs of an ordinary call

    def _groups(self, arguments: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
        """Return the arguments by location, of an operation whose names collide."""
        given = {location: opened(arguments.get(location, {})) for location in LOCATIONS}
        return {location: group if isinstance(group, Mapping) else {} for location, group in given.items()}

    def _more(self, arguments: Mapping[str, Any], problems: Problems) -> tuple[Headers, str, Headers]:
        """Read the choices among the arguments, and report what is no input at all."""
        names: dict[str, list[str]] = {location: [] for location in LOCATIONS}
        for one in self._inputs:
            names[one.location if self._grouped else "path"].append(one.name)
        if not self._grouped:
            others = {name: value for name, value in arguments.items() if name not in names["path"]}
            chosen = {name: others.pop(name) for name in list(others) if str(name).lower() in _CHOICES}
            report_unknown(others, [*names["path"], *["body"] * bool(self._body)], "", problems)
            return self._choices.read(chosen, "", problems)
        allowed = [location for location in LOCATIONS if names[location] or location == "header"]
        report_unknown(arguments, [*allowed, *["body"] * bool(self._body)], "", problems)
        chosen = {}
        for location in allowed:
            group = opened(arguments.get(location, {}))
            if not isinstance(group, Mapping):
                reason = f"{location} must be an object: names of this operation collide, so they are grouped"
                problems.append((f"/{location}", reason))
                continue
            others = {name: value for name, value in group.items() if name not in names[location]}
            if location == "header":
                chosen = {name: others.pop(name) for name in list(others) if str(name).lower() in _CHOICES}
            report_unknown(others, names[location], f"/{location}", problems)
        return self._choices.read(chosen, "/header", problems)


class _Choices:
    """Reads the headers that choose among media types. Its attributes are what goes when none is given."""

    def __init__(self, operation: Operation, registry: Registry, body: BodyWriter | None) -> None:
        self._body = body
        own = {one.name.lower(): one for one in operation.parameters if one.location == "header"}
        self._takes_type = "content-type" in own
        accept = _declared(own.get("accept"), registry)
        self.accept: Headers = (("Accept", accept),) if accept else _accept(operation)
        declared = _declared(own.get("content-type"), registry)
        self.content_type = declared if body and body.offers(declared) else ""
        required = not body and self._takes_type and own["content-type"].required
        self.extra: Headers = (("Content-Type", declared),) if required and declared else ()

    def read(self, given: Mapping[str, Any], prefix: str, problems: Problems) -> tuple[Headers, str, Headers]:
        """Return the Accept header, the media type of the body, and what is sent where there is no body."""
        accept, content_type, extra = self.accept, self.content_type, self.extra
        for name, raw in given.items():
            pointer = f"{prefix}/{escaped(name)}"
            try:
                text = leaf(raw)
            except Unfit as reason:
                problems.append((pointer, f"{name} {reason}"))
                continue
            if text is None:
                continue
            if not _MEDIA_RANGES.fullmatch(text):
                problems.append((pointer, f"{name} is {text[:80]!r}, which is no media type"))
            elif name.lower() == "accept":
                accept = (("Accept", text),)
            elif not self._body:
                extra = (("Content-Type", text),)
                if not self._takes_type:
                    problems.append((pointer, f"{name} is not an input of this operation: it has no body"))
            elif not self._body.offers(text):
                offered = ", ".join(self._body.offered[:10])
                problems.append((pointer, f"{name} is {text[:80]!r}, but must be one of {offered}"))
            else:
                content_type = text
        return accept, content_type, extra


def _is_own(one: Parameter) -> bool:
    return one.location == "header" and one.name.lower() in NEVER_SET | _CHOICES


def _declared(one: Parameter | None, registry: Registry) -> str:
    """Return the only value or the default that a description has for a header, as a media type."""
    schema = registry.schema(one.schema) if one else {}
    enum = schema.get("enum")
    value = schema.get("default", enum[0] if isinstance(enum, list) and len(enum) == 1 else "")
    return value if isinstance(value, str) and _MEDIA_RANGES.fullmatch(value) else ""


def _chunks(base: str, segments: tuple[tuple[Piece, ...], ...]) -> list[str | tuple[Piece, ...]]:
    """Return what a URL is joined from: text with its slashes, and segments that have inputs."""
    chunks: list[str | tuple[Piece, ...]] = []
    text = base
    for index, segment in enumerate(segments):
        text += "/" * bool(index)
        if any(is_input for _, is_input in segment):
            chunks.extend((text, segment))
            text = ""
        else:
            text += "".join(literal for literal, _ in segment)
    return [*chunks, text] if text else chunks


def _add_cookies(headers: list[tuple[str, str]], cookies: Mapping[str, str]) -> None:
    """Add the cookies; to a Cookie header that is an input itself, for there can be only one."""
    texts = [text for text in cookies.values() if text]
    for index, (name, value) in enumerate(headers):
        if name.lower() == "cookie":
            headers[index] = (name, "; ".join([value, *texts]))
            return
    headers.append(("Cookie", "; ".join(texts)))


def _accept(operation: Operation) -> "Headers":
    """Return the Accept header: what the good answers are declared to be, JSON first."""
    media = [
        one
        for status, response in operation.responses.items()
        if status.startswith("2") or status == "default"
        for one in response.media
    ]
    names = dict.fromkeys(mended(one.type) for one in sorted(media, key=lambda one: one.kind != "json"))
    return (("Accept", ", ".join(list(names)[:5])),) if names else ()


def report_unknown(given: Mapping[str, Any], names: list[str], prefix: str, problems: Problems) -> None:
    """Add a problem for every name that is no input, with what may have been meant."""
    unknown = [str(name) for name in given if name not in names]
    for name in unknown[:_MOST_UNKNOWN]:
        text = f"{name} is not an input of this operation{_meant(name[:_LONGEST_MEANT], names)}"
        problems.append((f"{prefix}/{escaped(name)}", text))
    if len(unknown) > _MOST_UNKNOWN:
        text = f"{len(unknown) - _MOST_UNKNOWN} more names are not inputs of this operation"
        problems.append((prefix, text))


_MOST_UNKNOWN: Final = 50  # looking for what was meant takes a while for each
_LONGEST_MEANT: Final = 200


def _meant(word: str, candidates: "Mapping[str, Any] | list[str]") -> str:
    from difflib import get_close_matches

    near = get_close_matches(word, list(candidates), n=1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; there are {', '.join(list(candidates)[:20])}" if candidates else "; it takes none"


def listed(head: str, problems: Problems) -> str:
    """Return one text that says all problems."""
    return f"{head}: " + "; ".join(text for _, text in problems)

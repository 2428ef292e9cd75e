"""The operation `:http` that every HTTP connection has beside those described: any request to its own server.

Pure. No argument leads to another host, out of the server's base path or past the end of a header, and none
stands in for the login. What can be wrong is said all at once, each with its pointer; nothing is validated
beyond that, for nothing is described.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, unquote, unquote_plus

from actions.arguments import ABSENT, Problems, Token, Unfit, escaped, leaf, opened, utf8
from actions.bodies import compile_media
from actions.bodies.media import TYPE, essence, is_range, kind_of
from actions.bodies.writing import Payload
from actions.errors import Refused
from actions.parameters import has_dots
from actions.serialize import Build, RequestParts, listed, report_unknown
from actions.specs.model import NEVER_SET, Body, Media, Operation, Parameter, Spec
from actions.specs.references import Registry
from actions.transport import Request, header_problems

RAW: Final = ":http"
"""No id that a reader makes begins with a colon."""

INPUTS: Final = ("method", "path", "query", "headers", "body")

_METHOD: Final = re.compile(r"[A-Z][A-Z0-9-]{0,31}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_WRONG_PATHS: Final = tuple(
    (re.compile(pattern), reason)
    for pattern, reason in (
        (r"\A(?!/)", "must begin with `/`: it follows the connection's server, and names no other one"),
        (r"\A/[/\\]", "must not begin with two slashes: what follows could be read as a host"),
        (r"\?", "must not hold a ?: fields go under `query`; one that is meant is %3F"),
        ("#", "must not hold a #: a fragment is never sent; one that is meant is %23"),
        (r"\\", "must not hold a backslash; one that is meant is %5C"),
        (r"%(?![0-9A-Fa-f]{2})", "holds a % that begins no percent-encoding; one that is meant is %25"),
    )
)
_IN_PATH: Final = "/%:@!$&'()*+,;=~"
_SCALAR: Final = {"type": ["string", "number", "boolean", "null"]}
_PARAMETERS: Final = (
    Parameter(
        name="method",
        location="path",
        required=True,
        schema={"type": "string", "examples": ["GET", "POST"]},
        description="The method.",
    ),
    Parameter(
        name="path",
        location="path",
        required=True,
        schema={"type": ["string", "array"], "items": _SCALAR},
        description="What follows the connection's server. Text begins with a slash and goes as it is; "
        "members of a list are encoded to one segment each.",
    ),
    Parameter(
        name="query",
        location="query",
        schema={"type": "object", "additionalProperties": {"type": [*_SCALAR["type"], "array"]}},
        description="The fields of the query; a list repeats its field.",
    ),
    Parameter(
        name="headers",
        location="header",
        schema={"type": "object", "additionalProperties": _SCALAR},
        description="The headers, but those of the transport and of the login. Content-Type says how the "
        "body is written.",
    ),
)


def raw_operation(given: Mapping[str, Any] | None = None) -> Operation:
    """Return `:http` as an operation, with the method and the path that are known beforehand."""
    given = given or {}
    method, path = given.get("method"), given.get("path")
    return Operation(
        id=RAW,
        method=method.upper() if isinstance(method, str) else "",
        path=path if isinstance(path, str) else "",
        summary="Any request to the connection's server",
        parameters=_PARAMETERS,
        body=Body(media=()),
    )


def find_called(spec: Spec, name: str, given: Mapping[str, Any] | None = None) -> Operation | None:
    """Return what is called by a name: `:http`, or an operation of the description; None for neither.

    Raise Refused for `:http` where operations are left out: it could call them all the same.
    """
    if name != RAW or spec.dialect.startswith("asyncapi"):
        return spec.find(name)
    if spec.left_out:
        raise Refused(f"{RAW} could call what is left out of the connector: there is none where that is so")
    return raw_operation(given)


def foreseen(given: Mapping[str, Any]) -> Problems:
    """Return what is wrong with arguments whose values are not known yet, as far as that can be told."""
    problems: Problems = []
    nothing = _Login(frozenset(), frozenset())
    for name in given:
        if name.lower() in ("content-type", "accept"):
            problems.append((f"/{name}", f"{name} goes under `headers`"))
    for name, judge in (("method", _method), ("path", _path)):
        if name in given:
            judge(given[name], problems)
    _query(given.get("query", ABSENT), nothing, problems)
    _headers(given.get("headers", ABSENT), nothing, problems)
    return problems


def compile_raw(server_url: str, login: Request) -> Build:
    """Return the function that builds requests to a server.

    `login` is an empty request with the login in it, masked: what it sets, no argument can.
    """
    base = server_url.rstrip("/")
    fields = (field.partition("=")[0] for field in login.url.partition("?")[2].split("&"))
    taken = _Login(
        frozenset(name.lower() for name, _ in login.headers if name.lower() != "cookie"),
        frozenset(unquote_plus(name) for name in fields if name),
    )

    def build(arguments: Mapping[str, Any]) -> RequestParts:
        problems: Problems = []
        report_unknown(arguments, list(INPUTS), "", problems)
        given = {name: arguments.get(name, ABSENT) for name in INPUTS}
        method = _method(given["method"], problems)
        path = _path(given["path"], problems)
        query = _query(given["query"], taken, problems)
        headers, content_type = _headers(given["headers"], taken, problems)
        payload = _payload(given["body"], content_type, problems)
        if payload and method == "TRACE":
            problems.append(("/body", "body cannot go with TRACE"))
        if problems:
            raise Refused(listed(f"{RAW} cannot be called", problems), tuple(problems))
        if payload is None and content_type:
            headers = [*headers, ("Content-Type", content_type)]
        body, written_type = payload or (None, "")
        return RequestParts(
            method=method,
            url=f"{base}{path}?{'&'.join(query)}" if query else base + path,
            headers=tuple(headers),
            body=body,
            content_type=written_type,
        )

    return build


@dataclass(frozen=True, slots=True)
class _Login:
    """What the connection's login sets: headers in lower case, fields of the query."""

    headers: Collection[str]
    query: Collection[str]


def _method(value: Any, problems: Problems) -> str:
    text = _plain(value)
    if text is None:
        problems.append(("/method", _lacking("method", value)))
        return ""
    if not _METHOD.fullmatch(text.upper()) or text.upper() == "CONNECT":
        problems.append(("/method", f"method is {text[:40]!r}, which cannot be sent"))
    return text.upper()


def _path(value: Any, problems: Problems) -> str:
    """Return the path as it is sent; every member of a list is a segment."""
    value = opened(value)
    if isinstance(value, list | tuple):
        return "/" + "/".join(_segment(one, f"/path/{at}", problems) for at, one in enumerate(value))
    text = _plain(value)
    if text is None:
        problems.append(("/path", _lacking("path", value)))
        return ""
    reason = _why_no_path(text)
    try:
        sent = quote(utf8(text), safe=_IN_PATH)
    except Unfit as unfit:
        reason, sent = reason or str(unfit), ""
    if reason:
        problems.append(("/path", f"path {reason}"))
    return sent


def _why_no_path(text: str) -> str:
    """Return why this is no path below a server, "" when it is one."""
    for wrong, reason in _WRONG_PATHS:
        if wrong.search(text):
            return reason
    if _CONTROL.search(unquote(text)):
        return "has control characters"
    return "has a dot segment, which would lead to another path" if has_dots(text) else ""


def _segment(value: Any, pointer: str, problems: Problems) -> str:
    try:
        text = leaf(value) or ""
        sent = quote(utf8(text), safe="")
    except Unfit as reason:
        problems.append((pointer, f"a segment of path {reason}"))
        return ""
    if not text:
        problems.append((pointer, "a segment of path is empty, but it is a segment of the path"))
    elif _CONTROL.search(text):
        problems.append((pointer, "a segment of path has control characters"))
    elif has_dots(text):
        problems.append((pointer, "a segment of path would change the path: it has a dot segment"))
    return sent


def _query(value: Any, login: _Login, problems: Problems) -> list[str]:
    """Return the fields of the query, encoded."""
    fields = []
    for name, one, pointer in _members("query", value, problems):
        if name in login.query:
            problems.append((pointer, f"{name} is set by the connection's login"))
        known = opened(one)
        listed_ = known if isinstance(known, list | tuple) else [known]
        for at, member in enumerate(listed_):
            try:
                text = leaf(member)
                if text is not None:
                    fields.append(f"{quote(utf8(name), safe='$@:')}={quote(utf8(text), safe='')}")
            except Unfit as reason:
                place = pointer if listed_ is not known else f"{pointer}/{at}"
                problems.append((place, f"{name} {reason}"))
    return fields


def _headers(value: Any, login: _Login, problems: Problems) -> tuple[list[tuple[str, str]], str]:
    """Return the headers but Content-Type, and that."""
    headers: dict[str, tuple[str, str]] = {}
    content_type = ""
    for name, one, pointer in _members("headers", value, problems):
        lower = name.lower()
        try:
            text = leaf(one)
        except Unfit as reason:
            problems.append((pointer, f"{name} {reason}"))
            continue
        if lower in headers:
            problems.append((pointer, f"{name} is given twice"))
        elif lower in login.headers or lower == "authorization":
            problems.append((pointer, f"{name} is set by the connection's login: say it under its `auth`"))
        elif lower in NEVER_SET:
            problems.append((pointer, f"{name} is set by the service itself"))
        else:
            problems += [(pointer, reason) for reason in header_problems(((name, text or ""),))]
        if text is not None:
            headers[lower] = (name, text)
            if lower == "content-type":
                content_type = text
                if is_range(text) or not TYPE.fullmatch(essence(text)):
                    problems.append((pointer, f"{name} is {text[:80]!r}, which is no media type"))
    headers.pop("content-type", None)
    return list(headers.values()), content_type


def _payload(value: Any, content_type: str, problems: Problems) -> Payload | None:
    """Return the body and its type. Text is the body itself; anything else is written as its type says."""
    known = opened(value)
    if known is ABSENT or known is None:
        return None
    whole = isinstance(known, str) and not isinstance(known, Token)
    if not content_type and (whole or (isinstance(known, Mapping) and known.keys() >= {"base64"})):
        what = "text" if whole else "bytes"
        problems.append(("/body", f"body is {what}: `headers` must say what it is with Content-Type"))
        return None
    content_type = content_type or "application/json"
    try:
        if whole and kind_of(content_type) in ("json", "multipart"):
            return utf8(known), content_type
        return compile_media(Media(type=content_type), Registry({}))(value, problems, "/body")
    except Unfit as reason:
        problems.append(("/body", f"body {reason}"))
    return None


def _members(input_: str, value: Any, problems: Problems) -> list[tuple[str, Any, str]]:
    """Return name, value and pointer of every member of an input that is an object; null is none."""
    value = opened(value)
    if value is ABSENT or value is None:
        return []
    if not isinstance(value, Mapping):
        problems.append((f"/{input_}", f"{input_} must be an object"))
        return []
    return [(str(name), one, f"/{input_}/{escaped(str(name))}") for name, one in value.items()]


def _plain(value: Any) -> str | None:
    """Return text that was given as text, None for anything else."""
    value = opened(value)
    return value if isinstance(value, str) and not isinstance(value, Token) else None


def _lacking(name: str, value: Any) -> str:
    return f"{name} is required" if value is ABSENT else f"{name} must be text"

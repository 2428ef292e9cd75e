"""Takes a URL of a collection apart: where the API lives, the path as a template, the query.

`{{variables}}` may hold any character, so they are put aside while the text is cut. What the URL says of a
credential is dropped by whoever asks for the parts: it is in none of them.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, unquote_plus

from actions.specs.postman.calls import Call, Pair
from actions.specs.postman.variables import PLACEHOLDER, Variables

_OPEN, _CLOSE = "\ue000", "\ue001"
_MARK: Final = re.compile(f"{_OPEN}(\\d+){_CLOSE}")
_PROTOCOL: Final = re.compile(f"(?:[A-Za-z][A-Za-z0-9+.-]*|{_OPEN}\\d+{_CLOSE}):(?://|\\\\\\\\)")
_BRACED: Final = re.compile(r"\{([^{}]+)\}")
_PORT: Final = re.compile(f":(?:\\d+|{_OPEN}\\d+{_CLOSE})")
_UNFIT: Final = re.compile(r"[/?#\\{}\s\x00-\x1f\x7f]+")
_EXTENSION: Final = re.compile(r"\.(?:json|xml|csv|txt|html|pdf|rss|atom)$")
SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """A path parameter of one URL: its name, its sample (a template), the variable that it stands for."""

    name: str
    sample: str | None = None
    variable: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A URL, taken apart. `base` is a template as written, "" when the URL names no place.

    `path` has the holes as `{name}`; `shape` is the path with nameless holes: what is the same there is the
    same operation. `user` tells that the URL held a name and password.
    """

    base: str
    path: str
    shape: str
    holes: tuple[Hole, ...] = ()
    query: tuple[Pair, ...] = ()
    user: bool = False


class _Marked:
    """A text with its variables put aside."""

    def __init__(self, text: str) -> None:
        self.names: list[str] = []
        clean = text.replace(_OPEN, "").replace(_CLOSE, "")
        self.text = PLACEHOLDER.sub(self._aside, clean)

    def _aside(self, match: re.Match[str]) -> str:
        self.names.append(match.group())
        return f"{_OPEN}{len(self.names) - 1}{_CLOSE}"

    def back(self, text: str) -> str:
        return _MARK.sub(lambda match: self.names[int(match.group(1))], text)

    def variable(self, match: re.Match[str]) -> str:
        return self.names[int(match.group(1))][2:-2].strip()


def address(call: Call, variables: Variables) -> Address:
    """Take the URL of a call apart."""
    marked = _Marked(call.url.strip())
    text, _, _ = marked.text.partition("#")
    text, asked, query = text.partition("?")
    base, path, user = _split(text, marked, variables)
    template, holes = _path(path, marked, call, variables)
    given = call.query
    if given is None:
        given = tuple(_query(marked.back(query))) if asked else ()
    return Address(
        base=marked.back(base),
        path=template,
        shape=_BRACED.sub("{}", template),
        holes=tuple(holes),
        query=given,
        user=user,
    )


def _split(text: str, marked: _Marked, variables: Variables) -> tuple[str, str, bool]:
    """Return the place, the path behind it, and whether a user stood in between."""
    protocol = _PROTOCOL.match(text)
    start = text[: protocol.end()].replace("\\", "/") if protocol else ""
    rest = text[len(start) :].replace("\\", "/")
    place, slash, path = rest.partition("/")
    user, at, host = place.rpartition("@")
    path = slash + path
    if not protocol:
        first = _MARK.match(host)
        if first and not user:
            value = variables.value(marked.variable(first)) or ""
            behind = host[first.end() :]
            whole = "://" in value or value.endswith("/") or behind.startswith(_OPEN)
            port = _PORT.fullmatch(behind)
            if behind and whole and not port and not value.endswith("://"):
                host, path = host[: first.end()], behind + path  # `{{base}}users`, `{{base}}{{path}}`
            if first.end() != len(host) and not SCHEME.match(value):
                start = "http://"
        elif host:
            start = "http://"  # what Postman does
    return start + host if host else "", path, bool(at and user)


def _path(path: str, marked: _Marked, call: Call, variables: Variables) -> tuple[str, list[Hole]]:
    told = {one.name: one for one in call.path}
    holes: dict[str, Hole] = {}
    segments = []
    for segment in path.split("/"):
        name = segment[1:] if len(segment) > 1 and segment[0] == ":" and not _MARK.search(segment) else ""
        if name:
            name, dot, end = unquote(name), "", ""
            if name not in told and _EXTENSION.search(name):
                name, dot, end = name.rpartition(".")  # `/:id.json`
            segments.append(f"{_told(name, told, holes)}{dot}{end}")
            continue
        made = _MARK.sub(lambda match: _variable(marked.variable(match), variables, holes), segment)
        made = _BRACED.sub(
            lambda match: match.group() if match.group(1) in holes else _told(match.group(1), told, holes),
            made,
        )
        segments.append(made)
    return "/".join(segments), list(holes.values())


def _told(name: str, told: dict[str, Pair], holes: dict[str, Hole]) -> str:
    """Return the hole of a path variable, about which the request may say more."""
    known = told.get(name)
    label = _UNFIT.sub("_", name)
    holes[label] = Hole(
        name=label,
        sample=known.value if known else None,
        description=known.description if known else "",
    )
    return f"{{{label}}}"


def _variable(name: str, variables: Variables, holes: dict[str, Hole]) -> str:
    """Return the hole of a `{{variable}}`; the value itself where it is several segments."""
    value = variables.value(name)
    if value is not None and "/" in value:
        return value.strip("/").replace("{", "").replace("}", "")
    label = _UNFIT.sub("_", name) or "value"
    holes.setdefault(label, Hole(name=label, sample=f"{{{{{name}}}}}", variable=name))
    return f"{{{label}}}"


def _query(text: str) -> list[Pair]:
    """Read a query as text; the variables in it are whole again."""
    found = []
    for part in _parts(text):
        name, equals, value = part.partition("=")
        if name:
            found.append(Pair(name=unquote_plus(name), value=value if equals else None))
    return found


def _parts(text: str) -> list[str]:
    marked = _Marked(text)
    return [marked.back(part) for part in marked.text.split("&")]


def plain(value: str, *, query: bool) -> str:
    """Return the value of a parameter as it is meant, not as it is written in a URL."""
    return unquote_plus(value) if query else unquote(value)

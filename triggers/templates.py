"""Texts made of a request's headers and body: the small language that presets are written in.

`{header.x-github-event}` and `{data.repository.full_name}` are references. What stands in `[…]` is left out
when a reference in it has no value; outside of it, a template with such a reference has no value as a whole.
`{?data.x}` asks that there is a value and writes nothing. `|dots`, `|snake`, `|unquoted` and `|instant`
rewrite a value. Pure.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

Render = Callable[[Mapping[str, str], Any], str | None]
"""Takes the headers (lower-case names) and the decoded body; returns a text, None when there is none."""

MAX_TEXT: Final = 1_024
"""A longer text, or one with control characters, is no id, type or subject."""


def compile_templates(templates: tuple[str, ...]) -> Render:
    """Return what renders the first of the templates that has a value."""
    compiled = tuple(_Template(template) for template in templates)

    def render(headers: Mapping[str, str], data: Any) -> str | None:
        for template in compiled:
            text = template.render(headers, data)
            if text and len(text) <= MAX_TEXT and text.isprintable():
                return text
        return None

    return render


_PIECE: Final = re.compile(r"\[([^\]]*)\]|\{(\??)(header|data)\.([^}|]+)(?:\|([a-z]+))?\}|([^\[{]+)")


class _Template:
    """One template, taken apart."""

    __slots__ = ("_pieces",)

    def __init__(self, text: str) -> None:
        self._pieces: list[str | _Reference | _Template] = []
        for optional, asks, place, path, rewrite, literal in _PIECE.findall(text):
            if optional:
                self._pieces.append(_Template(optional))
            elif literal:
                self._pieces.append(literal)
            else:
                self._pieces.append(_Reference(place, path, rewrite, silent=bool(asks)))

    def render(self, headers: Mapping[str, str], data: Any) -> str | None:
        parts = []
        for piece in self._pieces:
            if isinstance(piece, str):
                parts.append(piece)
            elif isinstance(piece, _Template):
                parts.append(piece.render(headers, data) or "")
            else:
                value = piece.render(headers, data)
                if value is None:
                    return None
                parts.append(value)
        return "".join(parts)


class _Reference:
    """A header or a path into the body."""

    __slots__ = ("_header", "_path", "_rewrite", "_silent")

    def __init__(self, place: str, path: str, rewrite: str, *, silent: bool) -> None:
        self._header = path if place == "header" else ""
        self._path = tuple(path.split("."))
        self._rewrite = _REWRITES[rewrite] if rewrite else None
        self._silent = silent

    def render(self, headers: Mapping[str, str], data: Any) -> str | None:
        value: Any = headers.get(self._header) if self._header else data
        if not self._header:
            for name in self._path:
                if not isinstance(value, dict):
                    return None
                value = value.get(name)
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            if self._silent and isinstance(value, (list, dict)):
                return ""
            return None
        text = str(value) if self._rewrite is None else self._rewrite(value)
        if not text:
            return None
        return "" if self._silent else text


_RFC3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,12})?([Zz]|[+-][0-9]{2}:[0-9]{2})",
    re.ASCII,
)
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_LATEST: Final = 253_402_300_799  # the last second of the year 9999


def _instant(value: str | int) -> str:
    """Return RFC 3339 text as it came, or made of seconds since the epoch; nothing when it is neither."""
    if isinstance(value, int):
        if not 0 <= value <= _LATEST:
            return ""
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return value if _RFC3339.fullmatch(value) else ""


_REWRITES: Final[Mapping[str, Callable[[str | int], str]]] = {
    "dots": lambda value: re.sub("[:/]", ".", str(value)),
    "snake": lambda value: _CAMEL.sub("_", str(value)).lower(),
    "unquoted": lambda value: str(value).strip('"'),
    "instant": _instant,
}

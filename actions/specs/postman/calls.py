"""One request of a collection, the same for every version of the format.

Values are as written, `{{variables}}` unfilled. Nothing is judged here: that is `grouping`'s. Forgiving by
silence: what has the wrong type in a request is left out, as Postman itself does.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Mode = Literal["", "raw", "urlencoded", "formdata", "file", "graphql"]
MODES: Final[tuple[Mode, ...]] = ("raw", "urlencoded", "formdata", "file", "graphql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A header, a parameter of the query or the path, or a field of a form. `value` is None without one.

    Of a field that is a file it is the name of the file.
    """

    name: str
    value: str | None
    disabled: bool = False
    description: str = ""
    file: bool = False
    content_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """What is sent as the body: `text` of raw and graphql (`variables` beside it), `fields` of the forms.

    Of a file it is the text, where it stands in the collection, or one nameless field.
    """

    mode: Mode
    text: str = ""
    language: str = ""
    fields: tuple[Pair, ...] = ()
    variables: Any = None
    operation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """How a request logs in: Postman's name of the way, and what is given for it by name."""

    kind: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A script as text; `before` says that it would run before the request."""

    text: str
    before: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A saved response."""

    name: str
    status: str
    headers: tuple[Pair, ...]
    body: str
    language: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request. `url` is the whole text, `query` and `path` what is said of its parts beside it.

    `name` is None where there is none; `pruned` says that Postman sends no body with a GET.
    """

    name: str | None
    method: str
    url: str
    pointer: str
    folders: tuple[str, ...] = ()
    shown_url: str = ""
    query: tuple[Pair, ...] | None = None
    path: tuple[Pair, ...] = ()
    headers: tuple[Pair, ...] = ()
    payload: Payload | None = None
    login: Login | None = None
    scripts: tuple[Script, ...] = ()
    saved: tuple[Saved, ...] = ()
    description: str = ""
    pruned: bool = True


def mapping(value: Any) -> Mapping[str, Any]:
    """Return an object, an empty one instead of anything else."""
    return value if isinstance(value, dict) else {}


def listing(value: Any) -> list[Any]:
    """Return a list, an empty one instead of anything else."""
    return value if isinstance(value, list) else []


def written(value: Any) -> str:
    """Return a scalar as Postman would send it; nothing for anything else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) else ""


def prose(value: Any) -> str:
    """Return a description, which is text or an object around text."""
    return written(value.get("content")) if isinstance(value, dict) else written(value)


def pairs(value: Any) -> tuple[Pair, ...]:
    """Read headers, parameters or fields, whether they are a list, an object or lines of text."""
    if isinstance(value, str):
        return tuple(lines(value))
    if isinstance(value, dict):
        return tuple(Pair(name=name, value=written(one)) for name, one in value.items() if name)
    return tuple(_pairs(listing(value)))


def _pairs(entries: Iterable[Any]) -> Iterable[Pair]:
    for entry in entries:
        if isinstance(entry, str):
            yield from lines(entry)
            continue
        one = mapping(entry)
        name = written(one.get("key") if "key" in one else one.get("id", one.get("name")))
        commented = name.startswith("//")
        name = name.removeprefix("//") if commented else name
        if not name:
            continue
        file = one.get("type") == "file"
        value = source(one.get("src")) if file else one.get("value")
        yield Pair(
            name=name,
            value=None if value is None else written(value),
            disabled=commented or one.get("disabled") is True or one.get("enabled") is False,
            description=prose(one.get("description")),
            file=file,
            content_type=written(one.get("contentType")),
        )


def source(value: Any) -> str:
    """Return the name of a file that a body sends; where it lay is nobody's business."""
    path = written(value[0]) if isinstance(value, list) and value else written(value)
    return path.replace("\\", "/").rpartition("/")[2]


def lines(text: str) -> Iterable[Pair]:
    """Read headers that are written as lines; `//` before one disables it."""
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        disabled = name.lstrip().startswith("//")
        name = name.strip().removeprefix("//").strip()
        if name and colon:
            yield Pair(name=name, value=value.strip(), disabled=disabled)


def script_texts(value: Any) -> Iterable[Script]:
    """Read the events of a request, a folder or a collection. Scripts that stand elsewhere are left out."""
    for entry in listing(value):
        event = mapping(entry)
        if event.get("disabled") is True:
            continue
        held = event.get("script")
        code = held.get("exec") if isinstance(held, dict) else None
        if isinstance(code, list):
            code = "\n".join(line for line in code if isinstance(line, str))
        if isinstance(code, str) and code.strip():
            yield Script(text=code, before=event.get("listen") == "prerequest")

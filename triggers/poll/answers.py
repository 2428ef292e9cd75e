"""Reads one answer of a polled operation: its items, where to go on, when to ask again. Pure.

Nothing here calls or remembers. An answer that cannot be read is a BadEvent, which keeps its bytes.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urljoin, urlsplit

import msgspec

from triggers.base import Expression, Polled
from triggers.bodies import check_charset, format_of, read_body
from triggers.credentials import is_credential
from triggers.errors import BadEvent
from triggers.message import DataFormat

SOONEST: Final = 1.0
LATEST: Final = 86_400.0
"""Seconds. A Retry-After is obeyed within these bounds: a second, and a day."""

MAX_QUERY: Final = 8 * 1024
"""Characters of a Location's query."""

_PLAIN_PATH: Final = re.compile(r"\s*body((?:\.[A-Za-z_][A-Za-z0-9_]*)*)\s*")
_PLACES: Final = re.compile(r"page|next|sync|skip|start|continu|delta|cursor|state|resume|offset|marker")
_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_elements: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_PORTS: Final = {"http": 80, "https": 443}


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One item of an answer: its bytes, how rules will see them, and its value for expressions."""

    data: bytes
    format: DataFormat
    content_type: str
    value: Any


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """A body that was read: `value` is what expressions see, null where it is binary."""

    data: bytes
    format: DataFormat
    content_type: str
    value: Any


def read(answer: Polled) -> Body:
    """Return the body of an answer that has one. Raise BadEvent: it is cut, or not what it says it is."""
    if answer.truncated:
        raise BadEvent(
            "answer-cut",
            f"the answer is longer than the connection takes, it was cut at {len(answer.body)} bytes",
        )
    content_type = answer.header("content-type") or "application/json"
    check_charset(content_type)
    form = format_of(content_type)
    return Body(data=answer.body, format=form, content_type=content_type, value=read_body(answer.body, form))


def visible_headers(answer: Polled) -> dict[str, str]:
    """Return the headers of an answer as expressions see them: credentials left out, repeated ones joined."""
    seen: dict[str, str] = {}
    for name, value in answer.headers:
        if not is_credential(name):
            seen[name] = f"{seen[name]}, {value}" if name in seen else value
    return seen


def find_items(
    body: Body, text: str | None, expression: Expression | None, variables: Mapping[str, Any]
) -> list[Found]:
    """Return the items of a body in the order of the answer. Raise BadEvent when there is no list of them.

    The bytes of an item are those of the answer where the list stands at a plain path (`body.orders`), so
    that numbers arrive as they came; what an expression computed is written anew.
    """
    if expression is None:
        if not isinstance(body.value, list):
            return [
                Found(data=body.data, format=body.format, content_type=body.content_type, value=body.value)
            ]
        return _listed(_elements(body.data), body.value)
    try:
        value = expression(variables)
    except ValueError as error:
        raise BadEvent("no-items", f"the expression `items:` has no value: {error}") from None
    if value is None:
        return []
    if not isinstance(value, list):
        kind = "an object" if isinstance(value, dict) else "a single value"
        raise BadEvent("no-items", f"the expression `items:` gives {kind}, not a list")
    path = _PLAIN_PATH.fullmatch(text or "")
    if path is not None and body.format == "json":
        return _listed(_elements(_descend(body.data, path[1].split(".")[1:])), value)
    return _listed([msgspec.json.encode(one) for one in value], value)


def _listed(texts: Sequence[bytes | msgspec.Raw], values: Sequence[Any]) -> list[Found]:
    return [
        Found(data=bytes(text), format="json", content_type="application/json", value=value)
        for text, value in zip(texts, values, strict=True)
    ]


def _descend(text: bytes, names: Sequence[str]) -> bytes | msgspec.Raw:
    token: bytes | msgspec.Raw = text
    for name in names:
        token = _members(token)[name]
    return token


def next_query(answer: Polled) -> tuple[tuple[tuple[str, str], ...] | None, str]:
    """Return the query that the Location of an answer asks for, and what is wrong with it.

    None when there is no Location or it may not be followed: it is taken only where it points to the very
    address that was called, since an answer must not make us call elsewhere. Of its query, what looks like
    a credential is left out.
    """
    location = answer.header("location")
    if location is None:
        return None, ""
    try:
        asked = urlsplit(urljoin(answer.url, location))
        if _place(asked) != _place(urlsplit(answer.url)):
            return None, "its Location points elsewhere"
        if len(asked.query) > MAX_QUERY:
            return None, f"the query of its Location has more than {MAX_QUERY} characters"
        pairs = parse_qsl(asked.query, keep_blank_values=True, max_num_fields=100, errors="strict")
    except ValueError:
        return None, "its Location cannot be read"
    return tuple(pair for pair in pairs if not _secret(pair[0].lower())), ""


def _place(url: SplitResult) -> tuple[str, str, int | None, str]:
    return url.scheme, url.hostname or "", url.port or _PORTS.get(url.scheme), unquote(url.path) or "/"


def _secret(name: str) -> bool:
    """Say whether a parameter is a credential; `page_token` and its like say where to go on."""
    return is_credential(name) and not _PLACES.search(name)


def retry_after(answer: Polled, now: float) -> float | None:
    """Return in how many seconds an answer wants to be asked again, bounded; None when it does not say."""
    text = (answer.header("retry-after") or "").strip()
    if text.isascii() and text.isdigit():
        return min(max(float(text[:12]), SOONEST), LATEST)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(moment.timestamp() - now, SOONEST), LATEST)

"""Pages of an answer: where the next page is, and how the items of several pages become one answer. Pure.

What a description says comes first (`x-ms-pageable`), then what the protocol says (Link, RFC 8288), then what
the answers and parameters of well-known APIs look like. Number tokens of items are copied as they came.
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urljoin

import msgspec

from actions.base import Answer, Paging
from actions.specs.model import Operation
from actions.transport import Request

LINKS: Final = (
    "@odata.nextLink", "odata.nextLink", "nextLink", "next_link", "nextPageLink", "next_page_uri",
    "nextPageUrl", "next_page_url", "next_url", "nextUrl", "next_href", "nextRecordsUrl", "links.next",
    "_links.next", "paging.next.link", "paging.next", "pagination.next", "pagination.next_url",
    "pages.next", "meta.next", "next",
)  # fmt: skip
"""Members that hold the URL of the next page, the most exact names first."""

CURSORS: Final = (
    "next_cursor", "nextCursor", "nextPageToken", "next_page_token", "nextToken", "next_token",
    "continuationToken", "response_metadata.next_cursor", "meta.next_cursor", "meta.cursor",
    "meta.nextCursor", "pagination.next_cursor", "pagination.cursor", "paging.cursors.after",
    "paging.next.after", "page_info.end_cursor", "pageInfo.endCursor", "cursor",
)  # fmt: skip
"""Members that hold a cursor for the next page."""

CURSOR_PARAMETERS: Final = (
    "cursor", "page_token", "pageToken", "next_token", "nextToken", "next_cursor", "nextCursor",
    "continuationToken", "continuation_token", "after", "page_cursor", "pageCursor", "bookmark",
    "marker",
)  # fmt: skip
OFFSETS: Final = ("offset", "$skip", "skip", "start", "startAt", "start_index", "startIndex")
PAGES: Final = ("page", "page_number", "pageNumber", "pageIndex", "p")
ITEMS: Final = (
    "value",
    "items",
    "data",
    "results",
    "records",
    "entries",
    "rows",
    "elements",
    "list",
    "content",
)
"""Members that hold the items, in the order of preference where several are arrays."""

_LONGEST_COUNT: Final = 18
_NEXT: Final = frozenset({"next"})
_OTHER_PAGES: Final = frozenset({"prev", "previous", "first", "last"})
_LINK: Final = re.compile(r"<([^<>]*)>((?:[^,\"]|\"(?:[^\"\\]|\\.)*\")*)")
_PARAMETER: Final = re.compile(r";\s*([A-Za-z*]+)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s;,]+))")

_decode_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode: Final = msgspec.json.Encoder().encode


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, taken apart: its members (empty for a bare array), its items, and where they stand."""

    members: Mapping[str, msgspec.Raw]
    items: list[msgspec.Raw]
    path: tuple[str, ...]


def read_page(answer: Answer, paging: Paging) -> Page | None:
    """Return an answer's items; None when it is no JSON, was cut, or holds no array that could be meant."""
    if answer.truncated or not 200 <= answer.status < 300:
        return None
    try:
        answer.body.decode()  # tokens are taken as they come, and read one by one later
        if answer.body.lstrip()[:1] == b"[":
            return Page(members={}, items=_decode_list(answer.body), path=())
        members = _decode_object(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    for path in _item_paths(members, paging):
        found = _at(members, path)
        if found is not None and bytes(found).lstrip()[:1] == b"[":
            return Page(members=members, items=_decode_list(found), path=path)
    return None


def _item_paths(members: Mapping[str, msgspec.Raw], paging: Paging) -> list[tuple[str, ...]]:
    if paging.items:
        return [tuple(paging.items.split("."))]
    arrays = [name for name, token in members.items() if bytes(token).lstrip()[:1] == b"["]
    known = [name for name in ITEMS if name in arrays]
    if len(arrays) == 1:
        return [(arrays[0],)]
    if known:
        return [(known[0],)]
    return [("data", name) for name in ITEMS]


def _at(members: Mapping[str, msgspec.Raw], path: tuple[str, ...]) -> msgspec.Raw | None:
    token: msgspec.Raw | None = None
    for name in path:
        token = members.get(name)
        if token is None:
            return None
        members = _decode_object(token) if bytes(token).lstrip()[:1] == b"{" else {}
    return token


def _token(members: Mapping[str, msgspec.Raw], dotted: str) -> msgspec.Raw | None:
    token = members.get(dotted)
    return _at(members, tuple(dotted.split("."))) if token is None else token


def _value(members: Mapping[str, msgspec.Raw], dotted: str) -> Any:
    """Return what stands at a path, None where there is nothing. A name with dots in it counts first."""
    token = _token(members, dotted)
    try:
        return None if token is None else msgspec.json.decode(token)
    except (msgspec.MsgspecError, RecursionError):  # a number that no number can hold
        return None


class Pager:
    """Finds the request for the next page. One for each call: offsets are counted."""

    def __init__(self, operation: Operation, paging: Paging) -> None:
        pageable = operation.extras.get("x-ms-pageable")
        self._paging = paging
        self._declared = pageable if isinstance(pageable, dict) else {}
        self._query = [one.name for one in operation.parameters if one.location == "query"]
        self._taken = 0
        self._linked = bool(paging.next) or isinstance(self._declared.get("nextLinkName"), str)

    def next(self, request: Request, answer: Answer, page: Page) -> Request | None:
        """Return the request for the page after this one; None when this is the last."""
        self._taken += len(page.items)
        link = self._link(answer, page)
        if link:
            self._linked = True
            return Request(request.method, absolute(request.url, link), request.headers, request.body)
        if self._linked or _last_by_link(answer, page):
            return None  # who leads on by links says by having none that this is the end
        for name, value in self._field(page):
            return Request(
                request.method, with_field(request.url, name, value), request.headers, request.body
            )
        return None

    def _link(self, answer: Answer, page: Page) -> str:
        if self._paging.next:
            return _link_text(_value(page.members, self._paging.next))
        if self._paging.parameter:
            return ""
        named = self._declared.get("nextLinkName")
        if isinstance(named, str) and named:
            return _link_text(_value(page.members, named))
        for name, value in answer.headers:
            found = link_next(value) if name == "link" else ""
            if found:
                return found
        for path in LINKS:
            found = _link_text(_value(page.members, path))
            if "/" in found or found.startswith("?"):
                return found
        return ""

    def _field(self, page: Page) -> list[tuple[str, str]]:
        """Return the query field that asks for the next page; nothing when there is none."""
        paging = self._paging
        if paging.cursor:
            value = _value(page.members, paging.cursor)
            return [(paging.parameter or self._first(CURSOR_PARAMETERS), str(value))] if _given(value) else []
        parameter = paging.parameter or self._first(CURSOR_PARAMETERS)
        if parameter and parameter not in (*OFFSETS, *PAGES):
            for path in CURSORS:
                value = _value(page.members, path)
                if _given(value) and not isinstance(value, dict | list | bool):
                    return [(parameter, str(value))]
            return []
        parameter = paging.parameter or self._first((*OFFSETS, *PAGES))
        if not parameter or not page.items or self._complete(page):
            return []
        return [(parameter, str(self._taken) if parameter in OFFSETS else "+1")]

    def _complete(self, page: Page) -> bool:
        """Tell whether the answer itself says that there is no more."""
        more = next(
            (_value(page.members, name) for name in ("has_more", "hasMore", "more") if name in page.members),
            None,
        )
        total = next(
            (
                _value(page.members, name)
                for name in ("total", "total_count", "totalCount")
                if name in page.members
            ),
            None,
        )
        return more is False or (isinstance(total, int) and self._taken >= total)

    def _first(self, names: tuple[str, ...]) -> str:
        return next((name for name in names if name in self._query), "")


def _last_by_link(answer: Answer, page: Page) -> bool:
    """Tell whether an answer that leads nowhere is of a kind that would lead on if there were more."""
    if any(link_to(value, _OTHER_PAGES) for name, value in answer.headers if name == "link"):
        return True
    tokens = (_token(page.members, path) for path in LINKS)
    return any(bytes(token).strip() in (b"null", b'""', b"false") for token in tokens if token is not None)


def _given(value: Any) -> bool:
    return value is not None and value is not False and value != ""


def _link_text(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("href") or value.get("url")
    return value.strip() if isinstance(value, str) else ""


def link_next(header: str) -> str:
    """Return the target of the relation `next` in a Link header (RFC 8288 §3); empty when there is none."""
    return link_to(header, _NEXT)


def link_to(header: str, relations: frozenset[str]) -> str:
    """Return the first target in a Link header that stands in one of these relations; else nothing."""
    for match in _LINK.finditer(header):
        for name, quoted, bare in _PARAMETER.findall(match.group(2)):
            if name.lower() == "rel" and relations & {*(quoted or bare).lower().split()}:
                return match.group(1).strip()
    return ""


def absolute(url: str, link: str) -> str:
    """Return the URL that a link in an answer to `url` means, without its fragment; junk stays junk."""
    written = quote(link, safe="%/:?#[]@!$&'()*+,;=~-._")
    try:
        return urljoin(url, written).partition("#")[0]
    except ValueError:  # `http://[`: no URL, hence at no origin of ours
        return written


def with_field(url: str, name: str, value: str) -> str:
    """Return the URL with this query field; `+1` counts up what it has, from 1 where it has nothing."""
    base, _, query = url.partition("?")
    fields = parse_qsl(query, keep_blank_values=True)
    if value == "+1":
        before = next((text for key, text in fields if key == name), "1")
        counted = before.isascii() and before.isdigit() and len(before) <= _LONGEST_COUNT
        value = str(int(before) + 1) if counted else "2"
    encoded = quote(name, safe="$-._~[]")
    kept = [part for part in query.split("&") if part and part.partition("=")[0] not in (name, encoded)]
    return f"{base}?" + "&".join([*kept, f"{encoded}={quote(value, safe='')}"])


def joined(first: Page, last: Page, items: list[msgspec.Raw]) -> bytes:
    """Return one document: that of the first page with all items, and what the last page says of more."""
    if not first.path:
        return _encode(items)
    members: dict[str, Any] = {**first.members}
    for name in members:
        if name not in first.path and name in last.members:
            members[name] = last.members[name]
    for name in [name for name in members if name not in last.members and name not in first.path[:1]]:
        del members[name]
    inner = members
    for name in first.path[:-1]:
        inner[name] = {**_decode_object(inner[name])}
        inner = inner[name]
    inner[first.path[-1]] = items
    return _encode(members)

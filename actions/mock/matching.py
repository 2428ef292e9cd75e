"""Finds the operations that a request line can be meant for.

A template of a path is matched segment by segment, as RFC 6570 would have written it: literals are compared
decoded, parameters may be parts of a segment, and their text stays encoded, because its delimiters may mean
something. Constant queries (`/orders?type=open`) belong to the path; fragments never arrive. Nothing here
reads values.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import unquote_to_bytes

from actions.specs.model import Operation, Server

_VARIABLE: Final = re.compile(r"\{([^{}]*)\}")
_ORIGIN: Final = re.compile(r"(?:[^/?#:]+:)?//[^/?#]*")
_WHOLE: Final = 2
"""The rank of a segment that is one parameter."""
_TOKEN: Final = re.compile(r"%[0-9A-Fa-f]{2}|.", re.DOTALL)

Piece = tuple[str, bool]
"""Literal text, decoded to one character a byte, and False; or the name of a parameter and True."""
Pair = tuple[str, str]
"""Name and value of a query, as they came."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of a template."""

    pieces: tuple[Piece, ...]
    rank: int
    """How much is left open: 0 nothing, 1 a part, 2 all of it."""

    def match(self, raw: str, text: str) -> dict[str, str] | None:
        """Return the parameters' parts of a segment, still encoded, or None; `text` is it decoded.

        Between two literals a parameter is as short as can be; the last literal is the last one there is.
        """
        if not self.rank:
            return {} if text == (self.pieces[0][0] if self.pieces else "") else None
        if self.rank == _WHOLE:
            return {self.pieces[0][0]: raw} if raw else None
        return self._match_parts(raw, text)

    def _match_parts(self, raw: str, text: str) -> dict[str, str] | None:
        tokens = _TOKEN.findall(raw)
        found: dict[str, str] = {}
        at = 0
        waiting = ""
        for index, (piece, is_input) in enumerate(self.pieces):
            if is_input:
                if waiting:  # two parameters side by side: nobody can tell them apart
                    found[waiting] = ""
                waiting = piece
                continue
            last = index == len(self.pieces) - 1
            start = text.rfind(piece, at) if last and waiting else text.find(piece, at)
            if start < 0 or (not waiting and start != at) or (waiting and start == at):
                return None
            if waiting:
                found[waiting] = "".join(tokens[at:start])
                waiting = ""
            at = start + len(piece)
        if waiting:
            if at == len(text):
                return None
            found[waiting] = "".join(tokens[at:])
            at = len(text)
        return found if at == len(text) else None


@dataclass(frozen=True, slots=True)
class Base:
    """The path of a server. `open`: it begins with a variable, so that anything may stand before."""

    segments: tuple[Segment, ...]
    open: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """One way to an operation."""

    operation: Operation
    method: str
    base: Base
    segments: tuple[Segment, ...]
    query: tuple[tuple[str, Segment], ...] = ()
    rank: tuple[int, ...] = field(default=(), compare=False)
    spanning: int | None = None
    """Which segment, with those of the base, may be several: its parameter is sent with its slashes."""
    declared: frozenset[str] = frozenset()
    """Query parameters: a constant of the path is a value of one of the same name, too."""

    def match(self, segments: Sequence[str], texts: Sequence[str], query: Sequence[Pair]) -> "Match | None":
        """Return how a request fits, or None; `texts` are its segments decoded."""
        wanted = len(self.base.segments) + len(self.segments)
        surplus = len(segments) - wanted
        if surplus > 0 and self.spanning is not None and not self.base.open:
            segments, texts = (_joined(parts, self.spanning, surplus) for parts in (segments, texts))
            surplus = 0
        if surplus < 0 or (surplus and not self.base.open):
            return None
        values: dict[str, str] = {}
        own = (*self.base.segments, *self.segments)
        for index, segment in enumerate(own):
            found = segment.match(segments[surplus + index], texts[surplus + index])
            if found is None:
                return None
            if index >= len(self.base.segments):
                values |= found
        left = list(query)
        for name, segment in self.query:
            for pair in left:
                found = segment.match(pair[1], bytewise(pair[1])) if bytewise(pair[0]) == name else None
                if found is not None:
                    values |= found
                    if name not in self.declared:
                        left.remove(pair)
                    break
            else:
                return None
        return Match(self, values, tuple(left))


@dataclass(frozen=True, slots=True)
class Match:
    """A route that a request takes: the texts of its path parameters, and what is left of the query."""

    route: Route
    path: Mapping[str, str]
    query: tuple[Pair, ...]


class Table:
    """All routes of a description, found by one literal of each: some have ten thousand."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = list(routes)
        self._by_literal: dict[tuple[int, str], list[tuple[int, Route]]] = {}
        for number, route in enumerate(self._routes):
            self._by_literal.setdefault(_mark(route), []).append((number, route))

    def find(self, path: str, query: Sequence[Pair]) -> list[Match]:
        """Return the routes of any method, the most literal first; more constant queries win."""
        segments = path.split("/")[1:]
        texts = [bytewise(segment) for segment in segments]
        marks = [(-1, ""), *((place, text) for place, text in enumerate(reversed(texts)))]
        candidates = sorted(
            (one for mark in marks for one in self._by_literal.get(mark, ())), key=lambda one: one[0]
        )
        found = [match for _, route in candidates if (match := route.match(segments, texts, query))]
        return sorted(found, key=lambda match: (match.route.rank, -len(match.route.query)))

    def near(self, path: str) -> list[str]:
        """Return paths of the description that a path may have been meant for."""
        from difflib import get_close_matches

        known = dict.fromkeys(route.operation.path.partition("#")[0] for route in self._routes[:1_000])
        return get_close_matches(path[:200], list(known), n=1, cutoff=0.5)


def _mark(route: Route) -> tuple[int, str]:
    """Return the last literal segment and its place from the end; (-1, "") where there is none."""
    segments = (*route.base.segments, *route.segments)
    for place, segment in enumerate(reversed(segments)):
        if len(segments) - 1 - place == route.spanning:
            break
        if not segment.rank:
            return place, segment.pieces[0][0] if segment.pieces else ""
    return -1, ""


def _joined(parts: Sequence[str], place: int, surplus: int) -> list[str]:
    """Return segments with those in surplus joined to the one at a place."""
    end = place + surplus + 1
    return [*parts[:place], "/".join(parts[place:end]), *parts[end:]]


def routes_of(operation: Operation, servers: Sequence[Server]) -> list[Route]:
    """Return a route for every base path that an operation can stand below.

    Without servers the connection names one, with whatever path: anything may stand before.
    """
    bases = dict.fromkeys(base for server in servers for base in _bases_of(server)) or {
        Base((), open=True): None
    }
    return [route(operation, operation.method, operation.path, base) for base in bases]


def route(operation: Operation, method: str, template: str, base: Base) -> Route:
    """Compile the template of a path below a base."""
    path, _, query = template.partition("#")[0].partition("?")
    whole = path if path.startswith("/") or not path else f"/{path}"
    # An empty path below an empty base is sent as "/".
    parts = whole.split("/")[1:] or [""] * (not base.segments and not base.open)
    segments = tuple(_segment(part) for part in parts)
    located = {(one.location, one.name) for one in operation.parameters}
    inputs = {name for location, name in located if location == "path" and ("query", name) not in located}
    constants = [
        part.partition("=")
        for part in query.split("&")
        # What a query parameter is declared for is read as one.
        if part and all(name in inputs for name in _VARIABLE.findall(part))
    ]
    spanning = {one.name for one in operation.parameters if one.location == "path" and one.allow_reserved}
    places = (
        place for place, one in enumerate(segments) if one.rank == _WHOLE and one.pieces[0][0] in spanning
    )
    first = next(places, None)
    return Route(
        operation,
        method.upper(),
        base,
        segments,
        query=tuple((bytewise(name), _segment(value)) for name, _, value in constants),
        rank=tuple(one.rank for one in segments),
        spanning=None if first is None else len(base.segments) + first,
        declared=frozenset(name for location, name in located if location == "query"),
    )


def _bases_of(server: Server) -> Iterator[Base]:
    """Yield the base path of a server, and the one without a last segment that is nothing by default."""
    yield base_of(server)
    url, _, last = server.url.rstrip("/").rpartition("/")
    match = _VARIABLE.fullmatch(last)
    variable = server.variables.get(match.group(1)) if match else None
    if url and variable is not None and variable.default == "":
        yield base_of(replace(server, url=url))


def base_of(server: Server) -> Base:
    """Return the base path of a server's URL; a variable in it stands for one segment or a part of one."""
    url = server.url.partition("#")[0].partition("?")[0]
    origin = _ORIGIN.match(url)
    start = origin.end() if origin else 0
    for match in _VARIABLE.finditer(url, 0, start):  # `https://example.com{base}`
        variable = server.variables.get(match.group(1))
        if variable and (variable.default or "").startswith("/"):
            start = match.start()
            break
    path = url[start:]
    open_until = 0
    for match in _VARIABLE.finditer(path):
        variable = server.variables.get(match.group(1))
        # A variable that holds a whole URL, or a path of several segments, stands for any number of them.
        if not (start + match.start()) or (variable and "/" in (variable.default or "")):
            open_until = match.end()
    tail = path[open_until:]
    if open_until and not tail.startswith("/"):
        tail = tail[tail.find("/") :] if "/" in tail else ""
    return Base(_segments(tail), open=bool(open_until))


def _segments(path: str) -> tuple[Segment, ...]:
    return tuple(_segment(part) for part in path.strip("/").split("/") if part)


def _segment(template: str) -> Segment:
    pieces: list[Piece] = []
    end = 0
    for match in _VARIABLE.finditer(template):
        pieces.append((bytewise(template[end : match.start()]), False))
        pieces.append((match.group(1), True))
        end = match.end()
    pieces.append((bytewise(template[end:]), False))
    kept = tuple(piece for piece in pieces if piece[0] or piece[1])
    inputs = sum(is_input for _, is_input in kept)
    return Segment(kept, 0 if not inputs else 2 if len(kept) == 1 else 1)


def bytewise(text: str) -> str:
    """Undo percent-encoding, to one character a byte."""
    return unquote_to_bytes(text).decode("latin-1")


def pairs(query: str) -> tuple[Pair, ...]:
    """Return the pairs of a query, undecoded; empty ones between two `&` are nothing."""
    split = (part.partition("=") for part in query.split("&") if part)
    return tuple((name, value) for name, _, value in split)

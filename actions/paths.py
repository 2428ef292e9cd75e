"""The path of an operation, taken apart: literal text, inputs, and the query that stands in it for good.

Pure. A path like `/files/{id}.json?action=copy#move` has a constant query, and a fragment that is never sent.
Expressions of RFC 6570 that descriptions borrow (`{+path}`, `{path*}`, `{/name}`, `{?a,b}`) are read as
what they mean wherever their names are declared. Braces around anything else are literal text.
"""

import re
from collections.abc import Collection
from typing import Final, NamedTuple
from urllib.parse import quote, unquote_plus

TEMPLATE: Final = re.compile(r"\{([^{}]*)\}")
_EXPRESSION: Final = re.compile(r"([+/.;?&#]?)((?:[^,*:+]+(?:\*|\+|\.\.\.|:[0-9]+)?,?)+)")
_MODIFIER: Final = re.compile(r"(?:\*|\+|\.\.\.|:[0-9]+)$")
_LITERAL: Final = "/:@!$&'()*+,;=?[]"
_ENCODED: Final = re.compile(r"(%[0-9A-Fa-f]{2})")

Piece = tuple[str, bool]
"""Literal text, encoded, and False; or the name of a path parameter and True."""


class Pair(NamedTuple):
    """One pair of the constant query. `name` is decoded; the pieces make the whole `name=value`."""

    name: str
    pieces: tuple[Piece, ...]


class Path(NamedTuple):
    """A path, taken apart. `spans` may be several segments; `asked` are inputs of the query that is in it."""

    segments: tuple[tuple[Piece, ...], ...]
    query: tuple[Pair, ...]
    spans: frozenset[str]
    asked: frozenset[str]
    rooted: bool  # begins with a slash


def compile_path(template: str, inputs: Collection[str], queries: Collection[str]) -> Path:
    """Take a path apart; `inputs` are the names of the path parameters, `queries` those of the query."""
    path: list[Piece] = []
    query: list[Piece] = []
    spans: set[str] = set()
    pieces, end = path, 0
    mark = template.find("?")
    for match in (*TEMPLATE.finditer(template), None):
        in_query = match is not None and -1 < mark < match.start()
        expression = _expression(match.group(1), inputs, queries, in_query=in_query) if match else None
        if match and expression is None:
            continue
        literal, sharp, _ = template[end : match.start() if match else len(template)].partition("#")
        if pieces is path and "?" in literal:
            before, _, literal = literal.partition("?")
            path.append((literal_text(before), False))
            pieces = query
        pieces.append((literal_text(literal), False))
        if sharp or not match:
            break
        made, wide = expression or ([], set())
        pieces.extend(made)
        spans.update(wide)
        end = match.end()
    pairs = _pairs([piece for piece in query if piece[0]], set(queries).difference(inputs))
    path = [piece for piece in path if piece[0]]
    asked = {text for pair in pairs for text, is_input in pair.pieces if is_input}
    return Path(
        segments=_segmented(path),
        query=pairs,
        spans=frozenset(spans),
        asked=frozenset(asked.difference(text for text, is_input in path if is_input)),
        rooted=not path or path[0][0].startswith("/"),
    )


def placeholders(template: str, inputs: Collection[str], queries: Collection[str]) -> list[str]:
    """Return the names of the path parameters that a path has, declared or not, each once.

    What a parameter of the query is declared for is none, wherever the path mentions it.
    """
    found: dict[str, None] = {}
    mark = template.find("?")
    for match in TEMPLATE.finditer(template.partition("#")[0]):
        text, in_query = match.group(1), -1 < mark < match.start()
        if text not in inputs and (in_query or text[:1] in ("?", "&")) and text.lstrip("?&") in queries:
            continue
        expression = _expression(text, inputs, queries, in_query=in_query)
        pieces = [(text, True)] if expression is None else expression[0]
        found.update((name, None) for name, is_input in pieces if is_input)
    return list(found)


def literal_text(text: str) -> str:
    """Return literal text of a path encoded; what is encoded already stays."""
    halves = enumerate(_ENCODED.split(text))
    return "".join(part if index % 2 else quote(part, safe=_LITERAL) for index, part in halves)


def _expression(
    text: str, inputs: Collection[str], queries: Collection[str], *, in_query: bool
) -> tuple[list[Piece], set[str]] | None:
    """Return the pieces of what stands in braces and which of them span; None where it is literal text."""
    if text in inputs:
        return [(text, True)], set()
    if in_query and text in queries:
        return [(text, True)], set()  # dropped with its pair: the query parameter is sent as itself
    match = _EXPRESSION.fullmatch(text)
    if not match:
        return None
    operator = match.group(1)
    names = [_MODIFIER.sub("", name) for name in match.group(2).split(",") if name]
    if operator in ("?", "&") and all(name in queries for name in names):
        return [], set()
    if operator in ("#", "?", "&") or not names or not all(name in inputs for name in names):
        return None
    wide = {name for name, whole in zip(names, match.group(2).split(","), strict=False) if whole != name}
    between = operator if operator in ("/", ".", ";") else ","
    made: list[Piece] = [(operator, False)] if operator in ("/", ".", ";") else []
    for index, name in enumerate(names):
        made.extend([(between, False)] * bool(index))
        made.append((name, True))
    return made, (set(names) if operator == "+" else wide if operator in ("", "/") else set())


def _pairs(pieces: list[Piece], queries: Collection[str]) -> tuple[Pair, ...]:
    """Return the constant query pair by pair, without those that a query parameter is."""
    pairs: list[list[Piece]] = [[]]
    for text, is_input in pieces:
        first, *others = [text] if is_input else text.split("&")
        pairs[-1].append((first, is_input))
        pairs.extend([(other, False)] for other in others)
    found = []
    for pair in pairs:
        kept = tuple(piece for piece in pair if piece[0])
        if kept and not any(is_input and text in queries for text, is_input in kept):
            literal = "" if kept[0][1] else kept[0][0]
            found.append(Pair(unquote_plus(literal.partition("=")[0]), kept))
    return tuple(found)


def _segmented(pieces: list[Piece]) -> tuple[tuple[Piece, ...], ...]:
    segments: list[list[Piece]] = [[]]
    for text, is_input in pieces:
        first, *others = [text] if is_input else text.split("/")
        segments[-1].append((first, is_input))
        segments.extend([(other, False)] for other in others)
    return tuple(tuple(piece for piece in segment if piece[0]) or (("", False),) for segment in segments)

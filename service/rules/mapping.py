"""From a message to an operation's arguments: a JSON tree whose leaves may be expressions.

Never a text template (`reference` rule: broken JSON cannot be written, event text can never become
structure). A leaf that is one `${…}` keeps the value's type; among text the values make one string; an
absent optional drops its key. Pure: a view in, a tree out.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from service.errors import Problem
from service.rules.cel import (
    ABSENT,
    VARIABLES,
    Budget,
    CELError,
    EvaluationError,
    Program,
    compile_expression,
    to_json,
)

MAX_DEPTH: Final = 64
"""Deepest `with` tree: as deep as a message's body may be."""

_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_elements: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_SCALARS: Final = frozenset({str, int, bool, type(None)})


class RenderError(Exception):
    """A leaf has no value; `pointer` is its JSON pointer in `with`."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(f"{pointer or '/'}: {detail}")
        self.pointer = pointer
        self.detail = detail


class View:
    """What the expressions of one delivery see, and the raw JSON texts behind it.

    `variables` holds `event`, `data`, `meta`, `steps`; `raw` the JSON bytes that stand behind a variable's
    path, so that a plain path can copy its token exactly as it came (`1.10`, 20-digit numbers).
    """

    __slots__ = ("_cache", "budget", "raw", "variables")

    def __init__(
        self, variables: Mapping[str, object], raw: Mapping[tuple[str, ...], bytes], budget: Budget
    ) -> None:
        self.variables = variables
        self.raw = raw
        self.budget = budget
        self._cache: dict[tuple[str | int, ...], Any] = {}

    def token(self, path: tuple[str | int, ...]) -> msgspec.Raw | None:
        """Return the JSON token at a plain path as it came, or None when no raw text stands behind it."""
        if path[0] == "event":
            path = path[1:]
        for length in range(1, min(len(path), 3) + 1):
            text = self.raw.get(path[:length])  # type: ignore[arg-type]  # a key with an int is not there
            if text is not None:
                return self._descend(path[:length], text, path[length:])
        return None

    def _descend(
        self, root: tuple[str | int, ...], text: bytes, rest: tuple[str | int, ...]
    ) -> msgspec.Raw | None:
        token: Any = text
        walked = root
        for part in rest:
            container: Any = self._cache.get(walked)
            if container is None:
                try:
                    container = _members(token) if isinstance(part, str) else _elements(token)
                except msgspec.DecodeError:
                    return None
                self._cache[walked] = container
            try:
                token = container[part]
            except (KeyError, IndexError, TypeError):
                return None
            walked = (*walked, part)
        return token if isinstance(token, msgspec.Raw) else msgspec.Raw(token)


Leaf = Callable[[View], Any]


class Template:
    """A compiled `with` tree. `reads` are the paths that its expressions read."""

    __slots__ = ("_render", "programs", "reads", "tree")

    def __init__(self, tree: Any, render: Leaf, programs: tuple[tuple[str, Program], ...]) -> None:
        self.tree = tree
        self._render = render
        self.programs = programs
        self.reads: frozenset[tuple[str, ...]] = frozenset().union(
            *(program.reads for _, program in programs)
        )

    def render(self, view: View) -> Any:
        """Return the tree with every expression replaced by its value. Raise RenderError.

        Values are JSON values; `msgspec.Raw` stands for a token that is copied as it came.
        """
        value = self._render(view)
        return None if value is ABSENT else value


def compile_template(tree: Any, pointer: str = "", *, variables: Sequence[str] = VARIABLES) -> Template:
    """Compile a `with` tree over some variables; raise `TemplateErrors` naming every bad leaf."""
    compiler = _Compiler(variables)
    render = compiler.node(tree, pointer, 0)
    if compiler.problems:
        raise TemplateErrors(tuple(compiler.problems))
    return Template(tree, render, tuple(compiler.programs))


class TemplateErrors(Exception):
    """Everything wrong in a `with` tree."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def problems_of(error: CELError, pointer: str, shift: int = 0) -> list[Problem]:
    """Return an expression's problems at a pointer; `shift` is where the expression starts in its string."""
    return [
        Problem(
            message=issue.message,
            code="expression",
            pointer=pointer,
            offset=issue.offset + shift,
            fix=issue.fix,
        )
        for issue in error.problems
    ]


class _Compiler:
    def __init__(self, variables: Sequence[str]) -> None:
        self.variables = variables
        self.problems: list[Problem] = []
        self.programs: list[tuple[str, Program]] = []

    def node(self, tree: Any, pointer: str, depth: int) -> Leaf:
        if depth > MAX_DEPTH:
            self.problems.append(
                Problem(message=f"nested deeper than {MAX_DEPTH} levels", code="too-deep", pointer=pointer)
            )
            return _constant(None)
        if isinstance(tree, Mapping):
            return self._mapping(tree, pointer, depth)
        if isinstance(tree, list):
            return self._list(tree, pointer, depth)
        if isinstance(tree, str):
            return self._string(tree, pointer)
        return _constant(tree)

    def _mapping(self, tree: Mapping[str, Any], pointer: str, depth: int) -> Leaf:
        parts = [
            (name, self.node(value, f"{pointer}/{escape(name)}", depth + 1)) for name, value in tree.items()
        ]

        def render(view: View) -> Any:
            made = {}
            for name, part in parts:
                value = part(view)
                if value is not ABSENT:
                    made[name] = value
            return made

        return render

    def _list(self, tree: Sequence[Any], pointer: str, depth: int) -> Leaf:
        parts = [self.node(value, f"{pointer}/{index}", depth + 1) for index, value in enumerate(tree)]
        return lambda view: [value for part in parts if (value := part(view)) is not ABSENT]

    def _string(self, text: str, pointer: str) -> Leaf:
        pieces = split(text, pointer, self.problems)
        if not any(isinstance(piece, tuple) for piece in pieces):
            return _constant("".join(piece for piece in pieces if isinstance(piece, str)))
        leaves: list[str | Leaf] = []
        for piece in pieces:
            if isinstance(piece, str):
                leaves.append(piece)
                continue
            source, shift = piece
            try:
                program = compile_expression(source, variables=self.variables)
            except CELError as error:
                self.problems.extend(problems_of(error, pointer, shift))
                continue
            self.programs.append((pointer, program))
            leaves.append(_value(program, pointer))
        if len(leaves) == 1 and not isinstance(leaves[0], str):
            return leaves[0]
        return _text(leaves, pointer)


def escape(name: str) -> str:
    """Escape a name for a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


def split(text: str, pointer: str, problems: list[Problem]) -> list[str | tuple[str, int]]:
    """Cut a string into text and (expression, offset) pieces; `$${` is a plain `${`.

    The end of an expression is its closing brace, with braces and quotes inside the expression counted.
    """
    pieces: list[str | tuple[str, int]] = []
    at = 0
    while True:
        start = text.find("${", at)
        if start < 0:
            if at < len(text):
                pieces.append(text[at:])
            return pieces
        if start > at and text[start - 1] == "$":
            pieces.extend((text[at : start - 1], "${"))
            at = start + 2
            continue
        if start > at:
            pieces.append(text[at:start])
        end = closing(text, start + 2)
        if end is None:
            problems.append(
                Problem(
                    message="`${` is never closed",
                    code="expression",
                    pointer=pointer,
                    offset=start,
                    fix="close it with `}`, or write `$${` for a plain `${`",
                )
            )
            return pieces
        pieces.append((text[start + 2 : end], start + 2))
        at = end + 1


def closing(text: str, at: int) -> int | None:
    """Return the index of the brace that closes an expression starting at `at`, None when there is none."""
    depth = 0
    while at < len(text):
        sign = text[at]
        if sign in "\"'":
            at = _string_end(text, at)
            continue
        if sign == "{":
            depth += 1
        elif sign == "}":
            if depth == 0:
                return at
            depth -= 1
        at += 1
    return None


def _string_end(text: str, at: int) -> int:
    """Return the index behind the CEL string literal that starts at `at` (triple quotes and raw ones too)."""
    quote = text[at]
    raw = at > 0 and text[at - 1] in "rR" and not (at > 1 and (text[at - 2].isalnum() or text[at - 2] == "_"))
    if text.startswith(quote * 3, at):
        mark = quote * 3
        at += 3
    else:
        mark = quote
        at += 1
    while at < len(text):
        if text[at] == "\\" and not raw:
            at += 2
            continue
        if text.startswith(mark, at):
            return at + len(mark)
        at += 1
    return len(text)


def _constant(value: Any) -> Leaf:
    return lambda _view: value


def _value(program: Program, pointer: str) -> Leaf:
    """Return the leaf of one expression: the value with its type, or the raw token of a plain path."""
    evaluate = program.evaluate
    path = program.plain_path

    def render(view: View) -> Any:
        try:
            value = evaluate(view.variables, view.budget)
            if type(value) in _SCALARS or value is ABSENT:
                return value
            if path is not None:
                token = view.token(path)
                if token is not None:
                    return token
            return to_json(value)
        except EvaluationError as error:
            raise RenderError(pointer, f"{error} in ${{{program.text}}}") from error

    return render


def _text(parts: Sequence[str | Leaf], pointer: str) -> Leaf:
    """Return a leaf that joins text and values to one string; an absent optional drops the whole leaf."""

    def render(view: View) -> Any:
        made = []
        for part in parts:
            value = part if isinstance(part, str) else part(view)
            if value is ABSENT:
                return ABSENT
            made.append(value if isinstance(value, str) else _word(value, pointer))
        return "".join(made)

    return render


def _word(value: Any, pointer: str) -> str:
    """Return a scalar as text, a number with the digits it came with."""
    if isinstance(value, msgspec.Raw):
        text = bytes(value).strip()
        if text[:1] in (b"{", b"["):
            raise RenderError(
                pointer, "an object or a list cannot stand among text; use string() on its parts"
            )
        return text.decode("utf-8")
    if value is None or isinstance(value, dict | list):
        kind = "null" if value is None else "an object or a list"
        raise RenderError(pointer, f"{kind} cannot stand among text; give it a default or use string()")
    if isinstance(value, bool):
        return "true" if value else "false"
    return msgspec.json.encode(value).decode("ascii") if isinstance(value, float) else str(value)

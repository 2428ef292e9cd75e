"""The value of every part of an expression for one message, so that people see why it is true or false.

The tree is compiled once more, with code around each node that writes down what it gave; the result is the
same as without.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from typing_extensions import override

from service.rules.cel.budget import Budget
from service.rules.cel.compile import Compiler, constant
from service.rules.cel.errors import EvaluationError
from service.rules.cel.frame import Frame, Run
from service.rules.cel.paths import compile_path
from service.rules.cel.show import show
from service.rules.cel.tree import Loop, Node, Variable
from service.rules.cel.values import ABSENT, OptionalValue

TURNS: Final = 3
"""Of a loop the first turns are shown, and always the last, which decided."""

_MAX_RECORDS: Final = 1_000


class TraceStep(msgspec.Struct, frozen=True, kw_only=True):
    """One part of the expression: `text` from `start` to `end`, `depth` levels below the whole.

    `seen` is the text with its operands replaced by their values: `99.5 > 100.0`. `value` is a CEL value
    unless there is an `error`; `evaluated` is False for what was skipped, as behind a false `&&`.
    """

    start: int
    end: int
    text: str
    seen: str
    depth: int
    value: Any = ABSENT
    error: str = ""
    evaluated: bool = True

    @override
    def __str__(self) -> str:
        if not self.evaluated:
            return f"{self.text} → not evaluated"
        seen = f" → {self.seen}" if self.seen != self.text else ""
        return f"{self.text}{seen} → {self.error or show(self.value)}"


class _Record:
    __slots__ = ("children", "error", "node", "value")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.children: list[_Record] = []
        self.value: Any = ABSENT
        self.error: EvaluationError | None = None


class _Recorder:
    """The hook of a compiler; keeps a tree of records of the evaluation under way."""

    def __init__(self) -> None:
        self.root: _Record | None = None
        self._stack: list[_Record] = []
        self._count = 0
        self._muted = False

    def around(self, node: Node, run: Run) -> Run:
        def traced(frame: Frame) -> Any:
            if self._muted or (self._stack and isinstance(node, Variable)):
                return run(frame)
            record = _Record(node)
            self._enter(record)
            try:
                record.value = run(frame)
            except EvaluationError as error:
                record.error = error
                raise
            finally:
                self._stack.pop()
                self._muted = False
            return record.value

        return traced

    def _enter(self, record: _Record) -> None:
        if self._stack:
            siblings = self._stack[-1].children
            turns = [number for number, one in enumerate(siblings) if one.node is record.node]
            if len(turns) > TURNS:
                del siblings[turns[-1]]
            siblings.append(record)
        else:
            self.root = record
        self._stack.append(record)
        self._count += 1
        # Below a node that is one too many nothing is kept; the node itself is.
        self._muted = self._count > _MAX_RECORDS


def trace(
    text: str, tree: Node, slots: int, variables: Mapping[str, object], budget: Budget
) -> list[TraceStep]:
    """Evaluate a checked tree and return its parts, the whole first, each before what is inside it.

    Never raises EvaluationError: an error is the value of the steps that it went through.
    """
    recorder = _Recorder()
    run = Compiler(text, recorder.around).compile(tree)
    frame: Frame = [variables, budget, *[None] * slots]
    try:
        value = run(frame)
    except EvaluationError:
        value = ABSENT
    if recorder.root is None:
        return [_step(text, tree, 0, value=value)]
    while type(recorder.root.value) is OptionalValue:  # as the result of an evaluation
        recorder.root.value = recorder.root.value.value
    steps: list[TraceStep] = []
    _flatten(text, recorder.root, 0, steps)
    return steps


def _flatten(text: str, record: _Record, depth: int, steps: list[TraceStep]) -> None:
    seen = _seen(text, record)
    error = "" if record.error is None else f"error: {record.error}"
    steps.append(_step(text, record.node, depth, seen=seen, value=record.value, error=error))
    known = {id(one.node) for one in record.children}
    skipped = [child for child in _inside(record.node) if id(child) not in known]
    below: list[tuple[int, _Record | Node]] = [(one.node.start, one) for one in record.children]
    below += [(node.start, node) for node in skipped]
    for _, one in sorted(below, key=lambda pair: pair[0]):
        if isinstance(one, _Record):
            _flatten(text, one, depth + 1, steps)
        else:
            steps.append(_step(text, one, depth + 1, evaluated=False))


def _inside(node: Node) -> Sequence[Node]:
    """Return the parts that are shown by themselves: no literal, no bare variable, nothing inside a path."""
    if compile_path(node) is not None:
        return ()
    return [
        child for child in node.children() if constant(child) is ABSENT and not isinstance(child, Variable)
    ]


def _seen(text: str, record: _Record) -> str:
    """Return the text of a node with its evaluated operands replaced by their values."""
    node = record.node
    pieces: list[str] = []
    at = node.start
    operands = record.children
    if isinstance(node, Loop):
        operands = [one for one in operands if one.node is node.source]
    for one in sorted(operands, key=lambda record: record.node.start):
        if one.error is None and one.node.start >= at:
            pieces += [text[at : one.node.start], show(one.value)]
            at = one.node.end
    return "".join([*pieces, text[at : node.end]])


def _step(
    text: str,
    node: Node,
    depth: int,
    *,
    seen: str = "",
    value: Any = ABSENT,
    error: str = "",
    evaluated: bool = True,
) -> TraceStep:
    part = text[node.start : node.end]
    return TraceStep(
        start=node.start,
        end=node.end,
        text=part,
        seen=seen or part,
        depth=depth,
        value=value,
        error=error,
        evaluated=evaluated,
    )

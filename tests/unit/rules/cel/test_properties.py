"""Any text compiles or is refused; any program gives a value or an EvaluationError; a trace says the same."""

import contextlib
import copy
import math
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from service.rules.cel import Budget, CELError, EvaluationError, Program, compile_expression, show, to_json
from service.rules.cel.parser import parse
from tests.examples import examples

PIECES = [
    *(
        "data",
        "event",
        "meta",
        ".a",
        ".b",
        "?.",
        ".?a",
        "[0]",
        "[?1]",
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        ",",
        ":",
        "?",
    ),
    *(
        "||",
        "&&",
        "!",
        "-",
        "+",
        "*",
        "/",
        "%",
        "==",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        "in",
        "1",
        "2.5",
        "3u",
        "'x'",
    ),
    *(
        '"y"',
        "b'z'",
        "r'\\d'",
        "true",
        "false",
        "null",
        "has(",
        "size(",
        ".size()",
        ".map(x,",
        ".all(x,",
        "x",
        ".",
    ),
    *(
        ".exists(x,",
        ".filter(x,",
        "..",
        "`a`",
        "cel.bind(y,",
        "y",
        "optional.of(",
        "optional.none()",
        ".orValue(",
    ),
    *(
        ".or(",
        ".optMap(z,",
        "z",
        "string(",
        "int(",
        "timestamp(",
        "duration(",
        "'1s'",
        ".matches(",
        ".format(",
    ),
    *(
        ".split(",
        "math.greatest(",
        "'''",
        "\\",
        "\n",
        "//",
        "#",
        "@",
        "é",
        "0x1f",
        "1e9",
        "99999999999999999999",
    ),
]

texts = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=25).map(" ".join))
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.sampled_from([400, 5_000]).map(lambda digits: 10**digits),
    st.sampled_from([5e-324, -0.0, "\ud800"]),
)
json_values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["a", "b", "", "__class__"]), inner, max_size=3),
    ),
    max_leaves=8,
)

ATOMS = st.sampled_from(
    [
        *(
            "data",
            "data.a",
            "data.b",
            "data.?a",
            "data.a.b",
            "data[0]",
            "1",
            "-7",
            "2.5",
            "3u",
            "'x'",
            "'2026'",
        ),
        *(
            "true",
            "false",
            "null",
            "[]",
            "[1, 'a']",
            "{}",
            "{'a': 1}",
            "b'x'",
            "optional.none()",
            "duration('1s')",
        ),
        *("int", "timestamp(0)", "9223372036854775807", "'%s'", "'a{2}'", "x", "y"),
    ]
)


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    binary = st.sampled_from(["+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "in", "&&", "||"])
    calls = [
        "size({})", "type({})", "string({})", "int({})", "uint({})", "double({})", "bool({})", "bytes({})", "dyn({})",
        "timestamp({})", "duration({})", "({}).size()", "({}).matches({})", "({}).startsWith({})", "({}).indexOf({})",
        "({}).split({})", "({}).join({})", "({}).format([{}])", "({}).replace({}, {})", "({}).substring({}, {})",
        "({}).getHours({})", "math.greatest({}, {})", "math.abs({})", "math.round({})", "math.bitShiftLeft({}, {})",
        "optional.of({})", "optional.ofNonZeroValue({})", "({}).orValue({})", "({}).or({})", "({}).hasValue()",
        "({}).value()", "({}).optMap(x, {})", "({}).optFlatMap(y, {})", "({}).all(x, {})", "({}).exists(x, {})",
        "({}).exists_one(y, {})", "({}).map(x, {})", "({}).map(x, {}, {})", "({}).filter(y, {})",
        "({}).all(x, y, {})", "({}).transformMap(x, y, {})", "({}).transformMapEntry(x, y, {})", "cel.bind(x, {}, {})",
        "has(({}).a)", "({})[{}]", "({})[?{}]", "({}).a", "({}).?b", "!({})", "-({})", "({}) ? ({}) : ({})",
        "[{}, ?{}]", "{{{}: {}}}", "{{'k': {}, ?'l': {}}}", "base64.encode({})", "strings.quote({})", "({}).charAt({})",
    ]  # fmt: skip
    return st.one_of(
        st.tuples(inner, binary, inner).map(lambda parts: f"({parts[0]}) {parts[1]} ({parts[2]})"),
        st.tuples(st.sampled_from(calls), inner, inner, inner).map(lambda parts: parts[0].format(*parts[1:])),
    )


expressions = st.recursive(ATOMS, _grown, max_leaves=8)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    return type(one) is type(other) and (show(one, 1_000) == show(other, 1_000))


def compiled(text: str, *, check: bool = False) -> Program | CELError:
    try:
        return compile_expression(text, variables=("event", "data", "x", "y"), check=check)
    except CELError as error:
        return error


def evaluated(program: Program, variables: dict[str, Any]) -> Any:
    """Return the value, or the EvaluationError."""
    try:
        return program.evaluate(variables, Budget())
    except EvaluationError as error:
        return error


@examples(300)
@given(texts)
@example("\ud800")
@example("'\ud800'")
@example("`")
@example("'''")
@example("\\")
@example("1.")
@example("data.?")
def test_any_text_compiles_or_is_refused(text: str) -> None:
    found = compiled(text, check=True)
    if isinstance(found, Program):
        return
    assert found.problems
    assert found.render()
    for problem in found.problems:
        assert 0 <= problem.offset <= max(len(text), 1)
        assert problem.length >= 1
        assert "\n" in problem.caret(text)


@examples(400)
@given(expressions, json_values)
def test_any_program_gives_a_value_or_an_evaluation_error_and_so_does_its_trace(text: str, data: Any) -> None:
    program = compiled(text)
    if not isinstance(program, Program):
        return
    variables = {"event": {"data": data}, "data": data, "x": [1, 2], "y": {"a": data}}
    before = copy.deepcopy(variables)
    value = evaluated(program, variables)
    root = program.trace(variables, Budget())[0]
    assert variables == before
    if isinstance(value, EvaluationError):
        assert str(value)
        assert root.error == f"error: {value}"
        return
    assert root.error == ""
    assert same(root.value, value)
    assert len(show(value)) <= 80
    with contextlib.suppress(EvaluationError):
        to_json(value)


@examples(200)
@given(expressions)
def test_what_the_checker_accepts_means_the_same_unchecked(text: str) -> None:
    variables = {"event": {}, "data": {"a": {"b": 1}, "b": "x"}, "x": [1, 2], "y": {"a": 1}}
    checked, unchecked = compiled(text, check=True), compiled(text)
    if isinstance(checked, Program):
        assert isinstance(unchecked, Program)
        assert repr(evaluated(checked, variables)) == repr(evaluated(unchecked, variables))


@examples(200)
@given(expressions)
def test_every_part_has_its_own_text(text: str) -> None:
    tree, issues = parse(text)
    assert (tree is None) == bool(issues)
    waiting = [] if tree is None else [tree]
    while waiting:
        node = waiting.pop()
        part = text[node.start : node.end]
        again, wrong = parse(part)
        assert not wrong
        assert type(again) is type(node)
        waiting.extend(node.children())

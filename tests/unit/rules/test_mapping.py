"""From a message to arguments: types kept, tokens copied, nothing ever a text template."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.rules.cel import Budget
from service.rules.mapping import RenderError, TemplateErrors, View, compile_template, split
from tests.tables import every_row


def view(data: Any = None, *, raw: bytes | None = None, steps: dict[str, Any] | None = None) -> View:
    text = raw if raw is not None else msgspec.json.encode(data)
    decoded = msgspec.json.decode(text)
    event = {"type": "t", "id": "1", "data": decoded, "meta": {"kind": "webhook"}}
    variables = {"event": event, "data": decoded, "meta": event["meta"], "steps": steps or {}}
    return View(variables, {("data",): text}, Budget(10_000))


def rendered(tree: Any, data: Any = None, *, raw: bytes | None = None) -> str:
    return msgspec.json.encode(compile_template(tree).render(view(data, raw=raw))).decode()


@every_row(
    ("tree", "data", "expected"),
    [
        ({"a": "${data.n}"}, {"n": 5}, '{"a":5}'),
        ({"a": "${data.n}"}, {"n": "5"}, '{"a":"5"}'),
        ({"a": "${data.n}"}, {"n": True}, '{"a":true}'),
        ({"a": "${data.n}"}, {"n": None}, '{"a":null}'),
        ({"a": "${data.n}"}, {"n": {"x": [1, 2.5]}}, '{"a":{"x":[1,2.5]}}'),
        ({"a": "order ${data.n}!"}, {"n": 5}, '{"a":"order 5!"}'),
        ({"a": "${data.n}${data.n}"}, {"n": 5}, '{"a":"55"}'),
        ({"a": "plain"}, {}, '{"a":"plain"}'),
        ({"a": 1, "b": [None, True, "x"], "c": {}}, {}, '{"a":1,"b":[null,true,"x"],"c":{}}'),
        ({"a": "$${data.n}"}, {}, '{"a":"${data.n}"}'),
        ({"a": "cost: $${${data.n}}"}, {"n": 5}, '{"a":"cost: ${5}"}'),
        ({"a": "$5 and ${data.n}"}, {"n": 1}, '{"a":"$5 and 1"}'),
        ({"a": "${data.n + 1}"}, {"n": 5}, '{"a":6}'),
        ({"a": "${data.l.map(i, {'q': i})}"}, {"l": [1, 2]}, '{"a":[{"q":1},{"q":2}]}'),
        ({"a": '${"}" + data.n}'}, {"n": "x"}, '{"a":"}x"}'),
        ({"a": "${{'k': data.n}}"}, {"n": 1}, '{"a":{"k":1}}'),
        ({"a": "${data.?gone}", "b": 1}, {}, '{"b":1}'),
        ({"a": "text ${data.?gone}", "b": 1}, {}, '{"b":1}'),
        ({"a": ["${data.?gone}", 2]}, {}, '{"a":[2]}'),
        ({"a": "${data.?here}"}, {"here": 3}, '{"a":3}'),
    ],
)
def test_a_tree_is_rendered_with_its_types(tree, data, expected) -> None:
    assert rendered(tree, data) == expected


@every_row(
    "token",
    [
        "1.10",
        "12345678901234567890",
        "18446744073709551616",
        "1e2",
        "-0.0",
        "0.1000",
        "100000000000000000000.5",
    ],
)
def test_a_number_arrives_with_the_digits_it_came_with(token: str) -> None:
    raw = f'{{"n": {token}, "o": {{"n": [{token}]}}}}'.encode()
    assert rendered({"a": "${data.n}"}, raw=raw) == f'{{"a":{token}}}'
    assert rendered({"a": "${event.data.n}"}, raw=raw) == f'{{"a":{token}}}'
    assert rendered({"a": "${data['o'].n[0]}"}, raw=raw) == f'{{"a":{token}}}'
    assert rendered({"a": "${event.?data.?o.n[?0]}"}, raw=raw) == f'{{"a":{token}}}'
    assert rendered({"a": "${data.o}"}, raw=raw) == f'{{"a":{{"n": [{token}]}}}}'
    assert rendered({"a": "n=${data.n}"}, raw=raw) == f'{{"a":"n={token}"}}'


def test_among_duplicate_keys_the_last_one_counts_in_a_copied_token_too() -> None:
    assert rendered({"a": "${data.n}"}, raw=b'{"n": 1.50, "n": 2.50}') == '{"a":2.50}'


def test_answers_of_earlier_steps_are_copied_as_they_came() -> None:
    answer = b'{"id": 98765432109876543210}'
    variables = {
        "event": {},
        "data": None,
        "meta": {},
        "steps": {"one": {"body": msgspec.json.decode(answer)}},
    }
    seen = View(variables, {("steps", "one", "body"): answer}, Budget(1000))
    made = compile_template({"a": "${steps.one.body.id}"}).render(seen)
    assert msgspec.json.encode(made) == b'{"a":98765432109876543210}'


@given(st.text(max_size=60))
def test_text_of_an_event_never_becomes_structure(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    made = json.loads(rendered({"a": "before ${data.t} after", "b": "${data.t}"}, {"t": text}))
    assert made == {"a": f"before {text} after", "b": text}


@every_row(
    ("tree", "pointer", "words"),
    [
        ({"a": {"b": ["${data.gone}"]}}, "/a/b/0", "gone"),
        ({"a/b": "${data.gone}"}, "/a~1b", "gone"),
        ({"a": "x ${data.o}"}, "/a", "object"),
        ({"a": "x ${data.z}"}, "/a", "null"),
        ({"a": "${data.n + 1.5}"}, "/a", ""),
    ],
)
def test_a_leaf_without_a_value_is_named_by_its_path(tree, pointer, words) -> None:
    with pytest.raises(RenderError) as caught:
        rendered(tree, {"o": {"x": 1}, "z": None, "n": 1})
    assert caught.value.pointer == pointer
    assert words in str(caught.value)


def test_every_bad_leaf_is_reported_with_its_place() -> None:
    with pytest.raises(TemplateErrors) as caught:
        compile_template({"a": "${data.}", "b": ["x ${nope.x}"], "c": "${data.n", "d": "fine"})
    places = {(problem.pointer, problem.offset is not None) for problem in caught.value.problems}
    assert places == {("/a", True), ("/b/0", True), ("/c", True)}
    unknown = next(problem for problem in caught.value.problems if problem.pointer == "/b/0")
    assert unknown.offset == 4


def test_a_tree_that_is_too_deep_is_refused() -> None:
    tree: Any = "x"
    for _ in range(200):
        tree = [tree]
    with pytest.raises(TemplateErrors):
        compile_template(tree)


def test_a_bomb_ends_as_an_error_of_its_leaf() -> None:
    tree = {"a": "${data.l.map(a, data.l.map(b, data.l.map(c, data.l.map(d, 1))))}"}
    with pytest.raises(RenderError, match="/a"):
        rendered(tree, {"l": list(range(100))})


@given(st.text(alphabet="${}'\"\\ab.r ", max_size=40))
def test_cutting_a_string_never_fails_and_loses_nothing(text: str) -> None:
    problems: list[Any] = []
    pieces = split(text, "", problems)
    if not problems:
        length = sum(len(piece) if isinstance(piece, str) else len(piece[0]) + 3 for piece in pieces)
        assert length + text.count("$${") >= len(text)


def test_what_a_template_reads_is_known() -> None:
    template = compile_template({"a": "${data.x.y}", "b": "${steps.one.body.id}"})
    assert ("steps", "one", "body", "id") in template.reads

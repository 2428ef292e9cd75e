"""Whatever a policy says and whatever a body holds: a request, or Refused; an answer, always."""

import json
from contextlib import suppress
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from actions.base import Answer
from actions.errors import Refused
from actions.policies import compile_policies
from actions.specs.model import Policy, Section, Spec
from actions.templates import TEMPLATES, check
from tests.examples import examples
from tests.unit.actions.policies.trying import BASE, operation, request

NAMES = st.sampled_from(["a", "b", "l", "0", "@odata.id", "x y"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["a;b", "x.y", "true"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)
PATHS = st.sampled_from(
    [
        "@body()",
        "@body().a",
        "@body().l",
        "@body().a.b",
        "body().l[0]",
        "@item().a",
        "null",
        "",
        "a",
        "a.b",
        "l[1]",
    ]
)
TEXTS = st.sampled_from(
    [
        "x",
        "30",
        "@body().a",
        "{@body().a}-{@item().b}",
        "[{@body().a}]",
        '{"k": "{@body().a}", "v": {@item().b}}',
        "@headers('h')",
        "@queryParameters('q')",
        "@connectionParameters('c')",
        "/p/{id}?x=@queryParameters('q')",
        "@body().l[0].a",
        ";",
    ]
)


@st.composite
def given_policies(draw: st.DrawFn) -> Policy:
    template = draw(st.sampled_from(sorted(TEMPLATES)))
    parameters: dict[str, Any] = {}
    for field in TEMPLATES[template].fields:
        if not field.required and draw(st.booleans()):
            continue
        if field.kind in ("path", "sub", "new"):
            parameters[field.name] = draw(PATHS)
        elif field.kind == "config":
            parameters[field.name] = {"since": draw(TEXTS), "": "1"}
        elif field.kind == "choice":
            parameters[field.name] = draw(st.sampled_from(field.choices))
        elif field.kind == "target":
            parameters[field.name] = "@headers('T')"
        elif field.kind in ("method", "name"):
            parameters[field.name] = draw(st.sampled_from(["GET", "put"]))
        elif field.name == "statusCode":
            parameters[field.name] = 404
        else:
            parameters[field.name] = draw(TEXTS)
    section: Section = draw(st.sampled_from(["request", "response", "failure"]))
    return Policy(template=template, parameters=parameters, section=section)


@examples(120)
@given(st.lists(given_policies(), min_size=1, max_size=3), VALUES, st.integers(200, 599))
def test_a_request_is_made_or_refused_and_an_answer_always_comes(
    given_ones: list[Policy], value: Any, status: int
) -> None:
    made = compile_policies(Spec(policies=tuple(given_ones)), operation(), {"c": "acme"})
    if made is None:
        assert all(check(one.template, one.parameters, one.section) for one in given_ones)
        return
    before = json.dumps(value).encode()
    asked = request(f"{BASE}/orders/7?q=1", ("h", "v"), body=before)
    with suppress(Refused):
        sent = made.signed(made.request(asked))
        msgspec.json.decode(sent.body)
        assert sent.url.startswith("https://")
    answer = made.answer(asked, Answer(status=status, body=before))
    msgspec.json.decode(answer.body)
    for junk in (b"\xff{", b'{"a": {"\xff": 1}, "l": [{"\xff": 1}]}', b'{"a": "\xff"}'):
        assert made.answer(asked, Answer(status=status, body=junk)).status >= 200


@examples(60)
@given(
    st.sampled_from(sorted(TEMPLATES)), st.dictionaries(st.text(max_size=12), st.text(max_size=20) | VALUES)
)
def test_whatever_stands_in_a_policy_is_checked_without_a_crash(
    template: str, parameters: dict[str, Any]
) -> None:
    assert isinstance(check(template, parameters), str)
    named = {field.name: next(iter(parameters.values()), "") for field in TEMPLATES[template].fields}
    problem = check(template, named)
    made = compile_policies(
        Spec(policies=(Policy(template=template, parameters=named),)), operation(), {"c": "acme"}
    )
    assert problem or made is not None

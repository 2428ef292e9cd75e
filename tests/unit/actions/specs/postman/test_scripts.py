from hypothesis import given
from hypothesis import strategies as st

from actions.specs.postman.calls import Script
from actions.specs.postman.scripts import Scripts
from tests.examples import examples
from tests.tables import every_row
from tests.unit.actions.specs.postman.collections import item, one, read


def captures(text: str) -> dict[str, str]:
    return Scripts().effects([Script(text=text, before=False)]).captures


@every_row(
    ("script", "found"),
    [
        ('pm.environment.set("x", pm.response.json().a.b[0].c)', {"x": "body.a.b[0].c"}),
        ("var j = JSON.parse(responseBody);\npostman.setEnvironmentVariable('x', j.a);", {"x": "body.a"}),
        ("const r = pm.response.json(); let t = r.token; pm.globals.set(`t`, t);", {"t": "body.token"}),
        (
            'pm.collectionVariables.set("x", JSON.parse(pm.response.text())["a-b"]["c"])',
            {"x": 'body["a-b"].c'},
        ),
        ('pm.variables.set("x", pm.response.headers.get("Location"))', {"x": "headers.Location"}),
        ('postman.setGlobalVariable("x", postman.getResponseHeader("X-A"))', {"x": "headers.X-A"}),
        ('pm.environment.set("x", responseBody)', {"x": "body"}),
        ("j = pm.response.json()\npm.environment.set('x', j?.a?.[0].b.toString())", {"x": "body.a[0].b"}),
        ("j = pm.response.json(); j = 5; pm.environment.set('x', j.a)", {}),
        ("j = pm.response.json(); pm.environment.set('x', j.a.substring(0, 5))", {}),
        ("j = pm.response.json(); pm.environment.set('x' + 1, j.a)", {}),
        ("pm.environment.set('x', other.a)", {}),
        ("pm.environment.set('x', ", {}),
    ],
)
def test_a_variable_set_from_the_answer_is_a_capture(script: str, found: dict[str, str]) -> None:
    assert captures(script) == found


@examples(150)
@given(
    parts=st.lists(
        st.sampled_from(
            [
                'pm.environment.set("a", ',
                "j",
                " = ",
                "pm.response.json()",
                ".b",
                "[0]",
                "(",
                ")",
                ";",
                "\n",
                '"',
                "{",
                "?.",
            ]
        ),
        max_size=20,
    )
)
def test_any_script_is_only_text(parts: list[str]) -> None:
    found = Scripts().effects([Script(text="".join(parts), before=True)])
    assert set(found.captures) | set(found.literals) <= found.sets


def test_a_constant_set_before_a_request_fills_that_request() -> None:
    event = [
        {
            "listen": "prerequest",
            "script": {"exec": ["pm.environment.set('code', 'QF');", "pm.environment.set('n', 3)"]},
        }
    ]
    spec = read(
        item("https://a.x/b?c={{code}}&d={{n}}", event=event, name="a"),
        item("https://a.x/z?c={{code}}", name="b"),
    )
    filled, open_ = spec.operations.values()
    assert filled.presets[0].arguments == {"c": "QF", "d": "3"}
    assert open_.presets[0].arguments == {"c": "{{code}}"}


def test_two_constants_for_one_variable_are_none() -> None:
    script = "if (a) { pm.environment.set('code', 'QF') } else { pm.environment.set('code', 'BA') }"
    spec = read(
        item("https://a.x/b?c={{code}}", event=[{"listen": "prerequest", "script": {"exec": script}}])
    )
    assert one(spec).presets[0].arguments == {"c": "{{code}}"}


def test_a_variable_of_a_script_is_named_with_its_request() -> None:
    event = [
        {"listen": "test", "script": {"exec": ["pm.environment.set('token_id', pm.response.json().id);"]}}
    ]
    spec = read(
        item("https://a.x/b", name="Login", event=event), item("https://a.x/c/{{token_id}}", name="Use")
    )
    assert spec.operations["Login"].extras == {"captures": {"token_id": "body.id"}}
    (finding,) = spec.findings
    assert finding.code == "variable-of-script"
    assert (
        finding.message == "the variable token_id is only set by a script of 'Login'; give it as a parameter"
    )
    assert spec.parameters["token_id"].extras == {"x-set-by": ["Login"]}

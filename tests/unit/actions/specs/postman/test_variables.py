from typing import Any

import msgspec

from actions.specs import read_spec
from actions.specs.postman.variables import Variables
from tests.tables import every_row
from tests.unit.actions.specs.postman.collections import SCHEMA, codes, item, one, read, variables


def environment(name: str, scope: str = "environment", **values: Any) -> dict[str, Any]:
    given = [{"key": key, "value": value, "enabled": True} for key, value in values.items()]
    return {"name": name, "values": given, "_postman_variable_scope": scope}


def test_values_that_name_each_other_end() -> None:
    known = Variables({"a": "{{b}}x", "b": "{{a}}y", "c": "{{c}}{{c}}"})
    assert known.value("a") is None
    assert known.value("c") is None


def test_the_environment_wins_over_the_collection_and_that_over_globals() -> None:
    spec = read(
        item("{{base}}/{{g}}/{{c}}/{{e}}"),
        variable=variables(base="https://a.x", c="collection", e="collection"),
        files={
            "x.postman_environment.json": environment("X", base="https://e.x", e="environment", c=""),
            "g.postman_globals.json": environment("G", "globals", g="global", e="global"),
        },
    )
    assert spec.servers[0].variables["base"].default == "https://e.x"
    assert one(spec).presets[0].arguments == {"g": "global", "c": "collection", "e": "environment"}
    assert spec.extras["environment"] == "X"


def test_the_environment_that_fits_best_is_taken() -> None:
    spec = read(
        item("{{base}}/b"),
        files={
            "a.env.json": environment("Empty", base=""),
            "b.env.json": environment("Other", else_="x"),
            "c.env.json": environment("Right", base="https://a.x"),
        },
    )
    assert spec.extras["environment"] == "Right"
    assert [known["name"] for known in spec.extras["environments"]] == ["Empty", "Other", "Right"]


def test_an_environment_that_has_nothing_of_use_is_not_taken() -> None:
    spec = read(item("{{base}}/b"), files={"b.env.json": environment("Other", x="y")})
    assert spec.extras["environment"] is None
    assert codes(spec) == ["variable-missing"]


def test_files_that_are_no_environments_are_left_alone() -> None:
    files = {"env.json": {"a": 1}, "environment.json": [], "far/away/env.txt": {}}
    assert "environments" not in read(item("https://a.x/b"), files=files).extras


def test_secrets_are_neither_filled_in_nor_shown() -> None:
    hidden = {
        "name": "S",
        "values": [{"key": "k", "value": "geheim", "type": "secret"}, {"key": "api_key", "value": "geheim"}],
    }
    spec = read(item("https://a.x/b?q={{k}}&r={{api_key}}"), files={"s.env.json": hidden})
    assert "geheim" not in repr(spec)
    assert {name: known.kind for name, known in spec.parameters.items()} == {
        "k": "secret",
        "api_key": "secret",
    }


def test_generators_stay_as_they_are_and_are_listed() -> None:
    spec = read(item("https://a.x/b?q={{$guid}}&r={{$randomInt}}&s={{$randomColor}}"))
    assert one(spec).presets[0].arguments == {
        "q": "{{$guid}}",
        "r": "{{$randomInt}}",
        "s": "{{$randomColor}}",
    }
    assert [known.required for known in one(spec).parameters] == [False, False, False]
    assert spec.extras["dynamic_variables"] == {
        "$guid": {"type": "string", "format": "uuid"},
        "$randomColor": {"type": "string"},
        "$randomInt": {"type": "integer", "minimum": 0, "maximum": 1000},
    }
    assert codes(spec) == []
    assert spec.parameters == {}


def test_an_environment_alone_is_no_description() -> None:
    spec = read_spec(
        {
            "x.postman_environment.json": b'{"name": "X", "values": [{"key": "a", "value": "b"}], "_postman_variable_scope": "environment"}'
        }
    )
    assert not spec.readable
    assert "environment" in spec.findings[-1].message


@every_row(
    ("file", "found"),
    [
        ("environments/production.json", True),
        ("apis/environments/a.json", True),
        ("apis/shop/env/a.json", True),
        ("apis/other/environments/a.json", False),
        ("other/production.json", False),
        ("apis-old/my.env.json", False),
    ],
)
def test_environments_may_lie_in_a_folder_of_their_own(file: str, found: bool) -> None:
    document = {"info": {"name": "t", "schema": SCHEMA}, "item": [item("{{base}}/b")]}
    files = {"apis/shop/c.json": document, file: environment("Production", base="https://a.x")}
    spec = read_spec({name: msgspec.json.encode(value) for name, value in files.items()}, "apis/shop/c.json")
    assert (spec.extras.get("environment") == "Production") is found

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from actions.specs.postman.calls import Call, Pair
from actions.specs.postman.urls import address
from actions.specs.postman.variables import Variables
from tests.examples import examples
from tests.tables import every_row
from tests.unit.actions.specs.postman.collections import codes, item, one, read, variables

KNOWN = Variables(
    {
        "base": "https://a.x/v1",
        "slash": "https://a.x/",
        "host": "a.x",
        "dirs": "/a/b",
        "v": "2",
        "start": "https://",
    }
)


@every_row(
    ("url", "base", "path"),
    [
        ("https://a.x/b/c", "https://a.x", "/b/c"),
        ("a.x/b", "http://a.x", "/b"),
        ("a.x:8080/b", "http://a.x:8080", "/b"),
        ("{{base}}/b", "{{base}}", "/b"),
        ("{{base}}", "{{base}}", ""),
        ("{{slash}}b/c", "{{slash}}", "b/c"),
        ("{{host}}.org/b", "http://{{host}}.org", "/b"),
        ("{{unknown}}/b", "{{unknown}}", "/b"),
        ("{{base}}{{dirs}}/c", "{{base}}", "a/b/c"),
        ("{{unknown}}{{v}}/c", "{{unknown}}", "{v}/c"),
        ("{{start}}{{host}}/c", "{{start}}{{host}}", "/c"),
        ("https://{{host}}:{{port}}/b", "https://{{host}}:{{port}}", "/b"),
        ("{{protocol}}://{{host}}/b", "{{protocol}}://{{host}}", "/b"),
        ("/b", "", "/b"),
        ("https://u:p@a.x/b", "https://a.x", "/b"),
        ("https://a.x/{{v}}/:id/{x}", "https://a.x", "/{v}/{id}/{x}"),
        ("https://a.x/{{dirs}}/c", "https://a.x", "/a/b/c"),
        ("https://a.x/:id.json", "https://a.x", "/{id}.json"),
        ("https://a.x/t/{{v}}.json", "https://a.x", "/t/{v}.json"),
        ("https://a.x/x:verb/:", "https://a.x", "/x:verb/:"),
        ("https://a.x/{{a/b?c#d}}", "https://a.x", "/{a_b_c_d}"),
        ("https://a.x//b/", "https://a.x", "//b/"),
        ("  https://a.x/b#c?d=e \n", "https://a.x", "/b"),
        ("https:\\\\a.x\\b", "https://a.x", "/b"),
        ("", "", ""),
    ],
)
def test_a_url_comes_apart(url: str, base: str, path: str) -> None:
    found = address(Call(name="", method="GET", url=url, pointer=""), KNOWN)
    assert (found.base, found.path) == (base, path)


@examples(200)
@given(text=st.text(st.sampled_from("{}:/?#&=@.ab\\ \n\ue000\ue0010%"), max_size=30))
def test_any_text_comes_apart(text: str) -> None:
    found = address(
        Call(name="", method="GET", url=text, pointer="", path=(Pair(name="a", value="b"),)), KNOWN
    )
    assert found.shape.count("{}") >= len(found.holes)
    assert all(f"{{{hole.name}}}" in found.path for hole in found.holes)


def test_the_query_of_the_text_counts_where_there_is_no_other() -> None:
    found = address(Call(name="", method="GET", url="a.x/b?c=d%20e&f&=g&h={{i&j=k}}", pointer=""), KNOWN)
    assert [(pair.name, pair.value) for pair in found.query] == [
        ("c", "d%20e"),
        ("f", None),
        ("h", "{{i&j=k}}"),
    ]


@every_row(
    ("parts", "shown", "path"),
    [
        ({"host": ["{{base}}"], "path": ["pets", ":id"]}, "{{base}}/pets/:id", "/pets/{id}"),
        ({"protocol": "https", "host": "sub.x.", "port": "8443", "path": "to/it"}, "sub.x./to/it", "/to/it"),
        (
            {"host": ["a", "x"], "path": ["p", {"key": "id", "value": ":id"}], "raw": ""},
            "a.x/p/:id",
            "/p/{id}",
        ),
        ({"raw": "https://a.x/z", "host": ["other"], "path": ["y"]}, "https://a.x/z", "/z"),
    ],
)
def test_a_url_may_be_an_object(parts: dict[str, Any], shown: str, path: str) -> None:
    operation = one(read(item(parts)))
    assert operation.path == path
    assert operation.presets[0].url == shown


def test_the_base_becomes_a_server_with_the_value_of_its_variable() -> None:
    spec = read(item("{{base}}/b"), variable=variables(base="{{scheme}}://api.x", scheme="https"))
    (server,) = spec.servers
    assert server.url == "{base}"
    assert server.variables["base"].default == "https://api.x"


def test_a_base_without_a_value_is_named() -> None:
    spec = read(item("{{base}}/b"), item("https://{{host}}.x/b", "POST"), variable=variables(base="/"))
    assert spec.servers[0].url == "{base}"
    assert spec.servers[0].variables["base"].default is None
    assert [finding.message for finding in spec.findings] == [
        "the variable base has no value in the collection or its environment; give it",
        "the variable host has no value in the collection or its environment; give it",
    ]


def test_a_base_that_is_known_in_part_is_told_apart() -> None:
    (server,) = read(item("{{base}}/b"), variable=variables(base="https://{{host}}/v1")).servers
    assert server.url == "https://{host}/v1"
    assert list(server.variables) == ["host"]


def test_a_value_without_protocol_is_completed() -> None:
    (server,) = read(item("{{base}}/b"), variable=variables(base="api.x")).servers
    assert server.variables["base"].default == "http://api.x"


def test_several_bases_are_servers_of_their_operations() -> None:
    spec = read(
        *(
            item(url, name="a b")
            for url in ("https://a.x/b", "https://a.x/c", "https://b.x/b", "http://{{h}}/b")
        )
    )
    assert [server.url for server in spec.servers] == ["https://a.x"]
    assert {id_: [server.url for server in found.servers] for id_, found in spec.operations.items()} == {
        "get_a_x_b": [],
        "get_c": [],
        "get_b_x_b": ["https://b.x"],
        "get_h_b": ["http://{h}"],
    }


def test_the_same_place_by_variable_and_by_name_is_one() -> None:
    spec = read(
        item("{{base}}/b", name="x"), item("https://a.x/b", name="y"), variable=variables(base="https://a.x/")
    )
    assert [preset.name for preset in one(spec).presets] == ["x", "y"]


def test_a_path_variable_shows_its_sample_and_never_sends_it_unasked() -> None:
    spec = read(
        item(
            {
                "raw": "https://a.x/o/:id",
                "variable": [{"key": "id", "value": "7", "description": "(Required) it"}],
            }
        )
    )
    (parameter,) = one(spec).parameters
    assert parameter.schema == {"type": "string", "examples": ["7"]}
    assert (parameter.required, parameter.description) == (True, "it")
    assert one(spec).presets[0].arguments == {"id": "7"}


def test_a_variable_in_the_path_has_its_value_as_default() -> None:
    spec = read(item("https://a.x/o/{{org}}/{{user}}"), variable=variables(org="o 1"))
    org, user = one(spec).parameters
    assert org.schema == {"type": "string", "examples": ["o 1"], "default": "o 1"}
    assert user.schema == {"type": "string"}
    assert one(spec).presets[0].arguments == {"org": "o 1", "user": "{{user}}"}
    assert one(spec).presets[0].extras["variables"] == ["user"]
    assert {name: known.default for name, known in spec.parameters.items()} == {"org": "o 1", "user": None}
    assert codes(spec) == ["variable-missing"]


def test_paths_that_differ_in_the_names_of_their_holes_are_one_operation() -> None:
    spec = read(
        item({"raw": "https://a.x/o/:id", "variable": [{"key": "id", "value": "1"}]}, name="a"),
        item({"raw": "https://a.x/o/:other", "variable": [{"key": "other", "value": "2"}]}, name="b"),
    )
    assert one(spec).path == "/o/{id}"
    assert [preset.arguments for preset in one(spec).presets] == [{"id": "1"}, {"id": "2"}]


def test_credentials_in_a_url_are_a_login_and_are_not_kept() -> None:
    spec = read(item("https://user:geheim@a.x/b"))
    assert spec.security_schemes["basic"].scheme == "basic"
    assert "geheim" not in str({**spec.security_schemes, **spec.operations}.values()).replace(
        one(spec).presets[0].url, ""
    )


@every_row(
    ("url", "reason"),
    [
        (None, "has no URL"),
        ("ws://a.x/b", "not HTTP"),
        ("https://a.x/../b", "dot segments"),
        ("https://a.x/a\x07b", "control characters"),
        ("https://a b.x/c", "blanks"),
    ],
)
def test_a_url_that_cannot_be_called_refuses_its_operation(url: str | None, reason: str) -> None:
    spec = read(item(url, name="Bad one"))
    assert reason in one(spec).problem
    assert "Bad one" in one(spec).problem
    assert "operation-refused" in codes(spec)


@every_row("base", ["https://a.x", "a.x", ""])
def test_a_port_behind_a_variable_belongs_to_the_host(base: str) -> None:
    known = variables(base=base) if base else []
    for url in ("{{base}}:8080/b", "{{base}}:{{port}}/b"):
        operation = one(read(item(url), variable=[*known, *variables(port="8080")]))
        assert (operation.path, operation.parameters) == ("/b", ())

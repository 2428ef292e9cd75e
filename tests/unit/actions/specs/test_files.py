"""One description of several files: what references in and between them mean, and what they never open."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.specs import read_spec
from actions.specs.files import MAX_FILES, Files, NoFile
from actions.specs.load import Bundle, load
from actions.specs.references import Registry, Unresolved, dangling, standalone
from tests.examples import examples
from tests.tables import every_row


class Asked(Mapping[str, bytes]):
    """Files that remember what was asked for."""

    def __init__(self, **files: str) -> None:
        self.files = {name.replace("__", "/") + ".yaml": text.encode() for name, text in files.items()}
        self.asked: list[str] = []

    def __getitem__(self, name: str) -> bytes:
        self.asked.append(name)
        return self.files[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)


def registry(root: Any, files: Mapping[str, bytes], name: str = "root.yaml") -> Registry:
    return Registry.of(Bundle(root=load(name, json.dumps(root).encode()), files=files))


def test_a_reference_means_the_same_wherever_it_is_found() -> None:
    files = Asked(
        schemas__pet="type: object\nproperties:\n  owner: {$ref: '#/$defs/O'}\n  tag: {$ref: ../tag.yaml}\n"
        "  kind: {$ref: ../root.yaml#/kind}\n  more: {$ref: './deep/more.yaml#/More'}\n$defs: {O: {type: string}}\n",
        tag="{type: integer}",
        schemas__deep__more="More: {$ref: '#/Other'}\nOther: {type: boolean}\n",
    )
    known = registry({"kind": {"type": "null"}}, files)
    pet = known.resolve("schemas/pet.yaml")
    refs = {name: member["$ref"] for name, member in pet["properties"].items()}
    assert refs == {
        "owner": "schemas/pet.yaml#/$defs/O",
        "tag": "tag.yaml",
        "kind": "#/kind",
        "more": "schemas/deep/more.yaml#/More",
    }
    found = {name: known.follow(member) for name, member in pet["properties"].items()}
    assert {name: one["type"] for name, one in found.items()} == {
        "owner": "string",
        "tag": "integer",
        "kind": "null",
        "more": "boolean",
    }


def test_a_file_is_opened_once_and_only_when_a_reference_leads_there() -> None:
    files = Asked(a="b: {$ref: b.yaml}", b="{x: 1}", c="{}")
    known = registry({}, files)
    assert files.asked == []
    known.resolve("a.yaml")
    known.resolve("./a.yaml#/b")
    assert files.asked == ["a.yaml"]
    assert known.follow(known.resolve("a.yaml#/b")) == {"x": 1}
    assert files.asked == ["a.yaml", "b.yaml"]


@every_row(
    ("ref", "words"),
    [
        ("../up.yaml", "leads out of the description's folder"),
        ("a/../../up.yaml", "leads out of the description's folder"),
        ("..%2fup.yaml", "leads out of the description's folder"),
        ("..\\up.yaml", "leads out of the description's folder"),
        ("/etc/passwd", "absolute path"),
        ("%2Fetc/passwd", "absolute path"),
        ("\\etc\\passwd", "absolute path"),
        ("C%3A/x.yaml", "absolute path"),
        ("/etc/passwd#/a", "absolute path"),
        ("file:///etc/passwd", "nothing is ever fetched"),
        ("C:\\x.yaml", "nothing is ever fetched"),
        ("http://169.254.169.254/", "nothing is ever fetched"),
        ("nope.yaml", "which is not there"),
        ("bad.yaml", "which cannot be read"),
        ("a.yaml#/nope", "which is not there"),
        ("a.yaml#nope", "nothing has this anchor"),
    ],
)
def test_nothing_outside_is_opened_and_what_is_missing_says_so(ref: str, words: str) -> None:
    files = Asked(a="{}", bad="a: [")
    with pytest.raises(Unresolved, match=words):
        registry({}, files).resolve(ref)
    assert set(files.asked) <= {"a.yaml", "nope.yaml", "bad.yaml"}


def test_names_of_files_may_be_odd_and_percent_encoded() -> None:
    files = {"a b/c#d.yaml": b"x: {$ref: '#/y'}\ny: 1", "100%.json": b"{}"}
    known = registry({}, files)
    assert known.follow(known.resolve("a%20b/c%23d.yaml#/x")) == 1
    assert known.resolve("100%25.json") == {}
    assert [where for where, _, _ in dangling(known)] == []


def test_a_root_in_a_folder_reaches_its_neighbours_and_what_lies_above_it() -> None:
    files = Asked(common__x="{type: string}", api__y="{$ref: v1/root.yaml#/z}")
    known = registry(
        {"x": {"$ref": "../../common/x.yaml"}, "y": {"$ref": "../y.yaml"}, "z": 1}, files, "api/v1/root.yaml"
    )
    assert known.follow(known.root["x"]) == {"type": "string"}
    assert known.follow(known.root["y"]) == 1


def test_mappings_of_discriminators_and_links_are_rewritten_too() -> None:
    text = """
discriminator: {propertyName: t, mapping: {a: '#/A', b: ../b.yaml, c: Cat, d: dog.json}}
links: {l: {operationRef: '#/paths/~1a/get'}}
s: {example: {$ref: '#/data'}}
default: {$ref: '#/top'}
responses: {default: {$ref: 'r.yaml#/d'}}
examples: {one: {$ref: e.yaml}, two: {value: {$ref: data}}}
"""
    known = registry({}, {"s/a.yaml": text.encode()})
    found = known.resolve("s/a.yaml")
    assert found["discriminator"]["mapping"] == {
        "a": "s/a.yaml#/A",
        "b": "b.yaml",
        "c": "Cat",
        "d": "s/dog.json",
    }
    assert found["links"]["l"]["operationRef"] == "s/a.yaml#/paths/~1a/get"
    assert found["s"]["example"] == {"$ref": "#/data"}
    assert found["default"] == {"$ref": "s/a.yaml#/top"}  # a file may be nothing but definitions
    assert found["responses"]["default"]["$ref"] == "s/r.yaml#/d"
    assert found["examples"] == {"one": {"$ref": "s/e.yaml"}, "two": {"value": {"$ref": "data"}}}


def test_nodes_that_aliases_share_are_rewritten_once() -> None:
    known = registry({}, {"s/a.yaml": b"a: &x {$ref: t/b.yaml}\nb: *x\n"})
    assert known.resolve("s/a.yaml") == {"a": {"$ref": "s/t/b.yaml"}, "b": {"$ref": "s/t/b.yaml"}}


def test_files_may_refer_to_each_other_in_circles() -> None:
    files = Asked(
        a="{$ref: b.yaml}",
        b="{$ref: a.yaml}",
        c="n: {$ref: d.yaml#/n}",
        d="n: {properties: {n: {$ref: c.yaml#/n}}}",
    )
    known = registry({}, files)
    with pytest.raises(Unresolved, match="leads back to itself"):
        known.follow({"$ref": "a.yaml"})
    alone = standalone(known, {"$ref": "c.yaml#/n"})
    assert sorted(alone["$defs"]) == ["n", "n_2"]


def test_a_pointer_goes_through_references_on_its_way() -> None:
    files = Asked(
        a="{$ref: 'b.yaml#/x'}", b="x: {properties: {n: {type: integer}}}", loop="{$ref: loop.yaml}"
    )
    known = registry({"s": {"$ref": "a.yaml"}}, files)
    assert known.resolve("#/s/properties/n") == {"type": "integer"}
    assert known.resolve("a.yaml#/properties/n/type") == "integer"
    with pytest.raises(Unresolved):
        known.resolve("loop.yaml#/x")


def test_text_for_people_is_taken_as_it_is() -> None:
    known = registry({}, {"README.md": b"# Title: [x\n"})
    assert known.resolve("README.md") == "# Title: [x\n"


def test_anchors_and_ids_are_found_where_they_are_declared() -> None:
    root = {
        "$defs": {
            "a": {"$anchor": "here", "type": "string"},
            "b": {"$id": "https://x.example/b", "properties": {"p": {"type": "null"}}},
            "c": {"id": "#old", "type": "integer"},
        },
        "components": {"schemas": {"S": {"type": "array"}}},
    }
    known = registry(root, Asked(f="q: {$anchor: there, type: boolean}"))
    types = {
        ref: known.resolve(ref)["type"]
        for ref in (
            "#here",
            "#old",
            "https://x.example/b#/properties/p",
            "f.yaml#there",
            "#components/schemas/S",
        )
    }
    assert list(types.values()) == ["string", "integer", "null", "boolean", "array"]
    assert known.resolve("https://x.example/b") is root["$defs"]["b"] or known.resolve("https://x.example/b")
    assert known.forgiven("#here") is None
    assert "read as #/components/schemas/S" in str(known.forgiven("#components/schemas/S"))
    with pytest.raises(Unresolved, match="nothing is ever fetched"):
        known.resolve("https://x.example/c")
    with pytest.raises(Unresolved, match="only JSON pointers"):
        known.resolve("https://x.example/b#nope")


def test_the_number_of_files_is_bounded() -> None:
    files = Files(load("root.yaml", b"{}"), {f"{number}.yaml": b"{}" for number in range(MAX_FILES + 1)})
    for number in range(MAX_FILES - 1):
        files.document(f"{number}.yaml")
    with pytest.raises(NoFile, match="one more than"):
        files.document(f"{MAX_FILES}.yaml")


def test_a_mapping_of_files_may_say_why_it_cannot_give_one() -> None:
    class Locked(dict[str, bytes]):
        def __missing__(self, name: str) -> bytes:
            raise NoFile("may not be read")

    with pytest.raises(Unresolved, match=r"the file x\.yaml, which may not be read"):
        registry({}, Locked()).resolve("x.yaml")


ROOT = """openapi: 3.0.3
info: {title: t, version: '1'}
paths:
  /a: {$ref: paths/a.yaml}
  /b:
    $ref: 'paths/b.yaml#/item'
    summary: mine
  /gone: {$ref: paths/gone.yaml}
  /c:
    post:
      requestBody: {content: {application/json: {schema: {$ref: schemas/pet.json}}}}
      responses: {'200': {$ref: 'responses.yaml#/Ok'}}
"""
PARTS = {
    "paths/a.yaml": b"get:\n  operationId: getA\n  parameters:\n    - $ref: ../parameters.yaml#/limit\n"
    b"    - name: odd\n      in: nowhere\n  responses: {}\n",
    "paths/b.yaml": b"item:\n  put:\n    requestBody: {$ref: '#/body'}\n    responses: {}\n"
    b"body: {content: {text/plain: {}}}\n",
    "parameters.yaml": b"limit: {name: limit, in: query, schema: {$ref: schemas/pet.json#/properties/age}}\n",
    "schemas/pet.json": b'{"type": "object",\n "properties": {"age": {"type": "integer"},\n'
    b'  "owner": {"$ref": "owner.json"}, "f": {"$ref": "pet.json"}, }}',
    "responses.yaml": b"Ok: {description: ok, content: {application/json: {schema: {$ref: 'schemas/pet.json'}}}}\n",
}


def test_a_description_of_several_files_is_read_whole_with_the_places_of_its_findings() -> None:
    spec = read_spec({"api.yaml": ROOT.encode(), **PARTS}, "api.yaml")
    assert spec.readable
    assert {(one.method, one.path, one.status) for one in spec.operations.values()} == {
        ("GET", "/a", "degraded"),
        ("PUT", "/b", "ok"),
        ("POST", "/c", "ok"),
    }
    assert spec.operations["getA"].parameters[0].name == "limit"
    places = {one.code: (one.file, one.line, one.column, one.pointer) for one in spec.findings}
    assert places["path-refused"] == ("api.yaml", 8, 3, "/paths/~1gone")
    assert places["parameter"] == ("paths/a.yaml", 5, 7, "paths/a.yaml#/get/parameters/1")
    assert places["reference-file"][0] == "schemas/pet.json"
    assert places["reference-file"][3] == "schemas/pet.json#/properties/owner"
    assert places["not-strict-json"][:2] == ("schemas/pet.json", 3)
    body = spec.standalone(spec.operations["post_c"].body.media[0].schema)  # type: ignore[union-attr]  # it has one
    assert set(body["$defs"]) == {"pet.json", "owner.json"}
    assert spec.degradations(spec.operations["post_c"])


def test_a_file_that_is_broken_degrades_only_what_refers_to_it() -> None:
    spec = read_spec({"api.yaml": ROOT.encode(), **PARTS, "schemas/pet.json": b'{"a": <'}, "api.yaml")
    assert spec.readable
    assert spec.operations["post_c"].status == "ok"
    broken = [one for one in spec.findings if one.code == "unreadable"]
    assert [(one.severity, one.file, one.line) for one in broken] == [("warning", "schemas/pet.json", 1)]


REFS = st.sampled_from(
    [
        "#",
        "",
        "#/paths/~1a",
        "a.json",
        "./a.json#",
        "b.json#/x",
        "a.json#/x/y",
        "../a.json",
        "s/c.json",
        "s/c.json#/x",
        "/a.json",
        "http://x/",
        "#x",
        "a.json#x",
        "%",
        "#/%zz",
        "a.json#/x/0/x",
        "b.json#/x/1",
    ]
)
NODES = st.recursive(
    st.builds(lambda ref: {"$ref": ref}, REFS)
    | st.sampled_from([{}, [], None, 1, {"get": {}}, {"name": "q", "in": "query"}]),
    lambda inner: (
        st.dictionaries(
            st.sampled_from(
                ["x", "y", "get", "parameters", "schema", "$ref", "properties", "discriminator", "mapping"]
            ),
            inner,
            max_size=3,
        )
        | st.lists(inner, max_size=2)
    ),
    max_leaves=6,
)


@examples(60)
@given(st.lists(NODES, min_size=5, max_size=5))
def test_files_that_refer_anywhere_never_raise(nodes: list[Any]) -> None:
    root = {
        "openapi": "3.1.0",
        "paths": {"/a": nodes[0], "/b": {"post": {"parameters": [nodes[1]], "requestBody": nodes[0]}}},
        "x": nodes[2],
    }
    files = {"root.json": root, "a.json": nodes[3], "b.json": {"x": nodes[4]}, "s/c.json": {"x": nodes[1]}}
    spec = read_spec({name: json.dumps(value).encode() for name, value in files.items()}, "root.json")
    assert spec.readable
    assert all(one.line and one.column and one.file in files for one in spec.findings)
    for one in spec.operations.values():
        json.dumps([spec.standalone(spec.input_schema(one)), spec.degradations(one)])


def test_where_a_value_really_stands_is_found_through_references() -> None:
    files = Asked(a="get: {parameters: [{$ref: 'p.yaml#/list/0'}]}", p="list: [{name: q}]")
    known = registry(
        {"paths": {"/x": {"$ref": "a.yaml"}, "/y": {"$ref": "#/paths/~1y"}, "/z": {"$ref": "gone.yaml"}}},
        files,
    )
    assert known.where("/paths/~1x") == "/paths/~1x"
    assert known.where("/paths/~1x/get/parameters/0") == "a.yaml#/get/parameters/0"
    assert known.where("/paths/~1x/get/parameters/0/name") == "p.yaml#/list/0/name"
    assert known.where("a.yaml#/get/parameters/0/name") == "p.yaml#/list/0/name"
    assert known.where("/paths/~1x/get/nope/3") == "a.yaml#/get/nope/3"
    assert known.where("/paths/~1y/get") == "/paths/~1y/get"
    assert known.where("/paths/~1z/get") == "/paths/~1z/get"
    assert known.where("gone.yaml#/x") == "gone.yaml#/x"
    assert known.where("") == ""


def test_a_way_through_very_many_references_is_given_up() -> None:
    chain = {f"s{number}": {"$ref": f"#/s{number + 1}/x"} for number in range(200)}
    with pytest.raises(Unresolved, match="leads back to itself"):
        registry(chain, {}).resolve("#/s0/y")


def test_examples_that_are_references_are_opened_and_kept_with_the_rest() -> None:
    files = Asked(e="{value: 1}")
    media = {
        "examples": {
            "one": {"$ref": "e.yaml"},
            "two": {"$ref": "gone.yaml"},
            "three": {"value": {"$ref": "data.yaml"}},
        }
    }
    known = registry({"content": {"text/plain": media}, "examples": [1]}, files)
    assert [(where, reason.why) for where, _, reason in dangling(known)] == [
        ("/content/text~1plain/examples/two", "file")
    ]
    assert sorted(files.asked) == ["e.yaml", "gone.yaml"]


def test_all_files_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actions.specs.files.MAX_TOTAL", 10)
    known = registry({}, {"a.json": b"{}", "b.json": b'"123456789"'})
    assert known.resolve("a.json") == {}
    with pytest.raises(Unresolved, match="makes all files together larger than 10 bytes"):
        known.resolve("b.json")


def test_a_key_may_hold_a_percent_sign_itself() -> None:
    known = registry({"a%20b": 1, "c d": 2, "list": [1]}, {})
    assert (known.resolve("#/a%2520b"), known.resolve("#/a%20b"), known.resolve("#/c%20d")) == (1, 1, 2)
    for ref in ("#/list/1", "#/list/x", "#/list/-", "#/list/²"):
        with pytest.raises(Unresolved):
            known.resolve(ref)

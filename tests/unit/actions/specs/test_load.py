"""The lenient loader: what it forgives, what it refuses, and where it says things stand."""

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.specs.load import Document, load
from actions.specs.tree import MAX_DEPTH
from tests.examples import examples
from tests.tables import every_row


def yaml(text: str) -> Document:
    return load("a.yaml", text.encode())


def codes(document: Document) -> list[str]:
    return [one.code for one in document.findings]


@every_row(
    ("scalar", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("Off", "Off"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("=", "="),
        ("12:30:45", "12:30:45"),
        ("2020-01-01", "2020-01-01"),
        ("2020-13-45T99:00:00Z", "2020-13-45T99:00:00Z"),
        ("017", 17),
        ("0o17", 15),
        ("0x1F", 31),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        (".inf", ".inf"),
        ("1e999", "1e999"),
        ("1_000", "1_000"),
        ("-", None),
        ("'12'", "12"),
        ('"true"', "true"),
        ("!!str 12", "12"),
        ("!!int 12", 12),
    ],
)
def test_reads_scalars_by_the_core_schema_of_yaml_1_2(scalar: str, value: object) -> None:
    document = yaml(f"a: {scalar}\n") if scalar != "-" else yaml("a:\n  -\n")
    assert document.value == {"a": value if scalar != "-" else [None]}
    assert document.findings == ()


def test_keys_are_text() -> None:
    assert yaml("200: a\ntrue: b\nno: c\n1.10: d\n~: e\n").value == {
        "200": "a",
        "true": "b",
        "no": "c",
        "1.10": "d",
        "~": "e",
    }


@every_row("text", ['{"a": 1, "b": {"a": 1, "a": 2}}', "a: 1\nb:\n  a: 1\n  a: 2\n"])
def test_duplicate_keys_leave_a_finding_and_the_last_one_counts(text: str) -> None:
    document = yaml(text)
    assert document.value == {"a": 1, "b": {"a": 2}}
    assert codes(document) == ["duplicate-key"]
    assert document.findings[0].pointer == "/b/a"
    assert document.findings[0].line == (1 if text.startswith("{") else 4)


def test_merge_keys_are_merged_and_lose_against_what_is_written() -> None:
    document = yaml("d: &d {x: 1, y: 2}\na: {<<: *d, x: 3}\nb:\n  <<: [*d, {z: 4}]\n")
    assert document.value["a"] == {"x": 3, "y": 2}
    assert document.value["b"] == {"x": 1, "y": 2, "z": 4}


def test_an_alias_bomb_is_cut() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    document = yaml("\n".join(lines))
    assert "yaml-alias" in codes(document)
    assert len(json.dumps(document.value)) < 40_000_000


def test_an_alias_that_contains_itself_and_one_that_is_not_there_are_null() -> None:
    document = yaml("a: &a {b: *a}\nc: *nope\n")
    assert document.value == {"a": {"b": None}, "c": None}
    assert codes(document) == ["yaml-alias", "yaml-alias"]


def test_a_chain_of_aliases_cannot_build_depth() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 2000)]
    json.dumps(yaml("\n".join(lines)).value)


@every_row(("opening", "closing"), [('{"a":', "}"), ("[", "]"), ("{a: ", "}"), ("[ ", " ]  # yaml")])
@every_row("depth", [300, 3_000])
def test_what_is_nested_too_deep_is_cut_with_a_finding(opening: str, closing: str, depth: int) -> None:
    document = yaml(opening * depth + "1" + closing.partition("#")[0] * depth)
    assert "too-deep" in codes(document)
    assert json.dumps(document.value).count(opening[0]) == MAX_DEPTH


@pytest.mark.parametrize("opening", ['{"a":', "[", "{a: ", "- "])
def test_absurd_depth_is_refused(opening: str) -> None:
    document = yaml(opening * 20_000)
    assert document.value is None
    assert document.findings[-1].severity == "error"
    assert document.findings[-1].line == 1


def test_unknown_tags_are_ignored_and_never_run() -> None:
    document = yaml("a: !!python/object/apply:os.system ['echo pwned']\nb: !Ref foo\n")
    assert document.value == {"a": ["echo pwned"], "b": "foo"}
    assert codes(document) == ["yaml-tag", "yaml-tag"]


def test_tabs_count_as_spaces_with_a_finding() -> None:
    document = yaml("a:\n\tb: 1\n\tc: 2\n\t\nd: 3\n")
    assert document.value == {"a": {"b": 1, "c": 2}, "d": 3}
    assert (document.findings[0].code, document.findings[0].line) == ("yaml-tab", 2)


@every_row(
    ("text", "value"),
    [
        ('{"a": 1, /* why */ "b": [1, 2,], // end\n}', {"a": 1, "b": [1, 2]}),
        ('// first\n{"a": 1}', {"a": 1}),
        ('{"a": }', {"a": None}),
        ('{"a": , "b": [1,,2]}', {"a": None, "b": [1, None, 2]}),
        ('{"a": 1 "b": 2}', {"a": 1, "b": 2}),
        ('{"a": "x\ty\nz"}', {"a": "x\ty\nz"}),
        ('{"a": True, "b": None}', {"a": True, "b": None}),
        ('{"a": NaN}', {"a": "NaN"}),
        ('{"a": "\\ud800", "b": "\\ud83d\\ude00"}', {"a": "\ufffd", "b": "😀"}),
        ("{a: 1, b: [x]}", {"a": 1, "b": ["x"]}),
    ],
)
def test_json_that_is_not_strict_is_read_with_a_finding(text: str, value: object) -> None:
    document = load("a.json", text.encode())
    assert document.value == value
    assert set(codes(document)) == {"not-strict-json"}
    assert all(one.line and one.column for one in document.findings)


@every_row(
    ("text", "line"),
    [
        ('{"a": 1\n', 2),
        ('{\n"a": "x', 2),
        ('{"a": 1}\n}', 2),
        ('{"a"\n "b"}', 2),
        ('["a"}', 1),
        ("a: [1\nb: 2", 2),
        ("a: b: c", 1),
        ("<html>\n<body>: a: b", 2),
        ("", 1),
        (" \n ", 1),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(text: str, line: int) -> None:
    document = load("a.json", text.encode())
    errors = [one for one in document.findings if one.severity == "error"]
    assert document.value is None
    assert [one.line for one in errors] == [line]


@every_row("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_reads_the_encodings_of_json(encoding: str) -> None:
    document = load("a.json", '{"ä": "日本"}'.encode(encoding))
    assert document.value == {"ä": "日本"}
    assert codes(document) == ([] if encoding.startswith("utf-8") else ["encoding"])


def test_other_encodings_are_read_as_windows_1252_with_a_finding() -> None:
    document = load("a.yaml", "a: 1\nb: Brønnøysund\n".encode("latin-1"))
    assert document.value == {"a": 1, "b": "Brønnøysund"}
    assert (document.findings[0].code, document.findings[0].line) == ("encoding", 2)


def test_control_characters_in_yaml_become_spaces() -> None:
    document = load("a.yaml", b"a: 'x\x00y'\n")
    assert document.value == {"a": "x y"}
    assert codes(document) == ["control-character"]


def test_only_the_first_yaml_document_is_read() -> None:
    document = yaml("---\na: 1\n---\nb: 2\n")
    assert document.value == {"a": 1}
    assert codes(document) == ["several-documents"]


def test_a_key_that_is_no_text_is_left_out() -> None:
    document = yaml("? [1, 2]\n: x\na: 1\n")
    assert document.value == {"a": 1}
    assert codes(document) == ["yaml-key"]


def test_size_is_bounded() -> None:
    assert load("a.json", b"[1,2,3]", max_bytes=3).findings[0].code == "too-large"


def test_findings_of_one_code_are_bounded() -> None:
    document = yaml("a: 1\n" * 1000)
    assert len(document.findings) < 60
    assert "more of these" in document.findings[-1].message


@every_row(
    "text",
    [
        '{\n "paths": {\n  "/a/{b}": {"get": [1,\n   {"x": 2}]}}}',
        'paths:\n  x: [1]\n  "/a/{b}":\n    get:\n    - 1\n    - x: 2\n',
        '{ // comment\n "paths":\n {"/a/{b}": {"get": [1,\n {"x": 2}]}}}',
    ],
)
def test_locates_pointers_and_the_nearest_ancestor_of_nothing(text: str) -> None:
    document = yaml(text)
    lines = text.split("\n")
    line, column = document.locate("/paths/~1a~1{b}/get/1/x")
    assert lines[line - 1][column - 1 :].lstrip('"').startswith("x")
    line, column = document.locate("/paths/~1a~1{b}")
    assert lines[line - 1][column - 1 :].startswith('"/a/{b}')
    assert document.locate("/paths/~1a~1{b}/nope/deeper") == (line, column)
    assert document.locate("") == (1, 1)


texts = st.text(st.characters(exclude_categories=["Cs"]))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@examples(60)
@given(json_values.filter(lambda value: isinstance(value, dict | list)))
def test_reads_every_json_value_as_the_standard_library_does(value: object) -> None:
    assert load("a.json", json.dumps(value).encode()).value == value


@examples(150)
@given(st.binary(max_size=60) | st.text(alphabet='{}[]":,#-&*!|>?%@`\n\t a1', max_size=40).map(str.encode))
def test_never_raises(data: bytes) -> None:
    document = load("a", data)
    json.dumps(document.value)


def test_odd_merges_keys_and_anchors() -> None:
    document = yaml("&k a: 1\n*k : 2\nb: {<<: 7, x: 1}\n? {c: [1]}\n: y\n")
    assert document.value == {"a": 2, "b": {"x": 1}}
    assert set(codes(document)) == {"duplicate-key", "yaml-merge", "yaml-key"}


def test_findings_about_depth_and_json_are_bounded() -> None:
    deep = "[" * 300 + "]" * 300
    assert codes(yaml("[" + ",".join([deep] * 60) + "]")).count("too-deep") == 50
    assert len(load("a.json", b"[" + b"," * 500 + b"]").findings) == 50


@every_row("text", ['{"a": 1' + "1" * 500 + "x}", '{"a": "\\q"}', '{"a": <b>}', '{"a" 1}', "[1}", "]"])
def test_json_that_makes_no_sense_is_refused_or_read_as_yaml(text: str) -> None:
    document = load("a.json", text.encode())
    assert codes(document)[0] in {"unreadable", "not-strict-json"}
    assert document.findings[0].line == 1


def test_locating_walks_past_odd_keys() -> None:
    document = yaml("? [1, {x: 2}]\n: {y: 3}\n*nope : 1\na:\n  b: 1\n")
    assert document.locate("/a/b") == (5, 3)
    assert document.places([]) == {}


def test_the_number_of_values_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, most in (("MAX_VALUES", 400), ("MAX_YAML", 200), ("MAX_LENIENT", 100)):
        monkeypatch.setattr(sys.modules["actions.specs.load"], name, most)
    for text, most in (("- a\n" * 300, 200), ("[" + "1," * 500 + "1]", 400), ("[" + "1," * 300 + ",]", 100)):
        finding = yaml(text).findings[-1]
        assert (finding.severity, finding.line > 0) == ("error", True)
        assert f"more than {most} " in finding.message
    assert yaml("- a\n" * 100).findings == ()


def test_what_is_read_twice_is_counted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["actions.specs.load"], "MAX_YAML", 200)
    assert yaml("k: v\n" * 40 + "a:\n\tl: v\n").value == {"k": "v", "a": {"l": "v"}}
    assert "more than 200 " in yaml("k: v\n" * 80 + "a:\n\tl: v\n").findings[-1].message


def test_the_number_of_anchors_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["actions.specs.tree"], "MAX_ANCHORS", 100)
    text = "".join(f"- &a{number} x\n" for number in range(200))
    assert "anchors" in yaml(text).findings[-1].message
    assert yaml(text[: text.index("- &a100 ")]).findings == ()


@every_row("data", [b"\x1f\x8b\x08\x00", b"PK\x03\x04x", b"%PDF-1.7", b"\x89PNG\r\n", b"\xff\xd8\xff\xe0"])
def test_what_is_no_text_is_called_by_its_name(data: bytes) -> None:
    finding = load("a.json", data).findings[-1]
    assert (finding.severity, finding.line) == ("error", 1)
    assert finding.message.endswith("not JSON or YAML")


@every_row(("name", "told"), [("a.yml", []), ("a.YAML", []), ("a.json", ["not-strict-json"])])
def test_braces_in_a_file_that_says_it_is_yaml_are_nothing_to_tell_of(name: str, told: list[str]) -> None:
    document = load(name, b"{a: [1, 'b']}")
    assert document.value == {"a": [1, "b"]}
    assert codes(document) == told

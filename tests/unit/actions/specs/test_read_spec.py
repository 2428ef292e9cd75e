"""The door to all formats: which reader reads, and what is said when none does."""

import json

from actions.specs import read_spec
from tests.tables import every_row

OPENAPI = b"openapi: 3.0.3\ninfo: {title: t, version: '1'}\npaths: {/a: {get: {responses: {}}}}\n"


@every_row(
    ("value", "code", "words"),
    [
        ({"swagger": "3.0", "paths": {}}, "unknown-version", "Swagger 3.0 is not read"),
        ({"swaggerVersion": "1.2"}, "unknown-version", "Swagger 1.2 is not read"),
        ({"openapi": "4.0"}, "unknown-version", "OpenAPI 4.0 is not read"),
        ({"asyncapi": "4.0.0"}, "unknown-version", "AsyncAPI 4.0.0 is not read"),
        (
            {"arazzo": "1.0.0", "info": {}},
            "no-description",
            "not an API description: it is a workflow (Arazzo)",
        ),
        ({"overlay": "1.0.0"}, "no-description", "it is an overlay of OpenAPI"),
        ({"name": "e", "values": [{"key": "a", "value": "b"}]}, "no-description", "a Postman environment"),
        ({"_postman_variable_scope": "globals"}, "no-description", "a Postman environment"),
        ({"properties": {"connectionParameters": {}}}, "no-definition", "there is no apiDefinition"),
        ({"connectorId": "c", "apiProperties": "p"}, "no-description", "settings of a Power Platform"),
        ({"info": {}, "paths": {}}, "no-description", "does not say which version"),
        ({"kind": "discovery#x", "discoveryVersion": "v1"}, "no-description", "Google discovery"),
        ({"log": {"entries": []}}, "no-description", "recording of HTTP traffic"),
        ({"_type": "export", "__export_format": 4}, "no-description", "export of Insomnia"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "no-description", "it is a JSON Schema"),
        ({"type": "object", "properties": {}}, "no-description", "it is a JSON Schema"),
        ({"a": 1}, "no-description", "not an API description: it holds 'a'"),
        ({}, "no-description", "it holds nothing"),
        ([], "no-description", "it is a list"),
        (None, "no-description", "it is null"),
        (7, "no-description", "it is a number"),
        ("x", "no-description", "it is text"),
        ("<html>", "no-description", "it is HTML or XML"),
    ],
)
def test_says_what_it_does_not_read(value: object, code: str, words: str) -> None:
    spec = read_spec({"a.json": json.dumps(value).encode()})
    assert not spec.readable
    assert spec.findings[-1].code == code
    assert words in spec.findings[-1].message
    assert (spec.findings[-1].file, spec.findings[-1].line) == ("a.json", 1)


@every_row("version", ["3.0", "3.0.0", "3.0.3", "3.1.0", "3.1.1", 3.0, 3.1])
def test_reads_every_spelling_of_3_0_and_3_1(version: object) -> None:
    spec = read_spec({"a.json": json.dumps({"openapi": version, "paths": {}}).encode()})
    assert spec.readable
    assert spec.dialect == f"openapi{str(version)[:3]}"


def test_finds_the_root_among_several_files() -> None:
    spec = read_spec({"b/other.yaml": b"a: 1", "README": b"hello", "z.yaml": OPENAPI})
    assert spec.readable
    assert list(spec.operations) == ["get_a"]


def test_a_named_root_is_the_only_one_tried() -> None:
    spec = read_spec({"a.yaml": OPENAPI, "b.yaml": b"a: 1"}, "b.yaml")
    assert [one.code for one in spec.findings] == ["no-description"]
    assert read_spec({"a.yaml": OPENAPI}, "c.yaml").findings[0].code == "no-such-file"


def test_no_file_is_no_description() -> None:
    assert not read_spec({}).readable


def test_an_unreadable_file_says_line_and_column() -> None:
    finding = read_spec({"a.yaml": b"openapi: 3.0.3\npaths: [\n"}).findings[0]
    assert (finding.severity, finding.file, finding.line > 0, finding.column > 0) == (
        "error",
        "a.yaml",
        True,
        True,
    )

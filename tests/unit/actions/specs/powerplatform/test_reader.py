"""The folder of a connector is one description, whichever of its files is read first."""

import json
from typing import Any

from actions.specs import read_spec
from actions.specs.files import NoFile
from actions.specs.load import Bundle, load
from actions.specs.powerplatform.reader import PowerPlatformReader
from tests.tables import every_row

DEFINITION: dict[str, Any] = {
    "swagger": "2.0", "info": {"title": "t"}, "host": "a.x", "schemes": ["https"],
    "paths": {"/o": {"get": {"operationId": "Get", "responses": {}}}},
}  # fmt: skip
PROPERTIES: dict[str, Any] = {
    "properties": {
        "connectionParameters": {"api_key": {"type": "securestring"}},
        "iconBrandColor": "#fff", "publisher": "p", "capabilities": ["actions"],
    }
}  # fmt: skip


def encoded(**files: Any) -> dict[str, bytes]:
    return {name: one if isinstance(one, bytes) else json.dumps(one).encode() for name, one in files.items()}


@every_row(
    ("definition", "properties"),
    [
        ("apiDefinition.swagger.json", "apiProperties.json"),
        ("apidefinition.swagger.json", "apiproperties.json"),
        ("apiDefination.swagger.json", "apiProperties.json"),
        ("CQC-Connector.swagger.json", "ApiProperties.json"),
        ("apiDefinition.json", "apiProperties.json"),
    ],
)
@every_row("first", [None, "definition", "properties"])
@every_row("folder", ["", "connectors/a b/"])
def test_a_folder_is_read_by_whatever_names(
    definition: str, properties: str, first: str | None, folder: str
) -> None:
    files = encoded(**{folder + definition: DEFINITION, folder + properties: PROPERTIES})
    root = {"definition": folder + definition, "properties": folder + properties}.get(first or "")
    spec = read_spec(files, root)
    assert spec.findings == ()
    assert list(spec.operations) == ["Get"]
    assert list(spec.parameters) == ["api_key"]
    assert spec.extras["power-platform"] == {
        "iconBrandColor": "#fff",
        "publisher": "p",
        "capabilities": ["actions"],
    }


class Unreadable(dict[str, bytes]):
    """Files of which one cannot be had."""

    def __getitem__(self, name: str) -> bytes:
        if name == "apiProperties.json":
            raise NoFile("is larger than 50 MB")
        return super().__getitem__(name)


def test_properties_that_cannot_be_had_are_named() -> None:
    files = Unreadable(
        encoded(**{"apiDefinition.swagger.json": DEFINITION, "apiProperties.json": PROPERTIES})
    )
    spec = read_spec(files, "apiDefinition.swagger.json")
    assert spec.readable
    assert [(one.severity, one.code, one.file) for one in spec.findings] == [
        ("warning", "unreadable", "apiProperties.json")
    ]


def test_files_of_other_folders_are_not_taken() -> None:
    spec = read_spec(
        encoded(**{"a/apiDefinition.swagger.json": DEFINITION, "b/apiProperties.json": PROPERTIES}),
        "a/apiDefinition.swagger.json",
    )
    assert spec.parameters == {}
    assert [(one.code, one.severity) for one in spec.findings] == [("no-properties", "info")]


def test_settings_name_the_definition_and_are_kept() -> None:
    settings = {"apiDefinition": "mine.json", "connectorId": "c"}
    spec = read_spec(
        encoded(**{"apiProperties.json": PROPERTIES, "mine.json": DEFINITION, "settings.json": settings}),
        "apiProperties.json",
    )
    assert list(spec.operations) == ["Get"]
    assert spec.extras["power-platform"]["settings"] == settings


def test_broken_properties_are_named_with_their_line_and_the_definition_is_read() -> None:
    files = encoded(
        **{"apiDefinition.swagger.json": DEFINITION, "apiProperties.json": b'{\n "properties": {\n'}
    )
    spec = read_spec(files)
    assert spec.readable
    assert list(spec.operations) == ["Get"]
    (found,) = spec.findings
    assert (found.severity, found.code, found.file) == ("warning", "unreadable", "apiProperties.json")
    assert found.line > 1


@every_row("root", [None, "apiProperties.json"])
def test_a_broken_definition_is_named_with_its_line(root: str | None) -> None:
    policy = {
        "templateId": "setheader",
        "title": "t",
        "parameters": {"x-ms-apimTemplateParameter.name": "A", "x-ms-apimTemplateParameter.value": "b"},
    }
    properties = {"properties": {**PROPERTIES["properties"], "policyTemplateInstances": [policy]}}
    files = encoded(
        **{"apiDefinition.swagger.json": b'{\n "swagger": "2.0"}}\n', "apiProperties.json": properties}
    )
    spec = read_spec(files, root)
    assert not spec.readable
    assert (spec.findings[0].file, spec.findings[0].line) == ("apiDefinition.swagger.json", 2)
    assert (list(spec.parameters), [one.template for one in spec.policies]) == (["api_key"], ["setheader"])


def test_properties_alone_are_no_description() -> None:
    for files in (
        {"apiProperties.json": PROPERTIES},
        {"apiProperties.json": PROPERTIES, "apiDefinition.json": {"openapi": "3.0.0"}},
    ):
        spec = read_spec(encoded(**files), "apiProperties.json")
        assert [(one.severity, one.code) for one in spec.findings] == [("error", "no-definition")]


@every_row(
    "properties",
    [
        7,
        [],
        {},
        {"properties": 7},
        {"properties": {"connectionParameters": [], "policyTemplateInstances": {}, "scriptOperations": 7}},
    ],
)
def test_odd_properties_never_stop_the_definition(properties: Any) -> None:
    spec = read_spec(encoded(**{"apiDefinition.swagger.json": DEFINITION, "apiProperties.json": properties}))
    assert list(spec.operations) == ["Get"]


@every_row(
    ("value", "known"),
    [
        (DEFINITION, False),
        ({**DEFINITION, "x-ms-capabilities": {}}, True),
        ({**DEFINITION, "paths": {"/h": {"post": {"x-ms-trigger": "single"}}}}, True),
        ({**DEFINITION, "paths": {"/h": {"x-ms-notification-content": {}}, "/i": 7}}, True),
        ({**DEFINITION, "paths": 7}, False),
        ({"$schema": "s", "properties": {"connectionParameters": {}}}, False),
    ],
)
def test_a_definition_alone_is_known_by_its_marks(value: Any, known: bool) -> None:
    document = load("a.json", json.dumps(value).encode())
    assert PowerPlatformReader().sniff(Bundle(root=document)) == known


def test_the_declared_way_to_try_a_connection_is_kept() -> None:
    declared = {"testConnection": {"operationId": "Get", "parameters": {"a": 1}}}
    spec = read_spec(encoded(**{"a.json": {**DEFINITION, "x-ms-capabilities": declared}}))
    assert spec.test is not None
    assert (spec.test.name, spec.test.arguments) == ("Get", {"a": 1})
    spec = read_spec(
        encoded(
            **{"a.json": {**DEFINITION, "x-ms-capabilities": {"testConnection": {"operationId": "Gett"}}}}
        )
    )
    assert spec.test is None
    assert spec.findings[0].message.endswith("did you mean Get?")


def test_misspelt_extensions_are_named_with_what_was_meant() -> None:
    parameter = {
        "name": "p",
        "in": "query",
        "type": "string",
        "x-ms-visibilty": "internal",
        "x-ms-summary title": "s",
        "x-ms-mine": 1,
        "default": {"x-ms-sumary": 1},
    }
    operation = {"operationId": "Get", "parameters": [parameter, {**parameter, "name": "q"}], "responses": {}}
    definitions = {"A": {"properties": {"x-ms-visibilty": {"type": "string"}}}}
    spec = read_spec(
        encoded(
            **{
                "a.json": {
                    **DEFINITION,
                    "x-ms-capabilities": {},
                    "paths": {"/o": {"get": operation}},
                    "definitions": definitions,
                }
            }
        )
    )
    said = {one.message for one in spec.findings if one.code == "extension"}
    assert said == {
        "the extension 'x-ms-visibilty' is not known, 2 times; did you mean x-ms-visibility?",
        "the extension 'x-ms-summary title' is not known, 2 times; did you mean x-ms-summary?",
    }

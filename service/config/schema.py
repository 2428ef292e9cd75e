"""The JSON Schema of the configuration file, for editors.

The schema is made from the models, so it says what they say: only references between resources, files and
expressions are beyond it.
"""

from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from service.config.check import source_config
from service.config.include import SECTIONS
from service.config.model import Configuration
from service.config.values import NAME_PATTERN
from triggers import SOURCES

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_SECRET: Final = {
    "title": "A reference to a secret",
    "description": "{env: NAME} takes it from the environment, {file: path} from a file, {sealed: text} is "
    "made by `pointsman secrets seal`; never plain.",
    "examples": [{"env": "SHOP_TOKEN"}, {"file": "/run/secrets/shop-token"}],
    "oneOf": [
        {
            "type": "object",
            "properties": {"env": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}},
            "required": ["env"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {"file": {"type": "string", "minLength": 1}},
            "required": ["file"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {"sealed": {"type": "string", "pattern": r"^pm1\.[0-9a-f]{8}\.[A-Za-z0-9_-]+$"}},
            "required": ["sealed"],
            "additionalProperties": False,
        },
    ],
}
_REFERENCE: Final = {"$ref": "#/$defs/SecretReference"}


def configuration_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a configuration file."""
    sources: dict[str, type[BaseModel]] = {kind: source_config(kind) for kind in SOURCES}
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [(Configuration, "validation")]
    wanted += [(model, "validation") for model in sources.values()]
    refs, made = models_json_schema(wanted, ref_template="#/$defs/{model}")
    definitions: dict[str, Any] = made["$defs"]
    kinds = []
    for kind, model in sources.items():
        reference = refs[(model, "validation")]
        definition = definitions[reference["$ref"].removeprefix("#/$defs/")]
        definition["required"] = sorted({*definition.get("required", ()), "kind"})
        definition["properties"]["kind"] |= {"const": kind}
        kinds.append(reference)
    root = definitions.pop(refs[(Configuration, "validation")]["$ref"].removeprefix("#/$defs/"))
    for section in SECTIONS:
        _close_section(root["properties"][section], kinds if section == "sources" else None)
    schema = {"$schema": DIALECT, **root, "title": "Pointsman configuration", "$defs": definitions}
    _tighten(schema)
    definitions["SecretReference"] = _SECRET
    used = set(_references(schema))
    schema["$defs"] = {name: part for name, part in definitions.items() if name in used}
    return schema


def _close_section(section: dict[str, Any], kinds: list[Any] | None) -> None:
    """Make a section take good names only, and nothing at all: `rules:` alone is fine."""
    patterns = section.pop("patternProperties", {})
    member = {"oneOf": kinds} if kinds is not None else next(iter(patterns.values()), None)
    section.pop("propertyNames", None)
    section["type"] = ["object", "null"]
    section["patternProperties"] = {NAME_PATTERN: member or section.get("additionalProperties")}
    section["additionalProperties"] = False


def _tighten(part: Any) -> None:
    """Replace, in place, every secret text by a reference to one, and close mappings with patterned keys."""
    if isinstance(part, dict) and "patternProperties" in part:
        part.setdefault("additionalProperties", False)
    members = list(part.items()) if isinstance(part, dict) else list(enumerate(part))
    for key, value in members:
        if not isinstance(value, (dict, list)):
            continue
        if isinstance(value, dict) and value.get("writeOnly") is True and value.get("format") == "password":
            described = {"description": value["description"]} if "description" in value else {}
            part[key] = {**_REFERENCE, **described}
        else:
            _tighten(value)


def _references(part: Any) -> Iterator[str]:
    """Yield the names of all definitions that are referred to."""
    for key, value in part.items() if isinstance(part, dict) else enumerate(part):
        if key == "$ref":
            yield value.removeprefix("#/$defs/")
        elif isinstance(value, (dict, list)):
            yield from _references(value)

"""Brings a Spec of any format into the form that OpenAPI 3.1 gives it, whatever its own format was.

Schemas are in the words of 3.1 and refer to `#/components/schemas/…` alone; examples stand where they are
used. What the original text alone needs is gone: pointers, findings, parts that were read into others.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

from actions.exporting.schemas import Modern
from actions.specs.events import escape
from actions.specs.model import (
    Body,
    ConnectionParameter,
    Media,
    Operation,
    Parameter,
    Response,
    Spec,
    Trigger,
)
from actions.specs.references import Registry, Unresolved

CONTENT: Final = "x-ms-notification-content"
_STRUCTURE: Final = frozenset({"x-ms-paths", "x-webhooks"})
"""Extensions that were read into operations and triggers."""
_EXAMPLE: Final = frozenset({"summary", "description", "value", "externalValue"})
_HEADER: Final = frozenset(
    {"description", "required", "deprecated", "style", "explode", "example", "examples"}
)

Part = TypeVar("Part", Operation, Trigger)


def normal(spec: Spec) -> Spec:
    """Return the same description in the form of an export; its registry holds nothing but its schemas.

    Defaults of secrets are left out: an export is made to be given away.
    """
    return _Normal(spec).spec()


class _Normal:
    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._modern = Modern(spec.registry, spec.dialect)
        self._modern.library(_library(spec.registry.root))

    def spec(self) -> Spec:
        spec = self._spec
        operations = {name: self._operation(one) for name, one in spec.operations.items()}
        triggers = {name: self._trigger(one) for name, one in spec.triggers.items()}
        self._modern.finish()
        if self._modern.unresolved:
            operations = {
                name: replace(one, degraded=spec.degradations(spec.operations[name]))
                for name, one in operations.items()
            }
        schemas = dict(sorted(self._modern.schemas.items()))
        return replace(
            spec,
            operations=operations,
            triggers=triggers,
            parameters={name: _without_secret(one) for name, one in spec.parameters.items()},
            policies=tuple(replace(one, pointer="") for one in spec.policies),
            extras={name: one for name, one in spec.extras.items() if name not in _STRUCTURE},
            registry=Registry({"components": {"schemas": schemas}}),
            findings=(),
        )

    def _operation(self, one: Operation) -> Operation:
        responses = {status: self._response(answer) for status, answer in one.responses.items()}
        return replace(self._part(one), responses=responses)

    def _trigger(self, one: Trigger) -> Trigger:
        return self._part(one)

    def _part(self, one: Part) -> Part:
        return replace(
            one,
            parameters=tuple(self._parameter(input_) for input_ in one.parameters),
            body=None if one.body is None else self._body(one.body),
            pointer="",
            extras=self._extras(one.extras),
        )

    def _parameter(self, one: Parameter) -> Parameter:
        return replace(one, schema=self._modern.schema(one.schema))

    def _body(self, one: Body) -> Body:
        return replace(one, media=tuple(self._media(media) for media in one.media))

    def _response(self, one: Response) -> Response:
        headers = {name: self._modern.schema(schema) for name, schema in one.headers.items()}
        return replace(one, media=tuple(self._media(media) for media in one.media), headers=headers)

    def _media(self, one: Media) -> Media:
        encoding = {
            name: self._encoding(said) for name, said in one.encoding.items() if isinstance(said, dict)
        }
        examples = dict(self._examples(one.examples))
        return replace(one, schema=self._modern.schema(one.schema), encoding=encoding, examples=examples)

    def _encoding(self, value: Mapping[str, Any]) -> dict[str, Any]:
        headers = value.get("headers")
        made = {name: one for name, one in value.items() if name != "headers"}
        if isinstance(headers, dict):
            made["headers"] = {name: self._header(one) for name, one in headers.items()}
        return made

    def _header(self, value: Any) -> dict[str, Any]:
        found = self._spec.registry.schema(value)
        kept = {name: one for name, one in found.items() if name in _HEADER or name.startswith("x-")}
        return {**kept, "schema": self._modern.schema(found.get("schema", {}))}

    def _examples(self, examples: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the examples that show something, without what no example can say."""
        for name, one in examples.items():
            try:
                found = self._spec.registry.follow(one)
            except Unresolved:
                continue
            if not isinstance(found, dict) or not {"value", "externalValue"} & found.keys():
                continue
            made = {
                word: part
                for word, part in found.items()
                if (word in _EXAMPLE or word.startswith("x-")) and (word == "value" or isinstance(part, str))
            }
            if "value" in made:
                made.pop("externalValue", None)
            yield name, made

    def _extras(self, extras: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return extras; in one of them a schema stands."""
        if CONTENT not in extras:
            return extras
        try:
            content = self._spec.registry.follow(extras[CONTENT])
        except Unresolved:
            content = {}
        made = dict(content) if isinstance(content, dict) else {}
        if "schema" in made:
            made["schema"] = self._modern.schema(made["schema"])
        return {**extras, CONTENT: made}


def _library(root: Any) -> Iterator[str]:
    """Yield references to the schemas that a description keeps under a name, used or not."""
    components = root.get("components") if isinstance(root, dict) else None
    for start, holder, key in (
        ("#/components/schemas", components, "schemas"),
        ("#/definitions", root, "definitions"),
    ):
        named = holder.get(key) if isinstance(holder, dict) else None
        for name, schema in named.items() if isinstance(named, dict) else ():
            if isinstance(schema, dict | bool):
                yield f"{start}/{escape(name)}"


def _without_secret(one: ConnectionParameter) -> ConnectionParameter:
    if one.kind not in ("secret", "oauth"):
        return one
    extras = {name: part for name, part in one.extras.items() if name != "defaultValue"}
    shown = extras.get("uiDefinition")
    if isinstance(shown, dict) and isinstance(shown.get("constraints"), dict):
        told = {name: part for name, part in shown["constraints"].items() if name != "default"}
        extras["uiDefinition"] = {**shown, "constraints": told}
    return replace(one, default=None, extras=extras)

"""The parts of an operation of Swagger 2.0: parameters, body, form, answers.

A Draft reads them for one operation. Swagger writes a body and the fields of a form as parameters, and their
media types apart from both; here they become one Body, as OpenAPI 3 writes it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from actions.specs.model import (
    Body,
    Location,
    Media,
    Parameter,
    Response,
    Schema,
    Style,
    media_kind,
)
from actions.specs.paths import MEDIA_TYPE, TEMPLATE, Merged, fit_path, is_own_header, sendable
from actions.specs.reading import Sketch, extras, preferred, text
from actions.specs.references import Unresolved

_PLACES: Final = {
    "path": "path",
    "query": "query",
    "header": "header",
    "cookie": "cookie",
    "body": "body",
    "formdata": "formData",
    "form": "formData",
}
_LOCATIONS: Final[tuple[Location, ...]] = ("path", "query", "header", "cookie")
_KEYWORDS: Final = (
    *("type", "format", "items", "default", "example", "enum", "multipleOf", "pattern", "x-nullable"),
    *("maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "maxLength", "minLength"),
    *("maxItems", "minItems", "uniqueItems"),
)
"""Words of a parameter that belong to the schema of its value."""
_DELIMITED: Final[dict[str, Style]] = {
    "ssv": "spaceDelimited",
    "tsv": "tabDelimited",
    "pipes": "pipeDelimited",
}
_BINARY: Final = {"type": "string", "format": "binary"}
_FORM: Final = "application/x-www-form-urlencoded"
_MULTIPART: Final = "multipart/form-data"

_Entry = tuple[dict[str, Any], str]
"""A parameter behind its references, and the pointer to where it is used."""


@dataclass(slots=True)
class Draft(Sketch):
    """What stands in an operation of Swagger 2, part by part."""

    consumes: tuple[str, ...] = ()
    produces: tuple[str, ...] = ()

    def inputs(
        self, path: str, item: Mapping[str, Any], value: Mapping[str, Any]
    ) -> tuple[tuple[Parameter, ...], Body | None]:
        """Read the parameters of a path item and of what stands on it; the latter win."""
        found: dict[tuple[str, str], _Entry] = {}
        item_pointer = self.pointer.rpartition("/")[0]
        for holder, pointer in ((item, item_pointer), (value, self.pointer)):
            found.update(self._listed(holder.get("parameters"), f"{pointer}/parameters", path))
        merged: Merged = {}
        fields: dict[str, _Entry] = {}
        body: _Entry | None = None
        for (name, place), entry in found.items():
            location = next((one for one in _LOCATIONS if one == place), None)
            if location:
                if location == "header" and self._is_own(name, entry[0], value):
                    continue
                required = location == "path" or self._required(*entry)
                if sendable(self, name, location, entry[1], required=required):
                    merged[name, location] = self._parameter(name, location, *entry)
            elif place == "body":
                body = entry
            else:
                fields[name] = entry
        fit_path(self, path, merged)
        return tuple(merged.values()), self._body(body, fields)

    def _is_own(self, name: str, header: Mapping[str, Any], operation: Mapping[str, Any]) -> bool:
        """Say whether a header is none of the arguments. Content-Type tells what the body is sent as."""
        word = (
            name.partition(":")[0].strip().lower()
        )  # `Content-Type:` and `Content-Type: text/xml` do happen
        if word != "content-type":
            return word != "accept" and is_own_header(word)
        declared = _declared(header)
        if "consumes" in operation:  # then it is one more
            self.consumes = tuple(dict.fromkeys((*declared, *self.consumes)))
        else:
            self.consumes = declared or self.consumes
        return word != name.lower() or not declared

    def _listed(self, value: Any, pointer: str, path: str) -> dict[tuple[str, str], _Entry]:
        """Return the parameters of one list by name and place; a body needs no name."""
        value = self.reading.behind(value)
        if value is not None and not isinstance(value, list):
            self.refuse("`parameters` is not an array")
            return {}
        found: dict[tuple[str, str], _Entry] = {}
        for index, entry in enumerate(value or ()):
            at = f"{pointer}/{index}"
            try:
                one = self.reading.registry.follow(entry)
            except Unresolved as reason:
                self.degrade("parameter", f"a parameter {reason}; left out", at)
                continue
            if not isinstance(one, dict):
                self.degrade("parameter", "a parameter is not an object; left out", at)
                continue
            name, place = text(one.get("name")), self._place(one, path, at)
            if place == "body" and ("", "body") in found:
                self.degrade("several-bodies", f"the body {name[:80]} is one too many; left out", at)
            elif place == "body":
                found["", "body"] = (one, at)
            elif name and place:
                found[name, place] = (one, at)
            else:
                shown = text(one.get("in"))[:40]
                left_out = f"the parameter {name[:80]!r} in {shown!r} is no parameter of Swagger 2; left out"
                self.degrade("parameter", left_out, at)
                if one.get("required") is True:
                    self.refuse(f"the required parameter {name[:80]!r} in {shown!r} cannot be sent")
        return found

    def _place(self, value: Mapping[str, Any], path: str, pointer: str) -> str:
        """Return where a parameter stands, forgiving how it is spelt."""
        written = text(value.get("in"))
        place = _PLACES.get(written.strip().lower(), "")
        if not written and text(value.get("name")) in TEMPLATE.findall(path.partition("#")[0]):
            place = "path"
        if place and (place != written or place == "cookie"):
            message = f"{self.name}: a parameter stands in {written[:40]!r}; read as {place}"
            self.reading.add("parameter-place", message, pointer, severity="info")
        return place

    def _parameter(self, name: str, location: Location, value: dict[str, Any], pointer: str) -> Parameter:
        schema = self._schema(value, pointer)
        style, explode = self._style(name, location, value, schema, pointer)
        content_type = ""
        if "object" in _types(schema):
            message = f"{self.name}: {name} is an object, which Swagger 2 cannot send; sent as JSON text"
            self.reading.add("object-parameter", message, pointer, severity="info")
            content_type = "application/json"
        empty = {"allowEmptyValue": value["allowEmptyValue"]} if "allowEmptyValue" in value else {}
        return Parameter(
            name=name,
            location=location,
            required=location == "path" or self._required(value, pointer),
            schema=schema,
            style=style,
            explode=explode,
            allow_reserved=value.get("x-ms-skip-url-encoding") is True
            or value.get("x-reservedExpansion") is True,
            content_type=content_type,
            twice_encoded=value.get("x-ms-url-encoding") == "double",
            deprecated=value.get("deprecated") is True or value.get("x-deprecated") is True,
            description=text(value.get("description")),
            extras={**extras(value), **empty},
        )

    def _required(self, value: Mapping[str, Any], pointer: str) -> bool:
        written = value.get("required")
        if written is None or isinstance(written, bool):
            return written is True
        required = text(written).strip().lower() in {"true", "1", "yes"}
        message = f"{self.name}: `required` is {text(written)[:40]!r}; read as {str(required).lower()}"
        self.reading.add("required", message, f"{pointer}/required")
        return required

    def _schema(self, value: Mapping[str, Any], pointer: str) -> dict[str, Any]:
        """Return the schema of the value of a parameter, which stands among the words of the parameter."""
        nested = value.get("schema")
        if isinstance(nested, dict) and "type" not in value:
            message = f"{self.name}: the schema of this parameter stands under `schema`, as in OpenAPI 3"
            self.reading.add("parameter-schema", message, pointer, severity="info")
            return nested
        schema = {key: value[key] for key in _KEYWORDS if key in value}
        if schema.get("type") == "file":
            return {**schema, **_BINARY}
        if isinstance(schema.get("default"), str) and value.get("in") == "header":
            schema["default"] = schema["default"].strip()  # what stands around a header is no part of it
        items, enum = schema.get("items"), schema.get("enum")
        if (
            "array" in _types(schema)
            and isinstance(enum, list)
            and not any(isinstance(one, list) for one in enum)
        ):
            # The commonest slip with lists: the values allowed stand beside `items`, not inside.
            schema["items"] = {**(items if isinstance(items, dict) else {}), "enum": enum}
            del schema["enum"]
        return schema

    def _style(
        self, name: str, location: str, value: Mapping[str, Any], schema: Mapping[str, Any], pointer: str
    ) -> tuple[Style, bool]:
        """Return how a list is written, `collectionFormat` in the words of OpenAPI 3."""
        form = location in {"query", "cookie", "formData"}
        plain: Style = "form" if form else "simple"
        if "array" not in _types(schema):
            return plain, form
        written = value.get("collectionFormat", "csv")
        if written == "multi" and form:
            return plain, True
        if not isinstance(written, str) or written not in {"csv", *_DELIMITED}:
            reason = (
                f"the collectionFormat {text(written)[:40]!r} does not fit {name} in {location}; sent as csv"
            )
            self.degrade("collection-format", reason, pointer)
            written = "csv"
        return _DELIMITED.get(written, plain), False

    # Bodies

    def _body(self, body: _Entry | None, fields: Mapping[str, _Entry]) -> Body | None:
        kinds = {media_kind(one) for one in self.consumes}
        if body and fields:
            form_wins = bool(kinds) and kinds <= {"form", "multipart"}
            kept, lost = ("form fields", "body") if form_wins else ("body", "form fields")
            reason = f"has a body and form fields, which exclude each other; the {lost} are left out"
            self.degrade("body-and-form", reason.replace("body are", "body is"), self.pointer)
            return self._form(fields) if kept == "form fields" else self._whole(*body)
        if body:
            return self._whole(*body)
        return self._form(fields) if fields else None

    def _whole(self, value: dict[str, Any], pointer: str) -> Body:
        """Read the parameter in `body`; its name is not sent."""
        schema = value.get("schema")
        if not isinstance(schema, dict | bool):
            schema = self._schema(value, pointer)
        if _is_stream(self.reading.registry.schema(schema)):
            types = [one for one in self.consumes if media_kind(one) not in {"json", "form", "multipart"}]
            types = types or ["application/octet-stream"]
            schema = (
                {key: one for key, one in schema.items() if key != "$ref"} if isinstance(schema, dict) else {}
            )
            schema |= _BINARY
        else:
            types = self._fitting(schema, pointer)
        examples = _examples(value)
        return Body(
            media=preferred(
                Media(type=one, schema=schema, examples=examples.get(one, examples.get("", {})))
                for one in types
            ),
            required=self._required(value, pointer),
            description=text(value.get("description")),
            extras={**extras(value), "name": text(value.get("name"))},
        )

    def _fitting(self, schema: Schema, pointer: str) -> list[str]:
        """Return the media types of a body, without forms when its schema is no object."""
        types = list(self.consumes)
        shape = _types(self.reading.registry.schema(schema)) - {"null"}
        if shape and "object" not in shape:
            types = [one for one in types if media_kind(one) not in {"form", "multipart"}]
            if self.consumes and not types:
                message = f"{self.name}: the body is no object, hence no form; sent as JSON"
                self.reading.add("consumes", message, pointer, severity="info")
        return types or ["application/json"]

    def _form(self, fields: Mapping[str, _Entry]) -> Body:
        """Read the parameters in `formData` as one object."""
        properties: dict[str, Any] = {}
        required, encoding = [], {}
        has_file = False
        for name, (value, pointer) in fields.items():
            schema = self._schema(value, pointer)
            has_file = has_file or value.get("type") == "file"
            described = {"description": value["description"]} if "description" in value else {}
            properties[name] = {**schema, **described, **extras(value)}
            if self._required(value, pointer):
                required.append(name)
            if "array" in _types(schema):
                style, explode = self._style(name, "formData", value, schema, pointer)
                encoding[name] = {"style": style, "explode": explode}
        whole: dict[str, Any] = {"type": "object", "properties": properties}
        if required:
            whole["required"] = required
        types = self._form_types(has_file=has_file)
        return Body(
            media=preferred(Media(type=one, schema=whole, encoding=encoding) for one in types),
            required=bool(required),
        )

    def _form_types(self, *, has_file: bool) -> list[str]:
        fit = {"multipart"} if has_file else {"form", "multipart"}
        types = [one for one in self.consumes if media_kind(one) in fit]
        if types:
            return types
        chosen = _MULTIPART if has_file else _FORM
        if self.consumes:
            message = f"{self.name}: form fields cannot be sent as {self.consumes[0][:60]}; sent as {chosen}"
            self.reading.add("consumes", message, self.pointer, severity="info")
        return [chosen]

    # Answers

    def responses(self, value: Any) -> dict[str, Response]:
        """Read `responses`, by status as written."""
        responses = {}
        for status, at, response in self.each_response(value):
            headers = self.reading.mapping(response.get("headers"), f"{at}/headers")
            responses[status] = Response(
                media=self._media(response, at),
                headers={name: self._header(header, at) for name, header in headers.items()},
                description=text(response.get("description")),
                extras=extras(response),
            )
        return responses

    def _media(self, response: Mapping[str, Any], pointer: str) -> tuple[Media, ...]:
        examples = self.reading.mapping(response.get("examples"), f"{pointer}/examples")
        shown = {name: {"example": {"value": one}} for name, one in examples.items() if "/" in name}
        schema = response.get("schema")
        if isinstance(schema, dict) and schema.get("type") == "file":
            files = [one for one in self.produces if media_kind(one) != "json"]
            types, schema = files or ["application/octet-stream"], {**schema, **_BINARY}
        elif schema is not None:
            types = list(self.produces) or ["application/json"]
        else:
            types, schema = list(shown), {}
        schema = schema if isinstance(schema, dict | bool) else {}
        media = (
            Media(type=one, schema=schema, examples=shown.get(one, {}))
            for one in types
            if MEDIA_TYPE.fullmatch(one)
        )
        return preferred(media)

    def _header(self, value: Any, pointer: str) -> Schema:
        try:
            found = self.reading.registry.follow(value)
        except Unresolved:
            return {}
        if not isinstance(found, dict):
            return {}
        described = {"description": found["description"]} if "description" in found else {}
        return {**self._schema(found, pointer), **described}


def _is_stream(schema: Mapping[str, Any]) -> bool:
    """Say whether a body is bytes: a file, a binary text, or Azure's object in the format `file`."""
    kinds = _types(schema)
    return (
        "file" in kinds
        or (kinds <= {"string"} and schema.get("format") == "binary")
        or (kinds <= {"object"} and schema.get("format") == "file" and not schema.get("properties"))
    )


def media_types(values: Iterable[Any]) -> tuple[str, ...]:
    """Return what can be sent as media types, each once."""
    texts = (text(one).strip() for one in values)
    return tuple(dict.fromkeys(one for one in texts if "/" in one and MEDIA_TYPE.fullmatch(one)))


def _declared(header: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the media types that a Content-Type among the parameters names."""
    default, enum = header.get("default"), header.get("enum")
    return media_types([default]) or media_types(enum if isinstance(enum, list) else ())


def _types(schema: Schema) -> set[str]:
    declared = schema.get("type") if isinstance(schema, Mapping) else None
    names = declared if isinstance(declared, list) else [declared]
    return {one for one in names if isinstance(one, str)}


def _examples(value: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the examples of a body by media type; those for any media type under an empty name."""
    found: dict[str, dict[str, Any]] = {}
    if "x-example" in value:
        found[""] = {"example": {"value": value["x-example"]}}
    listed = value.get("x-examples")
    for name, one in listed.items() if isinstance(listed, dict) else ():
        if "/" in name:
            found[name] = {"example": {"value": one}}
    return found

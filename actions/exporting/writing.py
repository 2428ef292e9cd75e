"""Writes a normal Spec as an OpenAPI 3.1 document: what OpenAPI can say of it, and nothing else.

Every operation and trigger gets a place in the document, also where OpenAPI has none of its kind: a method
that path items do not know stands as POST, a second operation of the same path behind a `#`. What is then
not as it was is the business of whoever compares (`export`).
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from actions.specs.events import escape
from actions.specs.model import (
    LOCATIONS,
    Body,
    Media,
    Operation,
    Parameter,
    Response,
    Security,
    SecurityScheme,
    Server,
    Spec,
    Trigger,
)
from actions.specs.reading import EXTENSION, METHODS

VERSION: Final = "3.1.0"
STYLES: Final[Mapping[str, tuple[str, ...]]] = {
    "path": ("simple", "label", "matrix"),
    "query": ("form", "spaceDelimited", "pipeDelimited", "deepObject"),
    "header": ("simple",),
    "cookie": ("form",),
}
_ENCODED: Final = ("contentType", "headers", "style", "explode", "allowReserved")
_FLOWS: Final[Mapping[str, tuple[str, ...]]] = {
    "implicit": ("authorizationUrl",),
    "password": ("tokenUrl",),
    "clientCredentials": ("tokenUrl",),
    "authorizationCode": ("authorizationUrl", "tokenUrl"),
}
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")
_STATUSES: Final = frozenset({"default", *(f"{one}XX" for one in range(1, 6)), *map(str, range(100, 600))})

Json = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Written:
    """A document, and by pointer what was written where; triggers without a place are in `homeless`.

    `keys` are those of the security schemes, by their names.
    """

    document: Json
    operations: dict[str, Operation] = field(default_factory=dict)
    triggers: dict[str, Trigger] = field(default_factory=dict)
    homeless: list[Trigger] = field(default_factory=list)
    keys: Mapping[str, str] = field(default_factory=dict)


def write(spec: Spec) -> Written:
    """Write a description that `normal` made."""
    securities = {one.security for one in spec.operations.values()}
    common = next(iter(securities)) if len(securities) == 1 else ()
    keys = _keys(spec.security_schemes)
    names = Counter(one.name for one in spec.operations.values())
    paths: Json = {}
    webhooks: Json = {}
    document = {
        "openapi": VERSION,
        "info": {"title": spec.title, **_said("description", spec.description), "version": spec.version},
        **_said("servers", [_server(one) for one in spec.servers]),
        **({"security": _security(common, keys)} if common else {}),
        "paths": paths,
        "webhooks": webhooks,
        "components": _components(spec, keys),
        **_x(spec.extras),
    }
    written = Written(document=document, keys=keys)
    places: dict[str, Json] = {}
    for name, one in spec.operations.items():
        pointer, places[name] = _place(paths, one)
        written.operations[pointer] = one
        own = one.name if names[one.name] == 1 else one.id if one.name else ""
        places[name] |= _operation(one, own)
        if one.security and not common:
            places[name]["security"] = _security(one.security, keys)
    where = {one.id: pointer for pointer, one in written.operations.items()}
    for trigger in spec.triggers.values():
        if trigger.kind == "poll":
            written.homeless.append(trigger)
            continue
        above = where.get(trigger.operation) if trigger.kind in ("callback", "notification") else None
        if above is None:
            pointer, holder = _hook(webhooks, "/webhooks", trigger)
        else:
            callbacks = places[trigger.operation].setdefault("callbacks", {})
            pointer, holder = _hook(callbacks, f"{above}/callbacks", trigger, _expression(trigger.address))
        written.triggers[pointer] = trigger
        holder |= _trigger(trigger)
        if trigger.security:
            holder["security"] = _security(trigger.security, keys)
    for empty in ("webhooks", "components"):
        if not document[empty]:
            del document[empty]
    return written


# Places


def _method(name: str) -> str:
    return name.lower() if name.isupper() and name.lower() in METHODS else "post"


def _place(paths: Json, one: Operation) -> tuple[str, Json]:
    """Return a free place for an operation. What stands behind `#` in a path is never sent."""
    method = _method(one.method)
    path = one.path if one.path.startswith("/") else f"/{one.path}"
    wanted, count = path, 1
    while method in paths.get(path, {}):
        path = f"{wanted.partition('#')[0]}#{one.id}" + (f"_{count}" if count > 1 else "")
        count += 1
    holder: Json = {}
    paths.setdefault(path, {})[method] = holder
    return f"/paths/{escape(path)}/{method}", holder


def _hook(holder: Json, pointer: str, one: Trigger, address: str = "") -> tuple[str, Json]:
    """Return a free place for what is sent to us."""
    method = _method(one.method)
    name, count = one.name if one.name and not one.name.startswith("x-") else one.id, 1
    item = _item(holder, name, address)
    while method in item:
        name = one.id if count == 1 else f"{one.id}_{count}"
        count += 1
        item = _item(holder, name, address)
    made: Json = {}
    item[method] = made
    inner = f"/{escape(address)}" if address else ""
    return f"{pointer}/{escape(name)}{inner}/{method}", made


def _item(holder: Json, name: str, address: str) -> Json:
    found: Json = holder.setdefault(name, {})
    return found.setdefault(address, {}) if address else found


def _expression(address: str) -> str:
    """Return the URL of a callback as OpenAPI writes it, from a path into the arguments."""
    if "{" in address or "/" in address.partition("://")[0][:1] or "://" in address:
        return address
    if address.startswith("body/"):
        return f"{{$request.body#/{address.removeprefix('body/')}}}"
    return f"{{$request.query.{address.rpartition('/')[2]}}}" if address else "{$request.body}"


# Parts


def _said(name: str, value: Any) -> Json:
    return {name: value} if value else {}


def _x(extras: Mapping[str, Any]) -> Json:
    return {name: one for name, one in extras.items() if name.startswith("x-")}


def _operation(one: Operation, name: str) -> Json:
    responses = {status: _response(part) for status, part in one.responses.items() if status in _STATUSES}
    return {
        **_said("operationId", name),
        **_said("summary", one.summary),
        **_said("description", one.description),
        **_said("tags", list(one.tags)),
        **_said("deprecated", one.deprecated),
        **_inputs(one.parameters, one.body),
        **_said("responses", responses),
        **_said("servers", [_server(server) for server in one.servers]),
        **_x(one.extras),
    }


def _trigger(one: Trigger) -> Json:
    return {
        **_said("summary", one.summary),
        **_said("description", one.description),
        **_inputs(one.parameters, one.body),
        **_x(one.extras),
    }


def _inputs(parameters: Iterable[Parameter], body: Body | None) -> Json:
    listed = [_parameter(one) for one in parameters]
    return {**_said("parameters", listed), **({"requestBody": _body(body)} if body else {})}


def _parameter(one: Parameter) -> Json:
    place = one.location if one.location in LOCATIONS else "header"
    query = place == "query"
    made: Json = {
        "name": one.name,
        "in": place,
        **_said("description", one.description),
        **_said("required", one.required or place == "path"),
        **_said("deprecated", one.deprecated),
    }
    if query and isinstance(one.extras.get("allowEmptyValue"), bool):
        made["allowEmptyValue"] = one.extras["allowEmptyValue"]
    if one.twice_encoded:
        made["x-ms-url-encoding"] = "double"
    made |= _x(one.extras)
    if one.content_type:
        return {**made, "content": {one.content_type: {"schema": one.schema}}}
    usual = STYLES[place][0]
    style = one.style if one.style in STYLES[place] else usual
    if style != usual:
        made["style"] = style
    if one.explode != (style == "form"):
        made["explode"] = one.explode
    if query and one.allow_reserved:
        made["allowReserved"] = True
    return {**made, "schema": one.schema}


def _body(one: Body) -> Json:
    return {
        **_said("description", one.description),
        "content": _content(one.media),
        **_said("required", one.required),
        **_x(one.extras),
    }


def _content(media: Iterable[Media]) -> Json:
    return {one.type: _media(one) for one in media}


def _media(one: Media) -> Json:
    encoding = {name: _encoding(said) for name, said in one.encoding.items()}
    schema = {"schema": one.schema} if one.schema != {} else {}
    return {**schema, **_said("encoding", encoding), **_said("examples", dict(one.examples))}


def _encoding(said: Mapping[str, Any]) -> Json:
    """Return how a field of a form travels, without what OpenAPI does not know."""
    made = {word: one for word, one in said.items() if word in _ENCODED or word.startswith("x-")}
    if made.get("style", "form") not in STYLES["query"]:
        del made["style"]
    return made


def _response(one: Response) -> Json:
    headers = {name: {"schema": schema} for name, schema in one.headers.items()}
    return {
        "description": one.description,
        **_said("headers", headers),
        **_said("content", _content(one.media)),
        **_x(one.extras),
    }


def _server(one: Server) -> Json:
    variables = {}
    for name, variable in one.variables.items():
        enum = list(variable.enum)
        default = variable.default if variable.default is not None else next(iter(enum), "")
        said = _said("description", variable.description)
        variables[name] = {**_said("enum", enum), "default": default, **said}
    return {"url": one.url, **_said("description", one.description), **_said("variables", variables)}


def _keys(schemes: Mapping[str, SecurityScheme]) -> dict[str, str]:
    """Return under which key each security scheme can stand; OpenAPI takes few characters."""
    keys: dict[str, str] = {}
    for name in schemes:
        wanted = key = _UNSAFE.sub("_", name) or "login"
        count = 1
        while key in keys.values() or (key != name and key in schemes):
            count += 1
            key = f"{wanted}_{count}"
        keys[name] = key
    return keys


def _security(security: Security, keys: Mapping[str, str]) -> list[Json]:
    if security == ((),):
        return []
    return [{keys.get(need.scheme, need.scheme): list(need.scopes) for need in needs} for needs in security]


def _components(spec: Spec, keys: Mapping[str, str]) -> Json:
    schemes = {keys[name]: _scheme(one, keys[name]) for name, one in spec.security_schemes.items()}
    schemas = spec.registry.root["components"]["schemas"]
    return {**_said("schemas", schemas), **_said("securitySchemes", schemes)}


def _scheme(one: SecurityScheme, key: str) -> Json:
    made: Json = {"type": one.kind}
    if one.kind == "apiKey" and one.location in ("query", "header", "cookie"):
        made |= {"name": one.parameter, "in": one.location}
    elif one.kind == "oauth2":
        made["flows"] = {
            name: _flow(flow, _FLOWS[name])
            for name, flow in one.flows.items()
            if name in _FLOWS and isinstance(flow, dict)
        }
    elif one.kind == "openIdConnect":
        made["openIdConnectUrl"] = one.url
    elif one.kind == "http":
        made["scheme"] = one.scheme
    elif one.kind != "mutualTLS":
        made = {"type": "http", "scheme": "other"}
    if key != one.name:
        made[EXTENSION] = {"name": one.name}
    return {**made, **_said("description", one.description), **_x(one.extras)}


def _flow(flow: Mapping[str, Any], urls: tuple[str, ...]) -> Json:
    def text(name: str) -> str:
        return flow[name] if isinstance(flow.get(name), str) else ""

    scopes = flow.get("scopes")
    listed = scopes.items() if isinstance(scopes, dict) else ()
    return {
        **{name: text(name) for name in urls},
        **_said("refreshUrl", text("refreshUrl")),
        "scopes": {name: one if isinstance(one, str) else "" for name, one in listed},
        **_x(flow),
    }

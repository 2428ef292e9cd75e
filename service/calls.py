"""Judges the calls of a rule against the operations they name, as far as that can be said without a message.

Each function returns problems with JSON pointers. Whether expressions and patterns are right is not its
business, nor what a call will do.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from actions.errors import Refused
from actions.presets import find_preset, lacking
from actions.raw import foreseen
from actions.specs.model import GROUPS, Operation, Spec
from service.config.backends import ConnectionConfig
from service.config.connectors import VersionConfig
from service.config.marks import split_pointer
from service.config.model import StepConfig
from service.errors import Problem, nearest
from service.rules.mapping import escape
from service.rules.model import Step

_EXPRESSION: Final = re.compile(r"\$\{.*\}", re.DOTALL)
_ALWAYS: Final = frozenset({"content-type", "accept"})
"""Inputs that every operation takes, to choose among media types; they are listed where there is a choice."""


def check_inputs(
    pointer: str, given: Mapping[str, Any], operation: Operation, spec: Spec, preset: str | None = None
) -> Iterator[Problem]:
    """Compare the top level of `with` with the operation's inputs: unknown and missing names.

    What a preset lacks is not said here.
    """
    schema = spec.input_schema(operation)
    if preset is not None:
        schema = _without_required(schema)
    yield from _check_names(pointer, given, schema, operation.id)
    for group in GROUPS if operation.grouped else ():
        inner, below = schema["properties"].get(group), given.get(group)
        if inner is not None and isinstance(below, dict):
            yield from _check_names(f"{pointer}/{group}", below, inner, operation.id)


def _without_required(schema: Mapping[str, Any]) -> dict[str, Any]:
    groups = {
        name: {key: one for key, one in inner.items() if key != "required"}
        if isinstance(inner, dict)
        else inner
        for name, inner in schema["properties"].items()
    }
    return {"properties": groups}


def check_preset(pointer: str, config: StepConfig, operation: Operation) -> Iterator[Problem]:
    """Check that a step's preset is there, and that `with` gives what it lacks."""
    if config.preset is None:
        return
    try:
        preset = find_preset(operation, config.preset)
    except Refused as error:
        names = [one.name for one in operation.presets]
        near = nearest(config.preset, names)
        yield Problem(
            message=str(error),
            code="unknown-preset",
            pointer=f"{pointer}/preset",
            found=config.preset,
            fix=f"did you mean {near}?" if near else f"it has: {', '.join(names[:10]) or 'none'}",
        )
        return
    for missing in lacking(preset, config.with_):
        yield Problem(
            message=f"the preset {preset.name} of {operation.id} has no value for {missing}",
            code="missing-input",
            pointer=f"{pointer}/with",
            fix=f"give {missing.strip('/').replace('/', '.')}: … under `with`",
        )


def _check_names(
    pointer: str, given: Mapping[str, Any], schema: Mapping[str, Any], operation: str
) -> Iterator[Problem]:
    properties = schema.get("properties", {})
    for name in given:
        if name not in properties and name.lower() not in _ALWAYS:
            near = nearest(name, list(properties))
            yield Problem(
                message=f"operation {operation} has no input {name}",
                code="unknown-input",
                pointer=f"{pointer}/{escape(name)}",
                found=name,
                fix=f"did you mean {near}?" if near else f"it takes: {', '.join(properties) or 'nothing'}",
            )
    for name in schema.get("required", ()):
        has_default = isinstance(properties.get(name), dict) and "default" in properties[name]
        if name not in given and not has_default:
            yield Problem(
                message=f"operation {operation} needs {name}",
                code="missing-input",
                pointer=pointer,
                fix=f"give {name}: … under `with`",
            )


def settled(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs that do not depend on the message."""
    return {name: value for name, value in given.items() if not _EXPRESSION.search(repr(value))}


def check_raw(pointer: str, given: Mapping[str, Any]) -> Iterator[Problem]:
    """Judge the inputs of `:http` as far as they can be told without a message."""
    likely = {name: _likely(value) for name, value in given.items() if not _is_expression(value)}
    for place, text in foreseen(likely):
        yield Problem(message=text, code="bad-arguments", pointer=pointer + place)


def _likely(value: Any) -> Any:
    """Return a value with a letter in place of every expression."""
    if isinstance(value, str):
        return _EXPRESSION.sub("x", value)
    if isinstance(value, dict):
        return {name: _likely(one) for name, one in value.items()}
    return [_likely(one) for one in value] if isinstance(value, list | tuple) else value


def _is_expression(value: Any) -> bool:
    """Tell whether nothing of a value is known: it begins with what an expression gives."""
    return isinstance(value, str) and value.startswith("${")


def check_login(
    pointer: str, config: StepConfig, operation: Operation, connection: ConnectionConfig
) -> Iterator[Problem]:
    """Warn of an operation that wants credentials which are not among those given by scheme."""
    auth = connection.auth
    if auth is None or auth.schemes is None:
        return
    wanted = [[need.scheme for need in needs] for needs in operation.security]
    if wanted and not any(auth.schemes.keys() >= set(names) for names in wanted):
        yield Problem(
            message=f"operation {operation.id} wants {' or '.join(' and '.join(names) for names in wanted)}, "
            f"and connection {config.connection} has credentials for {', '.join(auth.schemes)} only",
            code="no-credentials",
            severity="warning",
            pointer=pointer,
            found=config.call,
            fix=f"add them under `auth: {{schemes: …}}` of {config.connection}",
        )


def check_repeats(pointer: str, config: StepConfig, operation: Operation) -> Iterator[Problem]:
    """Warn of a call that may happen twice; whoever says `on_unknown` has thought about it."""
    repeats = operation.method.upper() in ("POST", "PATCH") and not operation.key_header
    if repeats and "on_unknown" not in config.model_fields_set:
        yield Problem(
            message=f"{operation.method.upper()} {operation.path or operation.id} declares no idempotency "
            "header: a call whose outcome is unknown is made again and may happen twice",
            code="may-repeat",
            severity="warning",
            pointer=pointer,
            found=config.call,
            fix="on_unknown: dead, when twice is worse than never; else say on_unknown: retry",
        )


def check_deprecated(pointer: str, config: StepConfig, operation: Operation, spec: Spec) -> Iterator[Problem]:
    """Warn of a call that the description advises against, with what it names in its place."""
    if not operation.deprecated:
        return
    annotation = operation.extras.get("x-ms-api-annotation")
    replacement = annotation.get("replacement") if isinstance(annotation, Mapping) else None
    wanted = replacement.get("operationId") if isinstance(replacement, Mapping) else None
    better = spec.find(wanted) if isinstance(wanted, str) else None
    yield Problem(
        message=f"operation {operation.id} is deprecated; it still works",
        code="deprecated-operation",
        severity="warning",
        pointer=pointer,
        found=config.call,
        fix=f"call {config.connection}.{better.id} instead"
        if better
        else "look for what took its place: pointsman operations search WORDS",
    )


def check_version(
    pointer: str, config: StepConfig, connector: str, version: VersionConfig | None, *, strict: bool
) -> Iterator[Problem]:
    """Refuse a step that pins a version which is withdrawn; warn, if `strict`, where it is deprecated.

    `version` is the one that it pins, None where there is none of that name.
    """
    if version is None or not (version.withdrawn or (version.deprecated and strict)):
        return
    yield Problem(
        message=f"rule {split_pointer(pointer)[1]} pins version {config.version} of connector {connector}, "
        f"which is {version.state}: {version.reason}",
        code=f"{version.state}-version",
        severity="error" if version.withdrawn else "warning",
        pointer=f"{pointer}/version",
        fix="pin another version, or none" if version.withdrawn else "it still works",
        because=f"/connectors/{escape(connector)}/versions/{escape(str(config.version))}/{version.state}",
    )


def check_follow(pointer: str, config: StepConfig, operation: Operation) -> Iterator[Problem]:
    """Check that what a call is to do beyond its first request fits the operation."""
    method = operation.method.upper()
    bus = any(one.location == "message" for one in operation.parameters)
    asked = {
        "follow_pages": (config.follow_pages is not None, method == "GET", "GET"),
        "if_match": (config.if_match, method in ("PUT", "PATCH", "DELETE"), "PUT, PATCH and DELETE"),
        "wait": (config.wait is not None, not bus, "HTTP calls"),
    }
    for name, (wanted, fits, methods) in asked.items():
        if wanted and not fits and (method or bus):  # else the message says which method it is
            yield Problem(
                message=f"`{name}` is for {methods}, and operation {operation.id} is {method or 'a message'}",
                code="does-not-follow",
                pointer=f"{pointer}/{name}",
                found=config.call,
                fix=f"remove `{name}`",
            )


def check_references(pointer: str, steps: Sequence[Step]) -> Iterator[Problem]:
    """Check that expressions look at the answers of earlier steps only, and that names are unique."""
    earlier: dict[str, None] = {}
    for place, step in enumerate(steps):
        for leaf, program in step.arguments.programs:
            for path in program.reads:
                if len(path) < 2 or path[0] != "steps" or path[1] in earlier:
                    continue
                near = nearest(path[1], list(earlier))
                yield Problem(
                    message=f"no earlier step is called {path[1]}",
                    code="unknown-step",
                    pointer=f"{pointer}/do/{place}/with{leaf}",
                    found=path[1],
                    fix=f"did you mean {near}?" if near else f"earlier steps: {', '.join(earlier) or 'none'}",
                )
        if step.name in earlier:
            yield Problem(
                message=f"two steps are called {step.name}",
                code="duplicate-step",
                pointer=f"{pointer}/do/{place}",
            )
        earlier[step.name] = None

"""The connection parameters of a description against what a connection gives for them. Pure.

Whether a value works is the backend's to say; whether it may be there at all is said here.
"""

from collections.abc import Iterator, Mapping

from pydantic import SecretStr

from actions.specs.model import ConnectionParameter, Spec
from service.config.backends import ConnectionConfig
from service.errors import Problem, nearest
from service.rules.mapping import escape


def parameter_values(config: ConnectionConfig) -> dict[str, str]:
    """Return the values that a connection gives, as the text that a request carries. They may be secret."""
    return {name: _text(value) for name, value in config.parameters.items()}


def check_parameters(pointer: str, config: ConnectionConfig, spec: Spec) -> Iterator[Problem]:
    """Compare what a connection gives with what its description wants."""
    yield from _check_set(pointer, config, spec)
    known = spec.parameters
    for name, value in config.parameters.items():
        at = f"{pointer}/parameters/{escape(name)}"
        if name not in known:
            near = nearest(name, list(known))
            some = ", ".join(known) or "none"
            yield Problem(
                message=f"the description has no connection parameter {name}",
                code="unknown-parameter",
                pointer=at,
                found=name,
                fix=f"did you mean {near}?" if near else f"it has: {some}",
            )
        else:
            yield from _check_value(at, known[name], value)
    for one in known.values():
        if _wanted(one, config, spec):
            yield Problem(
                message=f"the description wants the connection parameter {one.name}",
                code="missing-parameter",
                severity="warning",  # a login may stand in `auth`, and many ask for more than they need
                pointer=pointer,
                fix=f"give it under `parameters`: {{{one.name}: …}}",
            )


def _check_set(pointer: str, config: ConnectionConfig, spec: Spec) -> Iterator[Problem]:
    chosen, sets = config.parameter_set, spec.parameter_sets
    if chosen is None or chosen in sets:
        return
    near = nearest(chosen, list(sets))
    fix = f"it has: {', '.join(sets)}" if sets else "it has none: leave `parameter_set` out"
    yield Problem(
        message=f"the description has no set of connection parameters {chosen}",
        code="unknown-parameter-set",
        pointer=f"{pointer}/parameter_set",
        found=chosen,
        fix=f"did you mean {near}?" if near else fix,
    )


def _check_value(pointer: str, one: ConnectionParameter, value: object) -> Iterator[Problem]:
    if one.kind == "secret" and not isinstance(value, SecretStr):
        yield Problem(
            message=f"{one.name} is secret: secrets are references, never plain",
            code="secret-plain",
            pointer=pointer,
            found="***",
            fix="write {env: NAME}",
        )
    elif one.enum and _text(value) not in one.enum:
        yield Problem(
            message=f"{one.name} is none of the values allowed",
            code="wrong-choice",
            pointer=pointer,
            fix=f"one of: {', '.join(one.enum)}",
        )
    elif one.kind == "integer" and not _text(value).lstrip("-").isdigit():
        yield Problem(message=f"{one.name} is a whole number", code="wrong-type", pointer=pointer)
    elif one.kind == "boolean" and _text(value) not in ("true", "false"):
        yield Problem(message=f"{one.name} is true or false", code="wrong-type", pointer=pointer)


def _wanted(one: ConnectionParameter, config: ConnectionConfig, spec: Spec) -> bool:
    """Tell whether a parameter is missing: required, without default, and of the set that is meant."""
    if not one.required or one.default is not None or one.name in config.parameters:
        return False
    if one.kind in ("oauth", "gateway") or (config.auth is not None and one.kind == "secret"):
        return False
    if one.sets and len(spec.parameter_sets) > 1:
        return config.parameter_set in one.sets
    return True


def chosen_values(config: ConnectionConfig, spec: Spec) -> Mapping[str, str]:
    """Return the values for the set that is meant: what belongs to other sets only is left out."""
    chosen = config.parameter_set
    return {
        name: value
        for name, value in parameter_values(config).items()
        if chosen is None
        or name not in spec.parameters
        or not spec.parameters[name].sets
        or chosen in spec.parameters[name].sets
    }


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value).lower() if isinstance(value, bool) else str(value)

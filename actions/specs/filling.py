"""Fills the variables of a connection into what a description leaves open by `{{name}}`.

Pure. Secrets belong to the login and are not filled in here: what comes out of this is shown to people.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from actions.specs.model import Operation, Parameter, Spec

TEMPLATE: Final = "x-postman-template"
"""Under this extra a parameter keeps the text with variables that it stands for."""
MADE: Final = "x-postman-made"
"""This extra says that a generator makes the value of a parameter that is not given."""
_PLACEHOLDER: Final = re.compile(r"\{\{([^{}]*)\}\}")


def fill(value: Any, values: Mapping[str, str]) -> Any:
    """Return a JSON value with the known variables filled in; a preset's arguments, say. Made anew."""
    if isinstance(value, str):
        if "{{" not in value:
            return value
        return _PLACEHOLDER.sub(lambda match: values.get(match.group(1).strip(), match.group()), value)
    if isinstance(value, list):
        return [fill(one, values) for one in value]
    if isinstance(value, dict):
        return {name: fill(one, values) for name, one in value.items()}
    return value


def bound(operation: Operation, spec: Spec, values: Mapping[str, str]) -> Operation:
    """Return an operation whose open parameters have the connection's values as their defaults."""
    known = {
        name: value
        for name, value in values.items()
        if name in spec.parameters and spec.parameters[name].kind != "secret"
    }
    if not known or not any(TEMPLATE in one.extras for one in operation.parameters):
        return operation
    defaults = {
        name: one.default for name, one in spec.parameters.items() if one.default and name not in values
    }
    given = {**defaults, **known}
    return replace(operation, parameters=tuple(_bound(one, given, known) for one in operation.parameters))


def _bound(one: Parameter, values: Mapping[str, str], known: Mapping[str, str]) -> Parameter:
    template = one.extras.get(TEMPLATE)
    if not isinstance(template, str) or isinstance(one.schema, bool):
        return one
    named = [name.strip() for name in _PLACEHOLDER.findall(template)]
    if not any(name in known for name in named) or not all(name in values for name in named):
        return one
    return replace(one, required=True, schema={**one.schema, "default": fill(template, values)})

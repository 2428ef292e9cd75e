"""What an exported description says beyond OpenAPI: `x-pointsman` beside a part holds fields of the model.

`remainder` writes there what a part of a Spec has that reading the plain document does not give; `restored`
reads it back. Whoever wrote a document can say anything there: what cannot be is a finding and is ignored.
"""

import functools
import re
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass, replace
from typing import Any, Final, TypeVar, get_type_hints

import msgspec

from actions.specs.model import NEVER_SET, Operation, Parameter
from actions.specs.paths import METHOD, dotted
from actions.specs.reading import CONTROL, EXTENSION, TOKEN, Reading

T = TypeVar("T")

_OURS: Final = frozenset({"pointer", "registry", "findings", "operations", "security_schemes"})
"""Fields that are never said: they follow from the document."""
MERGED: Final = frozenset({"extras", "responses", "triggers"})
"""Maps of which only the members are said that are not in the plain document."""
_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,80}")
_BUSES: Final = frozenset({"asyncapi1", "asyncapi2", "asyncapi3"})


def remainder(wanted: Any, got: Any, skip: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return the fields in which one part of a Spec is not as wanted, as JSON values."""
    made = {}
    for one in fields(wanted):
        have, want = getattr(got, one.name), getattr(wanted, one.name)
        if one.name in _OURS or one.name in skip or have == want:
            continue
        if one.name in MERGED:
            want = {name: part for name, part in want.items() if name not in have or have[name] != part}
        made[one.name] = plain(want)
    return made


def plain(value: Any) -> Any:
    """Return a value of the model as JSON; fields that have their defaults are left out."""
    if is_dataclass(value) and not isinstance(value, type):
        return {
            one.name: plain(getattr(value, one.name))
            for one in fields(value)
            if one.name != "pointer" and getattr(value, one.name) != _default(one)
        }
    if isinstance(value, Mapping):
        return {name: plain(part) for name, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list | tuple) else value


def _default(field: Any) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return {name: hint for name, hint in get_type_hints(kind).items() if name not in _OURS}


def restored(reading: Reading, made: T, value: Any, pointer: str) -> T:
    """Return a part of a Spec with the fields that stand beside it in the document."""
    said = value.get(EXTENSION) if isinstance(value, dict) else None
    if said is None:
        return made
    at = f"{pointer}/{EXTENSION}"
    kind: Any = type(made)
    hints = _hints(kind)
    changes: dict[str, Any] = {}
    for name, one in reading.mapping(said, at).items():
        try:
            if name not in hints:
                raise msgspec.ValidationError("nothing of this name can be said here")  # noqa: TRY301 - one way out
            changes[name] = msgspec.convert(one, hints[name])
            _check(name, changes[name])
        except msgspec.ValidationError as error:
            reading.add("export-extension", f"{name[:60]!r} in {EXTENSION}: {str(error)[:200]}; ignored", at)
            changes.pop(name, None)
    for name in MERGED & changes.keys():
        changes[name] = {**getattr(made, name), **changes[name]}
    return replace(made, **changes)  # type: ignore[type-var] # every part of a Spec is a dataclass


def _check(name: str, value: Any) -> None:
    """Refuse what must not reach a wire, or cannot be meant."""
    wrong = ""
    if name == "id" and not _ID.fullmatch(value):
        wrong = "it is no id"
    elif name == "dialect" and value not in _BUSES:
        wrong = "the dialect follows from the document"
    elif name in {"url", "scheme", "parameter"} and CONTROL.search(value):
        wrong = "it has control characters"
    elif name == "servers" and any(CONTROL.search(one.url) for one in value):
        wrong = "a server's URL has control characters"
    if wrong:
        raise msgspec.ValidationError(wrong)


def unsendable(operation: Operation) -> str:
    """Return why an operation, as the document restores it, can never be sent; "" when nothing says so."""
    if not METHOD.fullmatch(operation.method):
        return f"the method {operation.method[:40]!r} cannot be sent"
    if CONTROL.search(operation.path):
        return "the path has control characters"
    if operation.method != "PUBLISH" and dotted(operation.path):
        return "the path has dot segments"
    return next((why for one in operation.parameters if (why := _unsendable(one))), "")


def _unsendable(one: Parameter) -> str:
    if one.location not in {"header", "cookie"}:
        return ""
    if not TOKEN.fullmatch(one.name):
        return f"the {one.location} name {one.name[:80]!r} cannot be sent"
    if one.location == "header" and one.name.lower() in NEVER_SET:
        return f"no parameter can set the header {one.name}"
    return ""

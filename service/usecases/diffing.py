"""What a new version of a description would break: its operations, and the rules that call them.

Reads and builds; changes nothing, and needs neither an instance nor a secret.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from actions.comparing import Change, compare, pairs
from actions.specs.model import Spec
from service.config.model import Configuration, RuleConfig
from service.descriptions import DEFAULT, Bounds, Unit, collect, pin, unreadable
from service.errors import Invalid, Problem
from service.plan import build


def one_unit(path: Path, bounds: Bounds = DEFAULT) -> Unit:
    """Return the description at a path. Raise Invalid when there is none, several, or it cannot be read."""
    units = collect(path, bounds)
    if len(units) != 1:
        names = ", ".join(unit.name for unit in units[:5])
        raise Invalid(
            [
                Problem(
                    message=f"there are {len(units)} descriptions: {names}, …",
                    code="several-descriptions",
                    found=str(path),
                    fix="give the path of one of them",
                )
            ]
        )
    unit = units[0]
    spec = unit.read()
    if not spec.readable:
        raise unreadable(spec, unit)
    return unit


def diff(old: Spec, new: Spec) -> dict[str, Any]:
    """Return what changed between two versions, what breaks something first."""
    changes = compare(old, new)
    return {
        "old": {"title": old.title, "version": old.version, "operations": len(old.operations)},
        "new": {"title": new.title, "version": new.version, "operations": len(new.operations)},
        "breaking": sum(one.effect == "breaking" for one in changes),
        "changes": [
            {
                "effect": one.effect,
                "code": one.code,
                "operation": one.operation,
                "place": one.place,
                "message": one.message,
            }
            for one in changes
        ],
    }


def affected(
    configuration: Configuration, files: Mapping[str, bytes], connector: str, old: Spec, new: Unit
) -> list[dict[str, Any]]:
    """Return the rules that call a connector, with what its new version does to each.

    A rule `breaks` when the configuration would be refused with the new version; it is `touched` when
    something that may break changed in an operation that it calls, else it is `fine`. A step that pins
    another version is not touched.
    """
    spec = new.read()
    changes = compare(old, spec)
    known = {one.id: name for name, one in pairs(old, spec)}
    said = _errors(configuration, files, new.bounds)
    errors = _errors(configuration, {**files, connector: pin(new)}, new.bounds)
    verdicts = []
    for name, rule in configuration.rules.items():
        called, pinned = _called(configuration, rule, connector, old)
        if not called and not pinned:
            continue
        wrong = [text for text in errors.get(name, ()) if text not in said.get(name, ())]
        hints = [
            f"{one} is {new_name} now" for new_name, one in known.items() if one in called and new_name != one
        ]
        touching = [one.message for one in _touching(changes, called)]
        verdicts.append(
            {
                "rule": name,
                "verdict": "breaks" if wrong else "touched" if touching else "fine",
                "operations": [*called, *pinned],
                "reasons": [*wrong, *hints, *touching],
            }
        )
    order = ("breaks", "touched", "fine")
    return sorted(verdicts, key=lambda one: order.index(one["verdict"]))


def _errors(configuration: Configuration, files: Mapping[str, bytes], bounds: Bounds) -> dict[str, list[str]]:
    """Return what keeps each rule from running with these descriptions, by rule."""
    found: dict[str, list[str]] = {}
    for problem in build(configuration, files, bounds=bounds).errors:
        parts = problem.pointer.split("/")
        if parts[1:2] == ["rules"] and len(parts) > 2:
            name = parts[2].replace("~1", "/").replace("~0", "~")
            found.setdefault(name, []).append(problem.message)
    return found


def _called(
    configuration: Configuration, rule: RuleConfig, connector: str, spec: Spec
) -> tuple[list[str], list[str]]:
    """Return the ids of the operations that a rule calls: by the present version, and by one that it pins."""
    called: list[str] = []
    pinned: list[str] = []
    for step in rule.do:
        connection = configuration.connections.get(step.connection)
        if connection is not None and connection.connector == connector:
            operation = spec.find(step.operation)
            name = operation.id if operation is not None else step.operation
            (called if step.version is None else pinned).append(name)
    return called, pinned


def _touching(changes: Iterable[Change], called: list[str]) -> list[Change]:
    return [one for one in changes if one.operation in called and one.effect != "compatible"]

"""What is dynamic in an operation, by its place: a call for values or a schema, or a tree. Pure."""

from collections.abc import Mapping
from typing import Any

from actions.dynamic.calls import DynamicCall, make_call
from actions.dynamic.places import places
from actions.dynamic.trees import DynamicTree, make_picker, make_tree
from actions.errors import Refused
from actions.specs.model import Operation, Spec


def dynamics(spec: Spec, operation: Operation) -> dict[str, DynamicCall | DynamicTree]:
    """Return everything dynamic of an operation by its pointer; see `places` for what pointers mean."""
    return {
        pointer: _made(spec, operation, kind, value)
        for pointer, (kind, value) in places(spec, operation).items()
    }


def dynamic(spec: Spec, operation: Operation, pointer: str) -> DynamicCall | DynamicTree:
    """Return what is dynamic at a pointer: an index of a list stands for any item.

    Raise Refused when there is nothing, with the places where there is.
    """
    found = places(spec, operation)
    steps = pointer.split("/")
    anywhere = "/".join(
        "*" if step == "-" or (step.isdigit() and place) else step for place, step in enumerate(steps)
    )
    for wanted in (pointer, anywhere):
        if wanted in found:
            return _made(spec, operation, *found[wanted])
    known = f"there is at {', '.join(list(found)[:20])}" if found else "it has nothing of the kind"
    raise Refused(f"{operation.id} has no values of its API for {pointer!r}; {known}")


def _made(spec: Spec, operation: Operation, kind: str, value: Mapping[str, Any]) -> DynamicCall | DynamicTree:
    if kind == "x-ms-dynamic-tree":
        return make_tree(spec, operation, value)
    if "capability" in value and "operationId" not in value:
        return make_picker(spec, operation, value)
    listed = kind in ("x-ms-dynamic-list", "x-ms-dynamic-values")
    return make_call("values" if listed else "schema", spec, operation, value)

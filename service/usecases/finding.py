"""Finding operations among those of all connectors."""

from collections.abc import Sequence
from typing import Any

from actions.specs.model import Operation
from service.errors import NotFound, nearest
from service.plan import Plan


def operations(plan: Plan, *, connector: str = "", words: Sequence[str] = ()) -> dict[str, Any]:
    """Return the operations that have all of these words, the best first; without words all of them.

    Raise NotFound for an unknown connector.
    """
    specs = plan.specs
    if connector and connector not in specs:
        near = nearest(connector, list(specs))
        raise NotFound(f"there is no connector {connector}" + (f"; did you mean {near}?" if near else ""))
    wanted = [word.lower() for word in words]
    found: list[tuple[int, int, dict[str, Any]]] = []
    for name, spec in specs.items():
        if connector in ("", name):
            for one in spec.operations.values():
                rank = _rank(one, wanted)
                if rank is not None:
                    found.append((rank, len(found), _line(name, one)))
    found.sort(key=lambda entry: entry[:2])
    return {"items": [line for *_, line in found], "next": ""}


def _rank(one: Operation, words: Sequence[str]) -> int | None:
    """Return how well an operation fits, 0 is best; None when a word is missing."""
    fields = (
        one.id.lower(),
        f"{one.method} {one.path} {' '.join(one.aliases)}".lower(),
        f"{one.summary} {' '.join(one.tags)}".lower(),
        one.description.lower(),
    )
    rank = 10 if one.deprecated else 0
    for word in words:
        place = next((place for place, field in enumerate(fields) if word in field), None)
        if place is None:
            return None
        rank += place
    return rank


def _line(connector: str, one: Operation) -> dict[str, Any]:
    return {
        "operation": f"{connector}.{one.id}",
        "method": one.method.upper(),
        "path": one.path,
        "summary": one.summary,
        "tags": list(one.tags),
        "deprecated": one.deprecated,
        "status": one.status,
        "problem": one.problem,
    }

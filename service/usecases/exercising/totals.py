"""Counts what became of operations that were exercised. Pure.

Operations that a script of the description performs are counted apart: without the script the mock judges
what the description says, which is not what the script makes of it. Messages to a bus are not HTTP.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

Line = Mapping[str, Any]

COUNTS: Final = (
    "operations", "accepted", "failed", "refused", "bus", "code", "code_accepted", "calls", "requests",
    "accepted_requests",
)  # fmt: skip
"""What is counted; `requests` are those that the description shows itself."""


def totals(operations: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return the counts of one document."""
    made = dict.fromkeys(COUNTS, 0)
    for one in operations:
        made["operations"] += 1
        for name in ("calls", "requests", "accepted_requests"):
            made[name] += one.get(name, 0)
        if one.get("refused"):
            made["refused"] += 1
        elif one["accepted"] is None:
            made["bus"] += 1
        elif one.get("needs_code"):
            made["code"] += 1
            made["code_accepted"] += one["accepted"]
        else:
            made["accepted" if one["accepted"] else "failed"] += 1
    return made


def accepted_share(lines: Iterable[Line]) -> float:
    """Return which part of the operations that could be called was accepted, over all documents."""
    counted = [line["totals"] for line in lines if "totals" in line]
    accepted = sum(one["accepted"] for one in counted)
    called = accepted + sum(one["failed"] for one in counted)
    return accepted / called if called else 1.0


def is_sound(line: Line) -> bool:
    """Say whether a document was read and every operation that was called was accepted."""
    return "error" not in line and not line["totals"]["failed"]


def summary(line: Line) -> dict[str, Any]:
    """Return the row of a table for a document."""
    if "error" in line:
        return {"path": line["path"], "error": line["error"]["message"]}
    return {"path": line["path"], **line["totals"]}


def rows(line: Line) -> list[dict[str, Any]]:
    """Return a row for every operation of a document that was not accepted."""
    return [
        {"id": one["id"], "method": one["method"], "path": one["path"], "reason": "; ".join(one["reasons"])}
        for one in line.get("operations", ())
        if one["accepted"] is False
    ]

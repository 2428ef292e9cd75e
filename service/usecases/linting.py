"""Everything that was found in descriptions, for people, for machines, and as SARIF for code hosts.

Reading is the check: what `serve` would forgive, leave out or refuse is what is said here. Nothing is changed
and nothing is called.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal
from urllib.parse import quote

from actions.base import Finding
from service import __version__
from service.descriptions import Unit
from service.usecases.describing import HINT
from service.usecases.lint_rules import RULES

Severity = Literal["error", "warning", "info"]
_ORDER: Final[Mapping[Severity, int]] = {"error": 0, "warning": 1, "info": 2}
_LEVELS: Final[Mapping[Severity, str]] = {"error": "error", "warning": "warning", "info": "note"}
_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def lint(unit: Unit) -> list[dict[str, Any]]:
    """Return what was found in a description, in the order of its text. Never raises."""
    try:
        findings: Sequence[Finding] = unit.read().findings
    except Exception as error:  # noqa: BLE001 - one document must not take the others with it
        message = f"reading it failed: {type(error).__name__}: {str(error)[:200]}"
        findings = [Finding(severity="error", code="internal", message=message, fix=HINT)]
    made = [_line(one, unit.shown(one.file)) for one in findings]
    return sorted(made, key=lambda one: (one["file"], one["line"], one["column"], one["code"]))


def _line(one: Finding, file: str) -> dict[str, Any]:
    rule = RULES.get(one.code)
    return {
        "severity": one.severity,
        "code": one.code,
        "message": one.message,
        "hint": one.fix or (rule.hint if rule else ""),
        "file": file,
        "line": one.line,
        "column": one.column,
        "pointer": one.pointer,
    }


def at_least(lines: Iterable[dict[str, Any]], severity: Severity) -> Iterator[dict[str, Any]]:
    """Yield the findings that are at least this severe."""
    return (one for one in lines if _ORDER[one["severity"]] <= _ORDER[severity])


def counts(lines: Iterable[Mapping[str, Any]]) -> dict[Severity, int]:
    """Return how many findings there are by severity."""
    made: dict[Severity, int] = dict.fromkeys(_ORDER, 0)
    for one in lines:
        made[one["severity"]] += 1
    return made


def sarif(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return findings as a SARIF 2.1.0 log, with the rules that they are of."""
    codes = sorted({one["code"] for one in lines})
    places = {code: index for index, code in enumerate(codes)}
    driver = {"name": "pointsman", "version": __version__, "rules": [_rule(code) for code in codes]}
    results = [_result(one, places[one["code"]]) for one in lines]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(code: str) -> dict[str, Any]:
    rule = RULES.get(code)
    if rule is None:
        return {"id": code}
    made: dict[str, Any] = {
        "id": code,
        "shortDescription": {"text": rule.meaning},
        "help": {"text": rule.hint},
    }
    return {**made, "properties": {"microsoft": list(rule.microsoft)}} if rule.microsoft else made


def _result(one: Mapping[str, Any], index: int) -> dict[str, Any]:
    hint = f" Hint: {one['hint']}" if one["hint"] else ""
    physical: dict[str, Any] = {"artifactLocation": {"uri": quote(one["file"])}}
    if one["line"]:
        physical["region"] = {"startLine": one["line"], "startColumn": max(1, one["column"])}
    location: dict[str, Any] = {"physicalLocation": physical}
    if one["pointer"]:
        location["logicalLocations"] = [{"fullyQualifiedName": one["pointer"]}]
    return {
        "ruleId": one["code"],
        "ruleIndex": index,
        "level": _LEVELS[one["severity"]],
        "message": {"text": f"{one['message']}.{hint}" if hint else one["message"]},
        "locations": [location],
    }

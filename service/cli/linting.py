"""The verb that says everything that is wrong with descriptions: connectors lint."""

import sys
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from service.cli.describing import Paths, units_at
from service.cli.output import Output, emit, json_text, line, say
from service.cli.progress import counted


def lint_descriptions(
    *path: Paths,
    min_severity: Annotated[
        Literal["error", "warning", "info"], Parameter(help="Leave out what is less severe.")
    ] = "info",
    strict: Annotated[bool, Parameter(help="Let warnings fail, too.")] = False,
    format_: Annotated[
        Literal["sarif"] | None,
        Parameter(name="--format", help="sarif: a SARIF 2.1.0 log for code hosts, whatever -o says."),
    ] = None,
    output: Output = "table",
) -> int:
    """Say everything that is wrong with API descriptions: code, place and hint. Changes and calls nothing.

    Exit code 0: no error (with --strict: no warning either); 1: there are some. What each code means stands
    in docs/connectors.md.

    Example: pointsman connectors lint specs/ --min-severity warning
    """
    from service.usecases import linting

    found = units_at(path)
    lines: list[dict[str, Any]] = []
    everything = {"error": 0, "warning": 0}
    for unit in counted(found, len(found), "linting"):
        made = linting.lint(unit)
        for name, count in linting.counts(made).items():
            everything[name] = everything.get(name, 0) + count
        lines.extend(linting.at_least(made, min_severity))
    if format_ == "sarif":
        sys.stdout.write(json_text(linting.sarif(lines), indent=2) + "\n")
    elif output == "table":
        for one in lines:
            _show(one)
        told = ", ".join(f"{count} {name}" for name, count in everything.items() if count)
        many = "description" if len(found) == 1 else "descriptions"
        say(f"{len(found)} {many}: {told or 'nothing found'}")
    else:
        emit({"items": lines, "next": ""}, output)
    return 1 if everything["error"] or (strict and everything["warning"]) else 0


def _show(one: Mapping[str, Any]) -> None:
    place = f"{one['file']}:{one['line']}:{one['column']}" if one["line"] else one["file"]
    hint = f"; {one['hint']}" if one["hint"] else ""
    style = {"error": "red", "warning": "yellow"}.get(one["severity"], "")
    line(f"{place}: {one['severity']} {one['code']}: {one['message']}{hint}", style=style)

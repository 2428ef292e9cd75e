"""Verbs that need no instance: check, schema, match, init."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from service.cli.output import Format, emit_problems, err, out
from service.config.schema import configuration_schema
from service.demo.starter import STARTER, write_starter
from service.errors import Invalid, Problem
from service.rules.lines import match_line
from service.usecases.checking import check_configuration

Output = Annotated[
    Format, Parameter(name=["--output", "-o"], help="How to print: table, json, jsonl or yaml.")
]


def check(
    config: Annotated[Path, Parameter(help="The configuration file.")] = Path("pointsman.yaml"),
    *,
    secrets: Annotated[
        bool, Parameter(help="Whether a missing secret is an error, as it is for serve.")
    ] = False,
    output: Output = "table",
) -> int:
    """Check a configuration: everything that is wrong in it, with file, line, column and what would be right.

    Nothing is started and nothing is called. Exit code 0: it would run; 1: it would not.

    Example: pointsman check pointsman.yaml
    """
    candidate = asyncio.run(check_configuration(config, resolve=secrets, env=os.environ))
    errors = len(candidate.errors)
    emit_problems(candidate.problems, output)
    if output == "table":
        warnings = len(candidate.problems) - errors
        rules = len(candidate.plan.ruleset.rules) if candidate.plan is not None else 0
        verdict = f"{errors} errors, {warnings} warnings" if candidate.problems else "no problem"
        tail = f"; {rules} rules would run" if not errors else "; it would not run"
        err().print(f"{config}: {verdict}{tail}", markup=False)
    return 1 if errors else 0


def schema() -> None:
    """Print the JSON Schema of the configuration file, for editors.

    Example: pointsman schema > pointsman.schema.json
    """
    sys.stdout.write(
        msgspec.json.format(msgspec.json.encode(configuration_schema()), indent=2).decode() + "\n"
    )


def match(
    pattern: Annotated[str | None, Parameter(help="A pattern, as JSON text or @file.")] = None,
    message: Annotated[str | None, Parameter(help="A message, as JSON text or @file.")] = None,
    *,
    lines: Annotated[bool, Parameter(help='Read JSON lines {"pattern": …, "message": …}.')] = False,
) -> int:
    """Say whether a pattern matches a message, offline. Any JSON object is a message here.

    With --lines, each line of standard input is answered by one JSON line: {"match": true} or {"error": "…"}.
    Without, exit code 0 is a match and 1 none.

    Example: pointsman match '{"data": {"total": [{"numeric": [">", 100]}]}}' '{"data": {"total": 120}}'
    """
    if lines:
        for line in sys.stdin.buffer:
            if line.strip():
                sys.stdout.buffer.write(match_line(line) + b"\n")
                sys.stdout.buffer.flush()
        return 0
    if pattern is None or message is None:
        raise Invalid(
            [
                Problem(
                    message="a pattern and a message are needed, or --lines", code="usage", fix="see --help"
                )
            ]
        )
    answer = match_line(msgspec.json.encode({"pattern": _text(pattern), "message": _text(message)}))
    sys.stdout.write(answer.decode() + "\n")
    return 0 if msgspec.json.decode(answer).get("match") is True else 1


def _text(argument: str) -> str:
    """Return the text of an argument: itself, or the file behind `@`."""
    if not argument.startswith("@"):
        return argument
    try:
        return Path(argument[1:]).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid([Problem(message=f"cannot read {argument[1:]}: {error}", code="no-file")]) from error


def init(
    folder: Annotated[Path, Parameter(help="Where to; made if it is not there.")] = Path(),
) -> None:
    """Write a commented starter: pointsman.yaml, a description and how to send a first webhook.

    No file that is there is overwritten.

    Example: pointsman init my-project
    """
    for name in write_starter(folder):
        out().print(f"wrote {folder / name}", markup=False)
    out().print(f"next: cd {folder} && pointsman check && pointsman serve", markup=False)


__all__ = ["STARTER", "check", "init", "match", "schema"]

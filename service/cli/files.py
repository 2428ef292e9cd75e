"""Verbs that need no instance: check, schema, match, init."""

import asyncio
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from service.cli.arguments import given_text
from service.cli.output import Output, emit_problems, line, say
from service.cli.place import reading, settings
from service.errors import Invalid, Problem

Config = Annotated[
    Path | None, Parameter(name=["--config", "-c"], help="The configuration file (POINTSMAN_CONFIG).")
]


def check(
    config: Config = None,
    *,
    secrets: Annotated[
        bool, Parameter(help="Whether a missing secret is an error, as it is for serve.")
    ] = False,
    output: Output = "table",
) -> int:
    """Check a configuration: everything that is wrong in it, with its place and what would be right.

    Nothing is started and nothing is called. Exit code 0: it would run; 1: it would not.

    Example: pointsman check pointsman.yaml
    """
    from service.usecases.checking import check_configuration

    path = settings(config=config).config
    checking = check_configuration(path, resolve=secrets, env=os.environ, bounds=reading())
    candidate = asyncio.run(checking)
    emit_problems(candidate.problems, output)
    if output == "table":
        errors, warnings = len(candidate.errors), len(candidate.problems) - len(candidate.errors)
        found = f"{_count(errors, 'error')}, {_count(warnings, 'warning')}" if candidate.problems else "fine"
        rules = len(candidate.plan.ruleset.rules)
        verdict = "it would not run" if errors else f"{_count(rules, 'rule')} would run"
        say(f"{path}: {found}; {verdict}")
        if config is None and not path.exists():
            say("to begin: pointsman init my-project")
    return 1 if candidate.errors else 0


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def schema() -> None:
    """Print the JSON Schema of the configuration file, for editors.

    Example: pointsman schema > pointsman.schema.json
    """
    from service.config.schema import configuration_schema

    text = msgspec.json.format(msgspec.json.encode(configuration_schema()), indent=2).decode()
    sys.stdout.write(text + "\n")


def match(
    pattern: Annotated[str | None, Parameter(help="A pattern, as JSON text, @file or @-.")] = None,
    message: Annotated[str | None, Parameter(help="A message, as JSON text, @file or @-.")] = None,
    *,
    lines: Annotated[bool, Parameter(help='Read JSON lines {"pattern": …, "message": …}.')] = False,
) -> int:
    """Say whether a pattern matches a message, offline. Any JSON object is a message here.

    Exit code 0 is a match, 1 none. With --lines, each line of standard input is answered by one JSON line:
    {"match": true}, {"match": false} or {"error": "…"}.

    Example: pointsman match '{"total": [{"numeric": [">", 9]}]}' '{"total": 12}'
    """
    from service.rules.lines import match_line

    if lines:
        if sys.stdin.isatty():
            say("reading JSON lines from standard input; end it with Ctrl-D")
        for given in sys.stdin.buffer:
            if given.strip():
                sys.stdout.buffer.write(match_line(given) + b"\n")
                sys.stdout.buffer.flush()
        return 0
    if pattern is None or message is None:
        raise Invalid(
            [
                Problem(
                    message="a pattern and a message are needed, or --lines",
                    code="usage",
                    fix="see pointsman match --help",
                )
            ]
        )
    wanted = msgspec.json.encode({"pattern": given_text(pattern), "message": given_text(message)})
    answer = match_line(wanted)
    sys.stdout.write(answer.decode() + "\n")
    return 0 if msgspec.json.decode(answer).get("match") is True else 1


def init(
    folder: Annotated[Path, Parameter(help="Where to; made if it is not there.")] = Path(),
) -> None:
    """Write a commented project to begin with: a configuration, an API description, secrets, a first order.

    No file that is there is overwritten.

    Example: pointsman init my-project
    """
    from service.demo.starter import NEXT, write_starter

    for name in write_starter(folder):
        line(f"wrote {folder / name}")
    say("\nnext:")
    if folder != Path():
        say(f"  cd {shlex.quote(str(folder))}")
    for meaning, command in NEXT:
        say(f"  # {meaning}\n  {command}")

"""The command `pointsman`: its verbs, and how errors leave it.

Exit codes: 0 fine, 1 findings or a refusal, 2 usage, 3 nothing reachable (`DESIGN.md` §12).
"""

import functools
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

from cyclopts import App, CycloptsError, Parameter
from cyclopts.exceptions import UnusedCliTokensError

from service import __version__
from service.cli import (
    adding,
    calling,
    comparing,
    connections,
    describing,
    drafting,
    exporting,
    files,
    linting,
    looking,
    operations,
    sealing,
    serving,
    signing,
    sources,
    tokens,
)
from service.cli.client import Unreachable
from service.cli.doctor import doctor
from service.cli.output import Format, emit_problems, paper, say
from service.errors import Invalid, ServiceError, Unavailable, nearest

FINE: Final = 0
FINDINGS: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3
INTERRUPTED: Final = 130  # 128 + SIGINT, as shells have it

STYLES: Final = ("json", "jsonl", "yaml")
_EXAMPLE: Final = "\nExample: "

Group = tuple[str, str, dict[str, Callable[..., Any]]]
"""A noun, what it is, and what can be done with it; the first is done when nothing is said."""

VERBS: Final[tuple[Callable[..., Any], ...]] = (
    serving.demo,
    files.init,
    files.check,
    doctor,
    serving.serve,
    looking.explain,
    calling.call,
    describing.mock,
    files.match,
    files.schema,
)

_CONNECTORS: Final[dict[str, Callable[..., Any]]] = {
    **calling.CONNECTORS,
    **describing.CONNECTORS,
    "diff": comparing.diff_connectors,
    "lint": linting.lint_descriptions,
    "export": exporting.export_connector,
    "draft": drafting.draft_connector,
    "add": adding.add_connector,
    "fetch": adding.fetch_connector,
}

NOUNS: Final[tuple[Group, ...]] = (
    ("messages", "Messages that were accepted.", looking.MESSAGES),
    ("deliveries", "Deliveries, one for each rule that matched a message.", looking.DELIVERIES),
    ("rejects", "What came in and could not become a message.", looking.REJECTS),
    ("sources", "Sources: how they are, and what to do with them.", sources.SOURCES),
    (
        "connections",
        "Connections of the running instance.",
        {**connections.CONNECTIONS, "add": adding.add_connection},
    ),
    ("operations", "What can be called, of all connectors.", operations.OPERATIONS),
    ("connectors", "API descriptions and their operations.", _CONNECTORS),
    ("signature", "Sign and verify webhooks as providers do, offline.", signing.SIGNATURE),
    ("secrets", "Sealed secrets for the configuration.", sealing.SECRETS),
    ("tokens", "Tokens of the admin API.", tokens.TOKENS),
)


@functools.cache
def make_app() -> App:
    """Return the command with all its verbs; it keeps nothing of what it ran."""
    app = App(
        name="pointsman",
        help="Turns events from outside into messages, matches them with rules, calls described APIs.",
        help_epilogue="Start with: pointsman demo\nHelp for a command: pointsman COMMAND --help",
        version=__version__,
        help_format="plaintext",
        result_action="return_value",
        suppress_keyboard_interrupt=False,
        default_parameter=Parameter(negative=()),
    )
    for rank, verb in enumerate(VERBS):
        _add(app, verb.__name__, verb, rank)
    for rank, (noun, meaning, commands) in enumerate(NOUNS, start=len(VERBS)):
        first, *_ = commands.values()
        words = ", ".join(commands)
        _, example = _split(first)
        shown = f"{meaning[:-1]}: {words}."
        group = App(name=noun, help=shown, help_epilogue=example, sort_key=rank)
        if first.__name__.startswith("list_"):
            group.default(first)
        for place, (name, command) in enumerate(commands.items()):
            _add(group, name, command, place)
        app.command(group)
    return app


def _add(app: App, name: str, command: Callable[..., Any], rank: int) -> None:
    text, example = _split(command)
    app.command(command, name=name, help=text, help_epilogue=example, sort_key=rank)


def _split(command: Callable[..., Any]) -> tuple[str, str]:
    """Return what a command's docstring says, and its example apart: that one must not be reflowed.

    Lines of a paragraph are joined: help is folded to the width of the terminal, not of our source.
    """
    text, _, example = inspect.cleandoc(command.__doc__ or "").partition(_EXAMPLE)
    paragraphs = [" ".join(one.split()) for one in text.strip().split("\n\n")]
    return "\n\n".join(paragraphs), f"Example:\n  {example}"


def run(words: Sequence[str]) -> int:
    """Run one command and return its exit code. Never shows a traceback for what a person did."""
    try:
        result = make_app()(words, console=paper(), exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except CycloptsError as error:
        chain = " ".join(("pointsman", *(error.command_chain or ())))
        say(f"pointsman: {_misread(error, words)}\nsee {chain} --help")
        return USAGE
    except ServiceError as error:
        return _failed(error, words)
    except BrokenPipeError:
        _forget_output()
        return FINE
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        place = f"{error.filename}: " if error.filename is not None else ""
        say(f"pointsman: {place}{error.strerror or error}")
        return FINDINGS
    return result if isinstance(result, int) else FINE


def _misread(error: CycloptsError, words: Sequence[str]) -> str:
    """Return what is wrong with the words; a verb that a noun does not have is told as an unknown command."""
    verbs = {noun: commands for noun, _, commands in NOUNS}.get(words[0] if words else "")
    if not isinstance(error, UnusedCliTokensError):
        return str(error)
    if verbs is None or (len(words) > 1 and words[1] in verbs):
        return f"too much was given: {' '.join(error.unused_tokens or ())}"
    near = nearest(words[1], list(verbs))
    meant = f'Did you mean "{near}"?' if near else f"There are: {', '.join(verbs)}."
    return f'Unknown command "{words[0]} {words[1]}". {meant}'


def _failed(error: ServiceError, words: Sequence[str]) -> int:
    """Say what failed and return the exit code for it."""
    if isinstance(error, Invalid):
        emit_problems(error.problems, _style(words))
        return USAGE if all(one.code == "usage" for one in error.problems) else FINDINGS
    say(f"pointsman: {error}")
    return UNREACHABLE if isinstance(error, Unreachable | Unavailable) else FINDINGS


def _forget_output() -> None:
    """Let nobody try to write what is left: who read our output has gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _style(words: Sequence[str]) -> Format:
    """Return the style that was asked for, also when the command failed."""
    for word, following in zip(words, (*words[1:], ""), strict=True):
        said = following if word in ("-o", "--output") else word.removeprefix("--output=").removeprefix("-o")
        if word.startswith(("-o", "--output")) and said in STYLES:
            return cast("Format", said)
    return "table"

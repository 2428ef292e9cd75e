"""The command `pointsman`: its verbs, and how errors leave it.

Exit codes: 0 fine, 1 findings or a refusal, 2 usage, 3 nothing reachable (`DESIGN.md` §12).
"""

import sys
from collections.abc import Sequence
from typing import Final, cast

from cyclopts import App, CycloptsError

from service import __version__
from service.cli import calling, files, looking, serving, signing, tokens
from service.cli.client import Unreachable
from service.cli.output import Format, emit_problems, err, printable
from service.errors import Invalid, ServiceError, Unavailable

FINE: Final = 0
FINDINGS: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3
INTERRUPTED: Final = 130  # 128 + SIGINT, as shells have it

app = App(
    name="pointsman",
    help="Turns events from outside into messages, matches them with rules, calls described APIs.",
    version=__version__,
    help_format="plaintext",
    result_action="return_value",
)
for verb in (
    serving.serve,
    serving.demo,
    files.init,
    files.check,
    files.schema,
    files.match,
    looking.explain,
    calling.call,
):
    app.command(verb)
for group in (
    looking.messages_app,
    looking.rejects_app,
    looking.deliveries_app,
    calling.connectors_app,
    calling.connections_app,
    signing.signature_app,
    tokens.tokens_app,
):
    app.command(group)


def run(words: Sequence[str]) -> int:
    """Run one command and return its exit code. Never shows a traceback for what a person did."""
    try:
        result = app(words, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        _say(f"{error}\nsee pointsman --help")
        return USAGE
    except ServiceError as error:
        return _failed(error, words)
    except BrokenPipeError:
        sys.stderr.close()
        return FINE
    except KeyboardInterrupt:
        return INTERRUPTED
    return result if isinstance(result, int) else FINE


def _failed(error: ServiceError, words: Sequence[str]) -> int:
    """Say what failed and return the exit code for it."""
    if isinstance(error, Invalid):
        emit_problems(error.problems, _style(words))
        return FINDINGS
    _say(str(error))
    return UNREACHABLE if isinstance(error, Unreachable | Unavailable) else FINDINGS


def _say(text: str) -> None:
    err().print(f"pointsman: {printable(text)}", markup=False)


def _style(words: Sequence[str]) -> Format:
    """Return the style that was asked for, also when the command failed."""
    for word, following in zip(words, (*words[1:], ""), strict=True):
        said = following if word in ("-o", "--output") else word.removeprefix("--output=").removeprefix("-o")
        if word.startswith(("-o", "--output")) and said in ("json", "jsonl", "yaml"):
            return cast("Format", said)
    return "table"

"""Arguments that are texts, files (`@name`) or standard input (`-`)."""

import sys
from pathlib import Path
from typing import Any

import msgspec

from service.cli.output import say
from service.errors import Invalid, Problem


def given_bytes(argument: str) -> bytes:
    """Return what an argument stands for: itself, the file behind `@`, or standard input for `-`."""
    if argument in ("-", "@-"):
        if sys.stdin.isatty():
            say("reading standard input; end it with Ctrl-D")
        return sys.stdin.buffer.read()
    if not argument.startswith("@"):
        return argument.encode("utf-8", "surrogateescape")
    try:
        return Path(argument[1:]).read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise Invalid([Problem(message=f"cannot read {argument[1:]}: {reason}", code="no-file")]) from error


def given_text(argument: str) -> str:
    """Return the text that an argument stands for. Raise Invalid when it is no UTF-8."""
    try:
        return given_bytes(argument).decode("utf-8")
    except UnicodeDecodeError as error:
        what = argument[1:] if argument.startswith("@") else "the text"
        raise Invalid([Problem(message=f"{what} is not UTF-8", code="bad-text")]) from error


def given_arguments(text: str) -> dict[str, Any]:
    """Read the inputs. Raise Invalid with the place of the fault."""
    try:
        arguments = msgspec.json.decode(given_bytes(text))
    except (msgspec.DecodeError, RecursionError) as error:
        raise Invalid([Problem(message=f"--with is no JSON: {error}", code="bad-arguments")]) from error
    if not isinstance(arguments, dict):
        raise Invalid(
            [Problem(message="--with must be an object of inputs", code="bad-arguments", found=text[:80])]
        )
    return arguments

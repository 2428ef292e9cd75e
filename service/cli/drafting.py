"""The verb that drafts a description from a sample: connectors draft."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from service.cli.arguments import given_bytes, given_text
from service.cli.output import json_text, say, yaml_text
from service.errors import Invalid, Problem

if TYPE_CHECKING:
    from actions.drafting import Draft

Syntax = Literal["yaml", "json"]


def draft_connector(
    *,
    curl: Annotated[
        str, Parameter(help="A command of curl, as text, @file or -.", allow_leading_hyphen=True)
    ],
    answer: Annotated[
        str,
        Parameter(
            help="What it brought, as text, @file or -: a body, or all that `curl -i` prints.",
            allow_leading_hyphen=True,
        ),
    ] = "",
    id_: Annotated[
        str, Parameter(name="--id", help="The operation's id; else made of method and path.")
    ] = "",
    title: Annotated[str, Parameter(help="The title of the API; else its host.")] = "",
    into: Annotated[
        Path | None, Parameter(help="A description in OpenAPI 3.1 that gets the operation; it is rewritten.")
    ] = None,
    output: Annotated[
        Syntax, Parameter(name=["--output", "-o"], help="How to print: yaml or json.")
    ] = "yaml",
) -> None:
    """Draft an OpenAPI 3.1 description from a command of curl, to standard output.

    Nothing is sent. What is an input, of which type, and what is required is guessed from the one sample:
    look it over. No credential of the sample is written.

    Example: pointsman connectors draft --curl @request.sh --answer @answer.json --id getOrder
    """
    from service.usecases.drafting import drafted

    if into is not None and title:
        problem = Problem(
            message="--title is for a new description, --into for one that is there", code="usage"
        )
        raise Invalid([problem])
    if curl in ("-", "@-") and answer in ("-", "@-"):
        problem = Problem(message="only one of --curl and --answer is standard input", code="usage")
        raise Invalid([problem])
    command = given_text(curl)
    brought = given_bytes(answer) if answer else None
    if into is not None:
        _put(into, command, brought, id_)
        return
    made = drafted(command, brought, name=id_, title=title)
    sys.stdout.write(_text(made.document, output))
    _tell(made)


def _put(path: Path, command: str, answer: bytes | None, name: str) -> None:
    """Put the operation into a file, which is replaced at once."""
    from service.replacing import replace_file
    from service.usecases.drafting import drafted, read_draft

    document, syntax = read_draft(str(path), path.read_bytes(), yaml_text)
    made = drafted(command, answer, name=name, into=document)
    replace_file(path, _text(made.document, syntax).encode())
    _tell(made)
    say(f"{path} has {made.operation} now: {made.method} {made.path}")


def _text(document: dict[str, Any], syntax: Syntax) -> str:
    return json_text(document, indent=2) + "\n" if syntax == "json" else yaml_text(document)


def _tell(made: "Draft") -> None:
    for place in made.left_out:
        say(f"left out: the value of {place}; the connection gives it under `auth`")
    if made.inputs:
        say(f"inputs of the path: {', '.join(made.inputs)}")
    for note in made.notes:
        say(note)

"""Drafts a description of an API from a sample: a command of curl and what came back. Sends nothing.

What is drafted is read by our own reader before anybody gets it.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from actions.drafting import Draft, Taken, draft, read_answer, read_curl
from actions.errors import Refused
from actions.specs import read_spec
from actions.specs.load import Syntax, load
from service.errors import Conflict, Invalid, Problem


def drafted(
    curl: str,
    answer: bytes | None = None,
    *,
    name: str = "",
    title: str = "",
    into: dict[str, Any] | None = None,
) -> Draft:
    """Return a draft of a command; `into` is a document that gets the operation, in a copy.

    Raise Invalid with everything that is wrong, Conflict where the operation is in the document.
    """
    try:
        made = draft(
            read_curl(curl),
            read_answer(answer) if answer is not None else None,
            name=name,
            title=title,
            into=into,
        )
    except Taken as error:
        raise Conflict(str(error)) from error
    except Refused as error:
        said = [text for _, text in error.problems] or [str(error)]
        raise Invalid([Problem(message=text, code="no-draft") for text in said]) from error
    _check(made)
    return made


def _check(made: Draft) -> None:
    """Raise Invalid where our own reader does not take the operation as it is meant."""
    spec = read_spec({"draft.json": msgspec.json.encode(made.document)})
    operation = spec.find(made.operation)
    known = [one.message for one in spec.findings if one.severity == "error"]
    if operation is not None and operation.problem:
        known.append(operation.problem)
    if operation is None or known:
        why = "; ".join(known) or "it is not there"
        raise Invalid([Problem(message=f"the draft cannot be read: {why}", code="no-draft")])


def read_draft(
    title: str, data: bytes, written: Callable[[dict[str, Any]], str]
) -> tuple[dict[str, Any], Syntax]:
    """Return the document of a file that is to get an operation, and its syntax: json or yaml.

    `written` says how we would write it. Raise Invalid where that would lose something that people wrote.
    """
    document = load(title, data)
    errors = [one for one in document.findings if one.severity == "error"]
    if errors or not isinstance(document.value, dict):
        why = errors[0].message if errors else "it is no object"
        raise Invalid([Problem(message=f"{title} cannot be read: {why}", code="no-draft")])
    if document.syntax == "yaml" and "#" in document.text and document.text != written(document.value):
        raise Invalid(
            [
                Problem(
                    message=f"{title} may hold comments, which would be lost",
                    code="no-draft",
                    fix="draft without --into, and put the operation there by hand",
                )
            ]
        )
    return document.value, document.syntax

"""Where calls and answers differ from what the description says: counted by operation, with samples.

Advice at first: a description is often wrong while the backend is right. What is only to be told is looked at
a few times a second for each operation, so that it costs next to nothing; what is to be refused, always.
Nothing here is kept over a restart.
"""

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, Literal

import msgspec

from actions.arguments import ABSENT, opened
from actions.base import Answer, Difference
from actions.bodies.defaults import defaults_of
from actions.errors import Refused
from actions.specs.model import Operation, Spec
from actions.validation import Problem, Strictness, Validator, Validators

GAP: Final = 0.2
"""Seconds between two looks at the same operation, where nothing is refused."""

MAX_BYTES: Final = 256 * 1024
"""Longer answers are not looked at."""

SAMPLES: Final = 5
MAX_KEPT: Final = 1_000
"""Operations of which something is kept."""

_CHOICES: Final = frozenset({"content-type", "accept"})
"""What chooses among the media types; building the request knows which there are."""

Side = Literal["arguments", "answer"]


class Drift:
    """Looks at the calls of one connection. `arguments` and `answers` say what follows from a difference."""

    def __init__(
        self,
        spec: Spec,
        *,
        arguments: Strictness = "warn",
        answers: Strictness = "warn",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spec = spec
        self._spec = spec
        self._validators = Validators(spec)
        self._arguments = arguments
        self._answers = answers
        self._clock = clock
        self._due: dict[tuple[str, Side], float] = {}
        self._found: dict[tuple[str, Side], Difference] = {}

    def check_arguments(self, operation: Operation, arguments: Mapping[str, Any]) -> None:
        """Look at the arguments of a call. Raise Refused with every problem where that was asked for."""
        reject = self._arguments == "reject"
        if self._arguments == "off" or not (reject or self._is_due(operation.id, "arguments")):
            return
        validator = self._validators.arguments(operation, _content_type(arguments))
        problems = validator.problems(self._sent(operation, arguments))
        self._note(operation.id, "arguments", problems, 0)
        if reject and problems:
            raise Refused(
                f"{operation.id} is not called: its arguments do not fit the description: "
                + "; ".join(f"{pointer or '/'} {text}" for pointer, text in problems),
                tuple(problems),
            )

    def check_answer(self, operation: Operation, answer: Answer) -> None:
        """Look at an answer."""
        if self._answers == "off" or not self._is_due(operation.id, "answer"):
            return
        if answer.truncated or not answer.body or len(answer.body) > MAX_BYTES:
            return
        problems = self._of_answer(operation, answer)
        if problems is not None:
            self._note(operation.id, "answer", problems, answer.status)

    def report(self) -> list[Difference]:
        """Return what was looked at and differed, the latest first."""
        differing = (one for one in self._found.values() if one.differed)
        return sorted(differing, key=lambda one: -one.at)

    def _sent(self, operation: Operation, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments with the body that defaults make where none was given, without media types."""
        declared = {one.name for one in operation.parameters}
        given = _without_choices(arguments, declared)
        if isinstance(given.get("header"), Mapping) and "header" not in declared:
            given["header"] = _without_choices(given["header"], declared)
        if "body" not in given and operation.body is not None and operation.body.media:
            body = defaults_of(self._spec.registry).of(operation.body.media[0].schema)
            if body is not ABSENT:
                given["body"] = body
        return given

    def _of_answer(self, operation: Operation, answer: Answer) -> list[Problem] | None:
        kind = answer.header("content-type") or ""
        declared = operation.responses
        status = str(answer.status)
        if declared and not {status, f"{status[0]}XX", f"{status[0]}xx", "default"} & declared.keys():
            return [("", f"the status {status} is not declared")]
        validator: Validator | None = self._validators.answer(operation, answer.status, kind)
        if validator is None or "json" not in kind:
            return None
        try:
            value = msgspec.json.decode(answer.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return [("", f"is declared as {kind[:80]} and is no JSON")]
        return validator.problems(value)

    def _is_due(self, operation: str, side: Side) -> bool:
        now = self._clock()
        if now < self._due.get((operation, side), 0.0):
            return False
        self._due[operation, side] = now + GAP
        return True

    def _note(self, operation: str, side: Side, problems: list[Problem], status: int) -> None:
        found = self._found.get((operation, side))
        if found is None:
            if len(self._found) >= MAX_KEPT:
                return
            found = self._found[operation, side] = Difference(operation=operation, side=side)
        found.looked += 1
        if problems:
            found.differed += 1
            found.at = time.time()
            found.status = status
            found.samples = [f"{pointer or '/'} {text}" for pointer, text in problems[:SAMPLES]]


def _without_choices(arguments: Mapping[str, Any], declared: Collection[str]) -> dict[str, Any]:
    return {
        name: value for name, value in arguments.items() if name in declared or name.lower() not in _CHOICES
    }


def _content_type(arguments: Mapping[str, Any]) -> str:
    """Return the media type that the arguments choose for the body, "" when they choose none."""
    headers = arguments.get("header")
    for given in (arguments, headers if isinstance(headers, Mapping) else {}):
        for name, value in given.items():
            if name.lower() == "content-type":
                chosen = opened(value)
                return chosen if isinstance(chosen, str) else ""
    return ""

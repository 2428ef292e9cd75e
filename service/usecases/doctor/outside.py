"""Looks at the configuration, and asks each source and each connection to prove that it can work."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final

from actions.base import Finding as ConnectionFinding
from actions.errors import ActionError
from service.config.marks import join_pointer
from service.connectors import make_connector
from service.errors import Problem, ServiceError
from service.usecases.bounds import Bounds, GivenUp, StillOut, TimedOut
from service.usecases.checking import Candidate
from service.usecases.doctor.rows import Row, Section, fine, wrong
from service.usecases.trying import open_source
from triggers.base import Finding
from triggers.errors import TriggerError

Question = Callable[[], Awaitable[Sequence[Finding | ConnectionFinding]]]

_TOO_LATE: Final = "look whether it is up and whether a firewall swallows what is sent to it"


def configuration_rows(candidate: Candidate, names: Sequence[str] = ()) -> Iterator[Row]:
    """Tell what is wrong in the configuration; what is only doubtful is for `pointsman check` to tell.

    With `names`, only what concerns these sources and connections.
    """
    places = [f"{join_pointer(kind, name)}/" for kind in ("sources", "connections") for name in names]
    errors = [
        one
        for one in candidate.errors
        if not names or not one.pointer or f"{one.pointer}/".startswith(tuple(places))
    ]
    for problem in errors:
        yield wrong(
            "configuration",
            _place(problem),
            problem.code,
            problem.message,
            problem.fix,
        )
    if not errors and not names:
        plan = candidate.plan
        doubts = len(candidate.problems)
        text = (
            f"{_count(len(plan.configuration.sources), 'source')}, {_count(len(plan.ruleset.rules), 'rule')}"
        )
        if doubts:
            text += f"; {_count(doubts, 'warning')}: pointsman check"
        yield fine("configuration", "file", text)


def _place(problem: Problem) -> str:
    return f"{problem.file}:{problem.line}" if problem.line else problem.pointer or problem.file or "file"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def ask_source(candidate: Candidate, name: str) -> Question:
    """Return the question whether a source can work: a new object of it, opened, asked and closed again."""

    async def question() -> list[Finding]:
        async with open_source(candidate, name) as source:
            return await source.check()

    return question


def ask_connection(candidate: Candidate, name: str) -> Question:
    """Return the question whether a connection can work."""

    async def question() -> list[ConnectionFinding]:
        planned = candidate.plan.connections[name]
        connector = make_connector(planned, planned.spec, candidate.pems[name])
        try:
            await connector.open()
            return [one for one in await connector.check() if one.severity != "info"]
        finally:
            await connector.close()

    return question


async def answers(
    section: Section,
    questions: dict[str, Question],
    bounds: Bounds,
    told: Callable[[Row], None],
) -> list[Row]:
    """Ask all at once; return the rows in the order of the questions, `told` hears them as they come."""

    async def one(name: str, question: Question) -> list[Row]:
        rows = await _answer(section, name, question, bounds)
        for row in rows:
            told(row)
        return rows

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(name, question)) for name, question in questions.items()]
    return [row for task in tasks for row in task.result()]


async def _answer(section: Section, name: str, question: Question, bounds: Bounds) -> list[Row]:
    def found(code: str, message: str, fix: str) -> list[Row]:
        return [wrong(section, name, code, message, fix)]

    # Gathered, so that a fault of an adapter becomes a row too, whatever it raises.
    (outcome,) = await asyncio.gather(bounds.ask(f"{section}/{name}", question), return_exceptions=True)
    if isinstance(outcome, StillOut):
        return found("still-asking", "an earlier question has not come back yet", _TOO_LATE)
    if isinstance(outcome, TimedOut | GivenUp):
        late = isinstance(outcome, TimedOut)
        why = f"no answer within {bounds.seconds:g} s" if late else "the connection was lost meanwhile"
        return found("no-answer", why, _TOO_LATE)
    if isinstance(outcome, TriggerError | ActionError | ServiceError):
        return found("refused", str(outcome), getattr(outcome, "fix", ""))
    if isinstance(outcome, BaseException):
        if not isinstance(outcome, Exception):
            raise outcome
        text = f"the check failed in an unforeseen way: {type(outcome).__name__}: {str(outcome)[:200]}"
        return found("check-failed", text, "this is a fault of ours: please report it")
    if not outcome:
        return [fine(section, name, "fine")]
    return [
        Row(
            section=section,
            what=name,
            severity="error" if one.severity == "error" else "warning",
            code=one.code,
            message=one.message,
            fix=one.fix,
        )
        for one in outcome
    ]

"""Checking a configuration whole: its text, its shape, its rules, its descriptions, its sources.

`check`, `serve` and a reload all come through here, so what `check` lets pass is what runs.
"""

import asyncio
import hashlib
import time
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from typing_extensions import override

from actions.egress import Resolver
from actions.errors import Refused, RetryLater
from actions.plain import description
from service.config.check import CheckedConfiguration, load_configuration, problems_at
from service.config.marks import join_pointer
from service.connectors import PEM, make_connector
from service.descriptions import DEFAULT, Bounds, Unfit, kept, kept_copy
from service.errors import Invalid, Problem
from service.plan import SOURCE_VARIABLES, Plan, build
from service.planned import PlannedConnection, versioned
from service.rules.cel import ABSENT, Budget, CELError, EvaluationError, compile_expression, to_json
from service.rules.mapping import RenderError, TemplateErrors, View, compile_template
from triggers import SOURCES
from triggers.base import Expression, Source, SourceContext
from triggers.errors import TriggerError

EXPRESSION_BUDGET = 50_000
"""Evaluation steps for a source's `id`, `type` or `subject` expression on one message."""

ANSWER_BUDGET = 1_000_000
"""Evaluation steps for an expression over a polled answer: about a tenth of a second."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Candidate:
    """A configuration that was checked. With an error among the problems the plan may not run.

    It is written out nowhere: `asyncio.run` asks twice for the text of what a coroutine returned (in what
    `signal.signal` raises inside), which for a large description is megabytes.
    """

    checked: CheckedConfiguration
    plan: Plan
    files: Mapping[str, bytes]
    pems: Mapping[str, PEM]
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that keep it from running."""
        return tuple(problem for problem in self.problems if problem.severity == "error")

    def wanted(self) -> Plan:
        """Return the plan. Raise Invalid with every problem when there is an error among them."""
        if self.errors:
            raise Invalid(self.problems)
        return self.plan


async def check_configuration(
    path: Path,
    *,
    resolve: bool,
    env: Mapping[str, str],
    connection: str | None = None,
    bounds: Bounds = DEFAULT,
) -> Candidate:
    """Check a configuration without touching anything that runs. Never raises for what the files hold.

    With `resolve` a missing secret is an error, without it a warning. With `connection`, the name of the only
    one that is to be used, no other secrets than its own are asked for: no other connection and no source is
    made on trial, for they would be made with placeholders. All that needs no secret is checked all the same.
    `bounds` say how much is read of descriptions.
    """
    checked = await asyncio.to_thread(
        load_configuration, path, resolve=resolve, env=env, connection=connection
    )
    files, unread = await asyncio.to_thread(_descriptions, checked, bounds)
    plan = await asyncio.to_thread(build, checked.sketch, files, bounds=bounds)
    pems, found = _certificates(checked)
    said = {problem.pointer for problem in unread}
    found += [*unread, *(one for one in plan.problems if not _is_told(checked, one, said))]
    if connection is None:
        found += await _check_sources(checked, plan)
    tried = {name: one for name, one in plan.connections.items() if connection in (None, name)}
    found += await _check_connections(checked, tried, pems)
    # What is broken as text or in its shape is not judged a second time by what that makes of it.
    errors = [problem for problem in checked.problems if problem.severity == "error"]
    lines = {(problem.file, problem.line) for problem in errors if not problem.pointer}
    places = {_place(problem)[:3] for problem in errors}
    further = [
        problem
        for problem in problems_at(found, checked.marks)
        if (problem.file, problem.line) not in lines and _place(problem)[:3] not in places
    ]
    problems = tuple(sorted((*checked.problems, *further), key=_place))
    return Candidate(checked=checked, plan=plan, files=files, pems=pems, problems=problems)


def _is_told(checked: CheckedConfiguration, problem: Problem, said: AbstractSet[str]) -> bool:
    """Say whether a description is missing for a reason that is told already."""
    connector = problem.pointer.rpartition("/")[0]
    known = {problem.pointer, f"{problem.pointer}/spec"} & said
    return problem.code == "no-spec" and (bool(known) or not checked.sound(connector))


def _place(problem: Problem) -> tuple[str, int, int, str]:
    return problem.file, problem.line, problem.column, problem.message


def _descriptions(checked: CheckedConfiguration, bounds: Bounds) -> tuple[dict[str, bytes], list[Problem]]:
    """Return the bytes to keep of every connector's description, and why some cannot be read."""
    files: dict[str, bytes] = {}
    problems = []
    for name, config in checked.sketch.connectors.items():
        pointer = join_pointer("connectors", name, "spec")
        if config.kind is not None:
            files[name] = description(config.kind)
        elif checked.sound(pointer) and checked.sound(join_pointer("connectors", name, "sha256")):
            try:
                files[name] = _description(checked, name, bounds)
            except Unfit as unfit:
                problem = Problem(message=str(unfit), code=unfit.code, pointer=pointer, fix=unfit.fix)
                problems.append(problem)
        for version in config.usable:
            pointer = checked.version(name, version)
            try:
                files[versioned(name, version)] = kept(
                    checked.path(pointer), bounds, within=checked.folder(pointer)
                )
            except Unfit as unfit:
                problem = Problem(message=str(unfit), code=unfit.code, pointer=pointer, fix=unfit.fix)
                problems.append(problem)
    return files, problems


def _description(checked: CheckedConfiguration, name: str, bounds: Bounds) -> bytes:
    config, path = checked.sketch.connectors[name], checked.description(name)
    if config.sha256 is None:
        return kept(path, bounds, within=checked.folder(join_pointer("connectors", name, "spec")))
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Unfit(f"the copy of it cannot be read: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != config.sha256:
        fix = "`pointsman connectors fetch` fetches it again"
        raise Unfit("the copy of it is not what `sha256` says", code="bad-copy", fix=fix)
    return kept_copy(config.title, data, bounds)


def _certificates(checked: CheckedConfiguration) -> tuple[dict[str, PEM], list[Problem]]:
    """Read the certificate files of every connection, and the hook of its connector."""
    pems: dict[str, PEM] = {}
    problems: list[Problem] = []
    for name, config in checked.sketch.connections.items():
        read = {}
        said = config.tls.model_dump(exclude_none=True) if config.tls is not None else {}
        places = {field: join_pointer("connections", name, "tls", field) for field in said}
        connector = checked.sketch.connectors.get(config.connector)
        if connector is not None and connector.code is not None:
            said["code"] = connector.code
            places["code"] = join_pointer("connectors", config.connector, "code")
        for field, pointer in places.items():
            try:
                read[field] = checked.path(pointer).read_bytes()
            except OSError as error:
                problems.append(
                    Problem(
                        message=f"the file cannot be read: {error.strerror}",
                        code="no-file",
                        pointer=pointer,
                        found=said[field],
                    )
                )
        pems[name] = PEM(**read)
    return pems, problems


class _Offline(Resolver):
    """Resolves nothing: checking asks no name server."""

    @override
    async def resolve(self, host: str, port: int) -> Sequence[str]:
        raise RetryLater("names are not looked up while checking")

    @override
    def close(self) -> None:
        return None


async def _check_connections(
    checked: CheckedConfiguration, connections: Mapping[str, PlannedConnection], pems: Mapping[str, PEM]
) -> list[Problem]:
    """Make every connector whose connection is sound and ask it what it thinks of it."""
    problems: list[Problem] = []
    for name, planned in connections.items():
        pointer = join_pointer("connections", name)
        hook = join_pointer("connectors", planned.config.connector, "code")
        if not (checked.sound(pointer) and checked.sound(hook)):
            continue
        try:
            connector = make_connector(planned, planned.spec, pems.get(name, PEM()), resolver=_Offline())
        except Refused as error:
            problems += [
                Problem(message=text, code="connection-refused", pointer=pointer + where)
                for where, text in error.problems or (("", str(error)),)
            ]
            continue
        problems.extend(
            Problem(
                message=finding.message,
                code=finding.code,
                severity="error" if finding.severity == "error" else "warning",
                pointer=pointer,
                fix=finding.fix,
            )
            for finding in await connector.check()
            if finding.severity != "info" and finding.code != "server-not-found"
        )
        await connector.close()
    return problems


async def _check_sources(checked: CheckedConfiguration, plan: Plan) -> list[Problem]:
    """Ask every sound source what it thinks of its configuration, and open it on trial."""
    problems: list[Problem] = []
    for name, config in checked.sketch.sources.items():
        pointer = join_pointer("sources", name)
        if _misses_secret(checked, name) or not checked.sound(pointer):
            continue  # a placeholder stands for it: what a source thinks of that says nothing
        source: Source[Any] = resolve_name(SOURCES[config.kind])(name, config)
        findings = source.review()
        problems.extend(
            Problem(
                message=finding.message,
                code=finding.code,
                severity=finding.severity,
                pointer=join_pointer("sources", name, *filter(None, finding.field.split("."))),
                fix=finding.fix,
            )
            for finding in findings
        )
        if any(finding.severity == "error" for finding in findings):
            continue
        if any(problem.pointer.startswith(f"{pointer}/") for problem in plan.errors):
            continue  # its expressions are wrong: opening would only say so again
        try:
            await source.open(source_context(name, lambda _point: None))
        except TriggerError as error:
            problems.append(Problem(message=str(error), code="source-refused", pointer=pointer))
        finally:
            await source.close()
    return problems


def _misses_secret(checked: CheckedConfiguration, source: str) -> bool:
    """Say whether a secret of a source could not be resolved, which was reported already."""
    below = join_pointer("sources", source) + "/"
    return any(
        problem.code == "secret-missing" and problem.pointer.startswith(below) for problem in checked.problems
    )


def source_context(name: str, reached: Any) -> SourceContext:
    """Return what a source is handed when it opens."""
    return SourceContext(
        name=name,
        reached=reached,
        clock=time.time,
        expression=compile_for_source,
        expression_over=compile_over,
        template=compile_tree,
    )


def compile_for_source(text: str) -> Expression:
    """Compile an expression for a source; it is given the JSON object that rules see. Raise ValueError."""
    try:
        program = compile_expression(text, variables=SOURCE_VARIABLES)
    except CELError as error:
        raise ValueError(str(error)) from error

    def evaluate(event: Mapping[str, Any]) -> Any:
        variables = {"event": event, "data": event.get("data"), "meta": event.get("meta")}
        try:
            return to_json(program.evaluate(variables, Budget(EXPRESSION_BUDGET)))
        except EvaluationError as error:
            raise ValueError(str(error)) from error

    return evaluate


def compile_over(text: str, variables: Sequence[str]) -> Expression:
    """Compile an expression over a source's own variables; an absent optional is null. Raise ValueError."""
    try:
        program = compile_expression(text, variables=variables)
    except CELError as error:
        raise ValueError(str(error)) from error

    def evaluate(seen: Mapping[str, Any]) -> Any:
        budget = Budget(ANSWER_BUDGET)
        try:
            value = program.evaluate(seen, budget)
            return None if value is ABSENT else to_json(value, budget)
        except EvaluationError as error:
            raise ValueError(str(error)) from error

    return evaluate


def compile_tree(tree: Any, variables: Sequence[str]) -> Expression:
    """Compile a JSON tree with `${…}` over variables of the source's own. Raise ValueError."""
    try:
        template = compile_template(tree, variables=variables)
    except TemplateErrors as error:
        raise ValueError(str(error)) from error

    def render(seen: Mapping[str, Any]) -> Any:
        try:
            return template.render(View(seen, {}, Budget(ANSWER_BUDGET)))
        except RenderError as error:
            raise ValueError(str(error)) from error

    return render

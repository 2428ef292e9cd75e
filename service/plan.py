"""From a configuration to what runs: the ruleset, and the descriptions and connections that it needs.

Everything that can be wrong in a rule is found here, all of it at once, each problem with its JSON pointer.
No network, no store, no secret value: `check` and `serve` build the same way. A plan never changes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from actions.base import Follow, Paging
from actions.errors import Refused
from actions.places import own_server
from actions.raw import RAW, find_called
from actions.specs.model import Operation, Spec
from service.calls import (
    check_deprecated,
    check_follow,
    check_inputs,
    check_login,
    check_preset,
    check_raw,
    check_references,
    check_repeats,
    check_version,
    settled,
)
from service.config.model import Configuration, RuleConfig, StepConfig
from service.descriptions import DEFAULT, Bounds
from service.errors import Invalid, Problem, nearest
from service.examples import failed_examples
from service.planned import PlannedConnection, Planning, pins
from service.retry import Policy
from service.rules.cel import VARIABLES, CELError, Program, compile_expression
from service.rules.mapping import Template, TemplateErrors, compile_template, escape, problems_of
from service.rules.model import Rule, Ruleset, Step
from service.rules.pattern import Pattern, parse_pattern
from triggers.base import Called

SOURCE_VARIABLES: Final = ("event", "data", "meta")
"""What the expressions of a source see: there are no steps yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A whole configuration, built. `problems` holds the warnings too; with an error nothing may run.

    `specs` are the descriptions of all connectors that can be read, used or not, with the operations that
    are wanted; `whole` are the same with all of them.
    """

    configuration: Configuration
    ruleset: Ruleset
    connections: Mapping[str, PlannedConnection]
    problems: tuple[Problem, ...]
    specs: Mapping[str, Spec]
    whole: Mapping[str, Spec]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that keep the plan from running."""
        return tuple(problem for problem in self.problems if problem.severity == "error")


def build(
    configuration: Configuration,
    files: Mapping[str, bytes],
    *,
    number: int = 0,
    rule_number: Callable[[str], int] | None = None,
    strict: bool = True,
    bounds: Bounds = DEFAULT,
) -> Plan:
    """Build a plan. `files` are the descriptions' bytes by connector, as `pin` made them.

    `rule_number` gives a rule's number in the store; without a store rules count from 1. `strict` False
    skips what only a person who writes the file wants to know (the rules' tests): a stored ruleset was
    checked when it was made.
    """
    return _Builder(configuration, files, number, rule_number, strict=strict, bounds=bounds).build()


class _Builder:
    def __init__(
        self,
        configuration: Configuration,
        files: Mapping[str, bytes],
        number: int,
        rule_number: Callable[[str], int] | None,
        *,
        strict: bool,
        bounds: Bounds,
    ) -> None:
        self.configuration = configuration
        self.files = files
        self.number = number
        counted = {name: place for place, name in enumerate(configuration.rules, 1)}
        self.rule_number = rule_number or counted.__getitem__
        self.strict = strict
        self.bounds = bounds
        self.problems: list[Problem] = []

    def build(self) -> Plan:
        planning = Planning(self.configuration, self.files, self.problems, self.bounds)
        specs = planning.specs()
        connections = planning.connections(specs)
        self._check_sources(connections)
        rules = []
        for name, config in self.configuration.rules.items():
            rule = self._rule(name, config, connections)
            if rule is not None:
                rules.append(rule)
        return Plan(
            configuration=self.configuration,
            ruleset=Ruleset(
                self.number,
                rules,
                pins(connections),
            ),
            connections=connections,
            problems=tuple(self.problems),
            specs={name: specs[name].spec for name in self.configuration.connectors if name in specs},
            whole=planning.whole,
        )

    def _problem(self, pointer: str, message: str, code: str, **more: Any) -> None:
        self.problems.append(Problem(message=message, code=code, pointer=pointer, **more))

    # -- sources, connectors and connections

    def _check_sources(self, connections: Mapping[str, PlannedConnection]) -> None:
        """Compile the expressions of every source; the source itself compiles them again when it opens."""
        for name, config in self.configuration.sources.items():
            pointer = f"/sources/{escape(name)}"
            for field in config.expressions:
                seen = config.sees.get(field)
                kinds = ("string", "int") if seen is None else ()
                text = getattr(config, field)
                self._expression(f"{pointer}/{field}", text, kinds, seen or SOURCE_VARIABLES)
            for called in config.called():
                self._called(pointer, called, connections)

    def _called(self, pointer: str, called: Called, connections: Mapping[str, PlannedConnection]) -> None:
        """Judge an operation that a source calls, as a step of a rule is judged."""
        inputs = f"{pointer}/{called.inputs_field}"
        self._template(inputs, called.inputs, called.variables)
        name, _, wanted = called.operation.partition(".")
        connection = connections.get(name)
        if connection is None:
            return  # said elsewhere: unknown, or broken itself
        operation = self._operation(f"{pointer}/{called.field}", name, wanted, connection)
        if operation is not None:
            self.problems += check_inputs(inputs, called.inputs, operation, connection.spec)

    # -- rules

    def _rule(
        self, name: str, config: RuleConfig, connections: Mapping[str, PlannedConnection]
    ) -> Rule | None:
        pointer = f"/rules/{escape(name)}"
        before = sum(problem.severity == "error" for problem in self.problems)
        pattern = self._pattern(f"{pointer}/match", config.match)
        when = self._expression(f"{pointer}/when", config.when, ("bool",))
        key = self._expression(f"{pointer}/key", config.key)
        if config.mode != "parallel" and config.key is None and self.strict:
            self._problem(
                pointer,
                f"mode {config.mode} without `key`: all messages of the rule are one key",
                "mode-without-key",
                severity="warning",
            )
        if config.mode != "parallel" and key is None:
            key = compile_expression("'all'")
        steps = []
        for place, step in enumerate(config.do):
            made = self._step(f"{pointer}/do/{place}", step, connections)
            if made is not None:
                steps.append(made)
        if len(steps) == len(config.do):  # a step that is broken itself may well be the one that is meant
            self.problems += check_references(pointer, steps)
        if sum(problem.severity == "error" for problem in self.problems) > before or len(steps) < len(
            config.do
        ):
            return None
        rule = Rule(
            number=self.rule_number(name),
            name=name,
            sources=frozenset(config.from_) if config.from_ is not None else None,
            pattern=pattern,
            when=when,
            key=key,
            mode=config.mode,
            steps=tuple(steps),
            paused=config.paused,
        )
        if self.strict:
            self.problems += failed_examples(pointer, rule, config)
        return rule

    def _pattern(self, pointer: str, match: Any) -> Pattern | None:
        if match is None:
            return None
        try:
            return parse_pattern(match)
        except Invalid as error:
            for problem in error.problems:
                self._add_below(pointer, problem)
            return None

    def _add_below(self, pointer: str, problem: Problem) -> None:
        self._problem(
            pointer + problem.pointer,
            problem.message,
            problem.code,
            severity=problem.severity,
            offset=problem.offset,
            found=problem.found,
            fix=problem.fix,
        )

    def _expression(
        self,
        pointer: str,
        text: str | None,
        kinds: Sequence[str] = (),
        variables: Sequence[str] = VARIABLES,
    ) -> Program | None:
        """Compile an expression whose value must be of one of these kinds; none given: of any."""
        if text is None:
            return None
        try:
            program = compile_expression(text, variables=variables)
        except CELError as error:
            self.problems.extend(problems_of(error, pointer))
            return None
        if kinds and program.kind and program.kind not in kinds:
            wanted = " or ".join(kinds)
            self._problem(pointer, f"the value must be {wanted}, this is always {program.kind}", "expression")
        return program

    def _step(
        self, pointer: str, config: StepConfig, connections: Mapping[str, PlannedConnection]
    ) -> Step | None:
        arguments = self._template(f"{pointer}/with", config.with_)
        connection = connections.get(config.connection)
        if connection is None:
            return None  # said elsewhere: unknown, or broken itself
        spec = self._version(pointer, config, connection)
        if spec is None:
            return None
        connection = replace(connection, spec=spec)
        operation = self._operation(
            f"{pointer}/call", config.connection, config.operation, connection, config.with_
        )
        if operation is None:
            return None
        if operation.id == RAW:
            self.problems += check_raw(f"{pointer}/with", config.with_)
        self.problems += check_preset(pointer, config, operation)
        self.problems += check_inputs(f"{pointer}/with", config.with_, operation, spec, config.preset)
        self.problems += check_follow(pointer, config, operation)
        if arguments is None:
            return None
        if self.strict:
            self.problems += check_login(f"{pointer}/call", config, operation, connection.config)
            self.problems += check_repeats(f"{pointer}/call", config, operation)
            self.problems += check_deprecated(f"{pointer}/call", config, operation, spec)
        return Step(
            name=config.name or operation.id.removeprefix(":"),
            connection=config.connection,
            operation=operation.id,
            arguments=arguments,
            retry=Policy(
                total=_ms(config.retry.for_), first=_ms(config.retry.first), longest=_ms(config.retry.max)
            ),
            on=dict(config.on),
            on_unknown=config.on_unknown,
            timeout_ms=_ms(config.timeout) if config.timeout is not None else None,
            follow=_follow(config),
            version=config.version or "",
            preset=config.preset or "",
        )

    def _version(self, pointer: str, config: StepConfig, connection: PlannedConnection) -> Spec | None:
        """Return the description that a step is performed with; None and a problem for an unknown version."""
        if config.version is None:
            return connection.spec
        connector = connection.config.connector
        said = connection.connector.versions.get(config.version)
        self.problems += check_version(pointer, config, connector, said, strict=self.strict)
        pin = connection.versions.get(config.version)
        if pin is None and config.version in connection.connector.versions:
            return None  # said: it is withdrawn, or cannot be read
        if pin is None:
            known = list(connection.versions)
            near = nearest(config.version, known)
            there = f"it has {', '.join(known)}" if known else "it has none: add it to `versions`"
            self._problem(
                f"{pointer}/version",
                f"connector {connection.config.connector} has no version {config.version}",
                "unknown-version",
                found=config.version,
                fix=f"did you mean {near}?" if near else there,
            )
            return None
        found: Spec = pin.spec
        return found

    def _template(self, pointer: str, tree: Any, variables: Sequence[str] = VARIABLES) -> Template | None:
        try:
            return compile_template(tree, variables=variables)
        except TemplateErrors as error:
            for problem in error.problems:
                self._add_below(pointer, problem)
            return None

    def _operation(
        self,
        pointer: str,
        name: str,
        wanted: str,
        connection: PlannedConnection,
        given: Mapping[str, Any] | None = None,
    ) -> Operation | None:
        """Return the operation that `name.wanted` calls; None and a problem when it cannot be called.

        `given` are the inputs of a step: only a step calls `:http`.
        """
        choice = f"/connectors/{escape(connection.config.connector)}/operations"
        try:
            if given is None:
                operation = connection.spec.find(wanted)
            else:
                operation = find_called(connection.spec, wanted, settled(given))
        except Refused as error:
            offset = len(name) + 1
            self._problem(pointer, str(error), "left-out", offset=offset, found=wanted, because=choice)
            return None
        left_out = connection.spec.why_left_out(wanted)
        if operation is None and left_out is not None:
            self._problem(
                pointer,
                f"connector {connection.config.connector} leaves out {wanted}: {left_out.reason}",
                "left-out",
                offset=len(name) + 1,
                fix="change `operations` of the connector, or call another one",
                because=choice + left_out.place,
            )
            return None
        if operation is None:
            known = [alias for one in connection.spec.operations.values() for alias in (one.id, *one.aliases)]
            near = nearest(wanted, known)
            self._problem(
                pointer,
                f"connector {connection.config.connector} has no operation {wanted}",
                "unknown-operation",
                offset=len(name) + 1,
                found=wanted,
                fix=f"did you mean {near}?" if near else "`pointsman connectors` lists them",
            )
            return None
        if operation.problem:
            self._problem(
                pointer,
                f"operation {wanted} cannot be called: {operation.problem}",
                "broken-operation",
                offset=len(name) + 1,
            )
            return None
        if connection.config.server is None and operation.servers:
            try:
                own_server(operation.servers[0], connection.server, connection.config.variables)
            except Refused as error:
                self._problem(
                    pointer, f"operation {wanted}: {error}", "server-variable", offset=len(name) + 1
                )
                return None
        return operation


def _follow(config: StepConfig) -> Follow | None:
    """Return what belongs to a call beyond its first request; None for the ordinary case."""
    pages = config.follow_pages
    if pages is None and config.wait is None and not config.if_match:
        return None
    return Follow(
        pages=Paging(**pages.model_dump(exclude_none=True)) if pages is not None else None,
        wait=config.wait.total_seconds() if config.wait is not None else 0.0,
        if_match=config.if_match,
    )


def _ms(duration: Any) -> int:
    return int(duration.total_seconds() * 1000)

"""The backend that a description promises: judges requests against it, and answers as it says.

Pure: a request in, a Judgement out, never an exception. It reads requests with code of its own, so that what
writes them is held to the description and not to itself. Nothing is performed and nothing is kept.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple

import msgspec

from actions.mock.answering import Answering, MockAnswer
from actions.mock.matching import Base, Match, Table, base_of, pairs, route, routes_of
from actions.mock.reading import Fault, Headers, RequestReader
from actions.mock.shapes import Shapes
from actions.specs.model import Operation, Spec
from actions.validation import Validators

Credentials = Literal["ignore", "check"]

_TARGET: Final = re.compile(r"[!-~]+")
_MALFORMED: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ABSOLUTE: Final = re.compile(r"https?://[^/?#]*", re.IGNORECASE)
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.~-]+")
"""Is written the same with and without encoding."""
_MAX_TARGET: Final = 64 * 1024
_FEW: Final = 4
"""So many operations of one request line are read one after the other without looking at their marks."""
_MAX_CANDIDATES: Final = 256


class _Mark(NamedTuple):
    """A parameter that can have but one value."""

    location: str
    name: str
    values: frozenset[str]


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a request.

    `operation` is what it was taken for, None when for nothing; `fits` has every operation that would have
    accepted it (several may share method and path). It was accepted when there are no `faults`.
    `arguments` are the values that arrived, named and grouped as the operation's input schema does.
    """

    method: str
    target: str
    operation: str | None = None
    fits: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    arguments: Mapping[str, Any] = {}
    answer: MockAnswer

    @property
    def accepted(self) -> bool:
        """Whether nothing was wrong."""
        return not self.faults


class MockBackend:
    """Stands for the backend of one description. See `judge`.

    `extra` adds routes, each an operation's id, a method and a path template: what arrives where policies
    rewrite requests. `unchecked` names operations whose undeclared query parameters are let through, for the
    same reason. `credentials: check` wants what a security scheme says to be there, whatever its value.
    `status` is answered wherever a request is accepted, instead of the lowest 2xx declared.
    """

    def __init__(
        self,
        spec: Spec,
        *,
        extra: Iterable[tuple[str, str, str]] = (),
        unchecked: Iterable[str] = (),
        credentials: Credentials = "ignore",
        status: int | None = None,
        validators: Validators | None = None,
    ) -> None:
        shapes = Shapes(spec.registry)
        self.spec = spec
        self._answering = Answering(spec, shapes, status)
        self._reader = RequestReader(
            spec, validators or Validators(spec), shapes, check_login=credentials == "check"
        )
        self._unchecked = frozenset(unchecked)
        served = [one for one in spec.operations.values() if one.method and not one.problem]
        routes = [one for operation in served for one in routes_of(operation, spec.servers_of(operation))]
        for name, method, template in extra:
            rewritten = spec.operations.get(name)
            if rewritten is not None:
                # The template of a policy may be below the server's base path or already have it.
                bases = {Base(()): None} | dict.fromkeys(map(base_of, spec.servers_of(rewritten)))
                routes.extend(route(rewritten, method, template, base) for base in bases)
        self._table = Table(routes)
        self._known_marks: dict[str, tuple[_Mark, ...]] = {}

    def judge(self, method: str, target: str, headers: Headers = (), body: bytes = b"") -> Judgement:
        """Judge one request. `target` is as in the request line; header names in any case."""
        found = self._find(method, target)
        if isinstance(found, Judgement):
            return found
        readings = []
        for match in self._narrowed(found, headers)[:_MAX_CANDIDATES]:
            checked = match.route.operation.id not in self._unchecked
            readings.append((match, *self._reader.read(match, headers, body, checked=checked)))
        match, faults, arguments = min(readings, key=lambda one: len(one[1]))
        operation = match.route.operation
        if faults:
            answer = self._answering.problem(max(one.status for one in faults), [one.text for one in faults])
        else:
            accept = ", ".join(value for name, value in headers if name.lower() == "accept")
            answer = self._answering.answer(operation, accept)
        fits = dict.fromkeys(one.route.operation.id for one, wrong, _ in readings if not wrong)
        return Judgement(
            method=method,
            target=target,
            operation=operation.id,
            fits=tuple(fits),
            faults=tuple(faults),
            arguments=arguments,
            answer=answer,
        )

    def refuse(
        self, method: str, target: str, fault: Fault, headers: tuple[tuple[str, str], ...] = ()
    ) -> Judgement:
        """Return the judgement on a request that reaches no operation."""
        answer = self._answering.problem(fault.status, [fault.text], headers)
        return Judgement(method=method, target=target, faults=(fault,), answer=answer)

    def _narrowed(self, found: list[Match], headers: Headers) -> list[Match]:
        """Leave out the operations whose mark the request does not bear, where there are many.

        Some descriptions put hundreds on one path and tell them apart by a parameter that has one value.
        """
        if len(found) <= _FEW:
            return found
        given = {name.lower(): value for name, value in headers}
        marked = []
        for match in found:
            fields = dict(match.query)
            for one in self._marks(match.route.operation):
                sent = fields.get(one.name) if one.location == "query" else given.get(one.name.lower())
                if sent not in one.values:
                    break
            else:
                marked.append(match)
        return marked or found[:_FEW]

    def _marks(self, operation: Operation) -> tuple[_Mark, ...]:
        known = self._known_marks.get(operation.id)
        if known is None:
            known = tuple(
                _Mark(one.location, one.name, frozenset(values))
                for one in operation.parameters
                if one.required and one.location in ("query", "header")
                for values in [self.spec.registry.schema(one.schema).get("enum")]
                if isinstance(values, list) and len(values) == 1 and _PLAIN.fullmatch(str(values[0]))
            )
            self._known_marks[operation.id] = known
        return known

    def _find(self, method: str, target: str) -> list[Match] | Judgement:
        """Return the routes that a request line fits, or why there are none."""
        path, _, query = _ABSOLUTE.sub("", target, count=1).partition("?")
        if len(target) > _MAX_TARGET or not _TARGET.fullmatch(target) or not path.startswith("/"):
            return self.refuse(method, target, Fault(400, "request", "the target is no path with a query"))
        if _MALFORMED.search(target):
            text = "a percent sign in the target is not followed by two hexadecimal digits"
            return self.refuse(method, target, Fault(400, "request", text))
        found = self._table.find(path, pairs(query))
        if not found:
            near = self._table.near(path)
            meant = f"; did you mean {near[0]}?" if near and near[0] != path else ""
            meant = meant or ("; a server's own path comes before it" if near else "")
            text = f"no operation has the path {path[:200]}{meant}"
            return self.refuse(method, target, Fault(404, "path", text))
        matching = [one for one in found if one.route.method == method.upper()]
        if not matching:
            allowed = ", ".join(sorted({one.route.method for one in found}))
            text = f"{method[:40]} is not declared for {path[:200]}; there is {allowed}"
            return self.refuse(method, target, Fault(405, "request", text), (("allow", allowed),))
        return matching

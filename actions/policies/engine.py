"""All policies of one operation, compiled with the values of one connection and executed in their order.

What the request section does happens before the login, but for headers and query parameters that the login
itself sets: policies on those see what it set (`DeepL-Auth-Key @headers('Authorization')`), in `signed`.
Where a policy fetches such a header first, the whole section comes after the login, in its order.
A policy that cannot be executed is left out, as the operation's `degraded` says; one that decides who is
called refuses the call.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import msgspec
from typing_extensions import override

from actions.base import Answer
from actions.errors import OutcomeUnknown, Refused, RetryLater
from actions.policies import answers, fields, properties, routes, shapes
from actions.policies.documents import Unfit
from actions.policies.hosts import Host
from actions.policies.messages import Draft, Lookup, PathTemplate, Reply, refused, values_of
from actions.policies.steps import Step
from actions.specs.model import Operation, Policy, Spec
from actions.templates import TEMPLATES, Parameters, check, read
from actions.transport import Request

Send = Callable[[Request], Awaitable[Answer]]
"""Sends one request to the backend, with its login."""

Sign = Callable[[Request], Request]
"""Returns a request with the login in it."""

NOTES_HEADER: Final = "pointsman-policies"
"""Added to an answer: what policies could not do with it, or said of it."""

MASK: Final = "***"

_HOSTS: Final = frozenset(["dynamichosturl", "dynamicsubdomain"])

_STEPS: Final[Mapping[str, Callable[[str, Parameters], Step]]] = {
    "setheader": fields.SetHeader,
    "setqueryparameter": fields.SetField,
    "routerequesttoendpoint": routes.Route,
    "setvaluefromurl": routes.Prefetch,
    "moveproperties": properties.MoveProperties,
    "stringreplace": properties.StringReplace,
    "encodepropertyvalue": properties.EncodeProperty,
    "convertobjecttoarray": shapes.ObjectToArray,
    "convertarraytoobject": shapes.ArrayToObject,
    "stringtoarray": shapes.StringToArray,
    "pollingtrigger": answers.PollingTrigger,
    "updatenextlink": answers.NextLink,
    "setconnectionstatustounauthenticated": answers.Unauthenticated,
}


class OperationPolicies:
    """The policies of one operation, in order, with the values of one connection."""

    def __init__(
        self,
        spec: Spec,
        operation: Operation,
        lookup: Lookup,
        steps: list[tuple[Policy, Step]],
        base: str = "",
    ) -> None:
        self._spec = spec
        self._operation = operation
        self._lookup = lookup
        self._steps = steps
        self._base = base
        self._place = PathTemplate(operation, base)
        self._before: list[Step] = []
        self._after_login: list[Step] = []
        self._sections: dict[str, list[Step]] = {"response": [], "failure": []}
        requesting: list[Step] = []
        for policy, step in steps:
            if TEMPLATES[policy.template.lower()].answers:
                for one in self._sections.values():
                    one.append(step)
            elif policy.section != "request":
                self._sections[policy.section].append(step)
            else:
                requesting.append(step)
        headers, query = _credentials(spec)
        fetching = [step for step in requesting if isinstance(step, routes.Prefetch)]
        self.fetches_login = any(step.touches(headers, query) for step in fetching)
        """Whether a part of the login is fetched first: then the whole section runs on what the login set."""
        for step in requesting:
            sets = isinstance(step, fields.SetHeader | fields.SetField) and step.touches(headers, query)
            (self._after_login if sets or self.fetches_login else self._before).append(step)

    @property
    def fetches(self) -> bool:
        """Whether `complete` makes calls of its own."""
        return any(isinstance(step, routes.Prefetch) for step in (*self._before, *self._after_login))

    def masked(self) -> "OperationPolicies":
        """Return the same policies with stars for every secret of the connection: for showing a request."""
        lookup = _masking(self._spec, self._lookup)
        return OperationPolicies(self._spec, self._operation, lookup, self._steps, self._base)

    def below(self, base: str) -> "OperationPolicies":
        """Return the same policies for requests to any path below a URL; none leads to another path."""
        steps = [pair for pair in self._steps if not isinstance(pair[1], routes.Route)]
        return OperationPolicies(self._spec, self._operation, self._lookup, steps, base)

    def server(self, base: str) -> str:
        """Return the base URL to call: what a policy makes of it, or the one given. Raise Refused."""
        for step in (*self._before, *self._after_login):
            with _titled(step):
                base = step.server(base)
        return base

    def request(self, request: Request) -> Request:
        """Return the request after the request section, stars for what is fetched first. Raise Refused."""
        return self._shown(request, self._before)

    def _shown(self, request: Request, steps: list[Step]) -> Request:
        draft = self._draft(request)
        for step in steps:
            with _titled(step):
                if isinstance(step, routes.Prefetch):
                    step.put(draft, MASK)
                else:
                    step.request(draft)
        return self._finished(draft)

    async def complete(self, request: Request, send: Send, sign: Sign) -> Request | Answer:
        """Return the request after the request section, with what its policies fetched through `send`.

        Where a part of the login is fetched, that request has the login in it, too, and so has what is
        given to `send`. Where such a call went wrong, its answer is returned: the operation was not
        called. Raise Refused.
        """
        draft = self._draft(sign(request) if self.fetches_login else request)
        fetched: dict[tuple[str, str], Answer] = {}
        for step in self._after_login if self.fetches_login else self._before:
            if not isinstance(step, routes.Prefetch):
                with _titled(step):
                    step.request(draft)
                continue
            with _titled(step):
                first = step.first(draft)
            answer = fetched.get((first.method, first.url)) or await _fetched(first, send)
            fetched[first.method, first.url] = answer
            if not 200 <= answer.status < 300:
                return _noted(answer, [f"{step.title}: {first.method} {_place(first)} brought this answer"])
            with _titled(step):
                step.take(draft, first, answer)
        return self._finished(draft)

    def signed(self, request: Request) -> Request:
        """Return the request after the policies on what a login sets; the login stands in it already."""
        return self._shown(request, self._after_login) if self._after_login else request

    def answer(self, request: Request, answer: Answer) -> Answer:
        """Return the answer after the response section, or from status 400 on after the failure section.

        Nothing is raised: the call was made. What could not be done with the answer is said in its header
        `pointsman-policies`.
        """
        steps = self._sections["failure" if answer.status >= 400 else "response"]
        if not steps:
            return answer
        reply = Reply(answer, request, self._operation, self._lookup)
        for step in steps:
            try:
                step.answer(reply)
            except Unfit as reason:
                reply.notes.append(f"{step.title}: {reason}")
        try:
            changed = reply.finish()
        except Unfit as reason:
            return _noted(answer, [*reply.notes, str(reason)])
        return _noted(changed, reply.notes)

    def _draft(self, request: Request) -> Draft:
        return Draft(request, self._operation, self._place, self._lookup)

    def _finished(self, draft: Draft) -> Request:
        try:
            return draft.finish()
        except Unfit as reason:
            made = f"{self._operation.id}: its policies make what cannot be sent: {reason}"
            raise Refused(made) from reason


class _Broken(Step):
    """A policy that decides who is called and cannot be executed: nothing is called."""

    def __init__(self, title: str, problem: str) -> None:
        super().__init__(title)
        self._problem = problem

    @override
    def server(self, base: str) -> str:
        raise Unfit(self._problem)

    @override
    def base(self, draft: Draft) -> str:
        raise Unfit(self._problem)

    @override
    def request(self, draft: Draft) -> None:
        raise Unfit(self._problem)


def compile_policies(
    spec: Spec, operation: Operation, values: Mapping[str, str], *, hosts: bool = True
) -> OperationPolicies | None:
    """Return the policies of an operation; None when it has none.

    `values` are the connection's parameters. Without `hosts`, policies leave the server alone: somebody
    chose it for this connection.
    """
    lookup = values_of(values, spec.parameters)
    steps: list[tuple[Policy, Step]] = []
    for policy in spec.policies:
        template = policy.template.lower()
        if template not in TEMPLATES or (
            policy.operations is not None and operation.id not in policy.operations
        ):
            continue
        if template in _HOSTS and not hosts:
            continue
        step = _compiled(policy, spec, operation, lookup)
        if not hosts and isinstance(step, fields.SetHeader) and step.names_host:
            continue
        if step is not None:
            steps = [*_without_overruled(steps, policy, step), (policy, step)]
    return OperationPolicies(spec, operation, lookup, steps) if steps else None


def _without_overruled(
    steps: list[tuple[Policy, Step]], policy: Policy, step: Step
) -> list[tuple[Policy, Step]]:
    """Leave out what a policy overrules: of several that choose the host, or the path, the last one wins.

    What is fetched in between goes to the host that was chosen before.
    """
    if policy.template.lower() in _HOSTS:
        host: Step | None = None
        for before, one in steps:
            if before.template.lower() in _HOSTS:
                host = one
            elif isinstance(one, routes.Prefetch):
                one.host = one.host or host
        return [pair for pair in steps if pair[0].template.lower() not in _HOSTS]
    if isinstance(step, routes.Route):
        return [pair for pair in steps if not (isinstance(pair[1], routes.Route) and pair[1].is_bare)]
    return steps


def _compiled(policy: Policy, spec: Spec, operation: Operation, lookup: Lookup) -> Step | None:
    template, title = policy.template.lower(), policy.title or policy.template
    problem = policy.problem or check(template, policy.parameters, policy.section)
    if problem:
        return _Broken(title, problem) if TEMPLATES[template].places else None
    parameters, _ = read(template, policy.parameters)
    if template in _HOSTS:
        return Host(title, parameters, operation, spec.registry, lookup)
    if template == "setproperty":
        parent = parameters.path("newPropertyParentPathTemplate")
        fits = properties.may_be_object(spec, operation, policy.section, parent)
        return properties.SetProperty(title, parameters, makes_parent=fits)
    return _STEPS[template](title, parameters)


def _credentials(spec: Spec) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of the headers and of the query parameters that a login may set, in lower case."""
    keys = [one for one in spec.security_schemes.values() if one.kind == "apiKey"]
    return (
        frozenset({"authorization", *(one.parameter.lower() for one in keys if one.location == "header")}),
        frozenset(one.parameter.lower() for one in keys if one.location == "query"),
    )


def _masking(spec: Spec, lookup: Lookup) -> Lookup:
    shown = {name.lower() for name, one in spec.parameters.items() if one.kind not in ("secret", "oauth")}

    def masked(name: str) -> str | None:
        value = lookup(name)
        return value if not value or name.lower() in shown else MASK

    return masked


def _noted(answer: Answer, notes: list[str]) -> Answer:
    if not notes:
        return answer
    return msgspec.structs.replace(answer, headers=(*answer.headers, (NOTES_HEADER, "; ".join(notes))))


async def _fetched(request: Request, send: Send) -> Answer:
    """Send what is fetched first; as long as it only reads, the call itself has surely not been made."""
    try:
        return await send(request)
    except OutcomeUnknown as error:
        if request.method not in ("GET", "HEAD"):
            raise
        raise RetryLater(f"what a policy fetches first could not be had: {error}") from error


def _place(request: Request) -> str:
    return request.url.partition("?")[0]


@contextmanager
def _titled(step: Step) -> Iterator[None]:
    """Turn what is unfit into the refusal of the call, under the title of its policy."""
    try:
        yield
    except Unfit as reason:
        raise refused(step.title, reason) from reason

"""Every policy of the shared connectors is executed by itself, and its documented effect is looked for."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import pytest

from actions.base import Answer
from actions.errors import Refused
from actions.expressions import ExpressionError, parse, show
from actions.policies import OperationPolicies, compile_policies
from actions.specs.model import ConnectionParameter, Operation, Policy, Spec
from actions.transport import Request
from tests.corpora.corpus import expected, files, folder, read

SET = "power-platform"
MOST = 5
"""Operations of one policy on which it is tried."""
BASE = "https://described.example/base"
SCALAR = re.compile(r"@\{?(connectionParameters|queryParameters|headers)\('([^']+)'(?:,\s*'[^']*')?\)\}?")

UNFIT = {("Assently E-Sign", "setheader", "[[Dummy]]"): "a placeholder of its author is no name of a header"}
"""What cannot be executed by anybody, and why."""
UNREADABLE = {"CognitiveServicesTextAnalytics": 9}
"""Policies of definitions that are broken JSON: there are no operations to run them on."""
TYPOS = 0
"""Values that no grammar reads: the known one lies in the other half."""

Case = tuple[str, Spec, Policy]


pytestmark = pytest.mark.usefixtures("read_offline", "offline")


def cases() -> list[Case]:
    found = []
    for one in expected(SET):
        if not (one.get("power_platform") or {}).get("policies"):
            continue
        spec = read(folder(SET, one["file"]))
        found += [(one["file"].split("/")[-2], spec, policy) for policy in spec.policies]
    return found


@pytest.fixture(scope="module")
def policies() -> list[Case]:
    return cases()


def written() -> Iterator[tuple[str, str, Any]]:
    """Yield the policies as they are written, also those of broken definitions."""
    for name, data in files(SET).items():
        if "propert" not in name.rpartition("/")[2].lower():
            continue
        try:
            value = json.loads(data.decode("utf-8-sig"), strict=False)
        except ValueError:
            continue
        for one in value.get("properties", {}).get("policyTemplateInstances") or ():
            yield name, one["templateId"].lower(), one["parameters"]


def test_every_value_parses_and_prints_to_what_parses_the_same() -> None:
    typos = 0
    for name, _, parameters in written():
        for value in parameters.values():
            for text in value.values() if isinstance(value, dict) else [value]:
                if not isinstance(text, str) or "@" not in text:
                    continue
                try:
                    parts = parse(text)
                except ExpressionError:
                    typos += 1
                    continue
                assert parse(show(parts)) == parts, (name, text)
    assert typos == TYPOS


def test_every_policy_of_the_set_is_read(policies: list[Case]) -> None:
    assert len(policies) == len(list(written())) == 305
    without = Counter(name for name, spec, _ in policies if not spec.operations)
    assert without == UNREADABLE


def test_a_policy_that_cannot_be_executed_flags_its_operations(policies: list[Case]) -> None:
    unfit = {(name, one.template, one.title) for name, _, one in policies if one.problem}
    assert unfit == set(UNFIT)
    for _, spec, one in policies:
        if one.problem:
            ids = spec.operations if one.operations is None else one.operations
            assert all("policy" in " ".join(spec.operations[id_].degraded) for id_ in ids)


def test_every_policy_has_its_documented_effect(policies: list[Case]) -> None:
    done: Counter[str] = Counter()
    for name, spec, policy in policies:
        ids = list(spec.operations) if policy.operations is None else list(policy.operations)
        if policy.problem or not ids:
            continue
        for id_ in ids[:MOST]:
            alone = replace(spec, policies=(policy,))
            try:
                EFFECTS[policy.template](Trial(alone, spec.operations[id_], policy))
            except (AssertionError, Refused) as error:
                raise AssertionError(f"{name} {id_} {policy.title!r} {policy.parameters}: {error}") from error
        done[policy.template] += 1
    assert sum(done.values()) == 305 - len(UNFIT) - sum(UNREADABLE.values()), done


def test_all_policies_of_an_operation_run_in_their_order(policies: list[Case]) -> None:
    seen = set()
    for name, spec, policy in policies:
        for id_ in list(spec.operations if policy.operations is None else policy.operations)[:MOST]:
            if (name, id_) in seen:
                continue
            seen.add((name, id_))
            trial = Trial(spec, spec.operations[id_], policy)
            request = trial.sent(body=b"{}")
            assert trial.made.answer(request, Answer(status=200, body=b'{"a":1}')).status in {200, 202}
            trial.made.answer(request, Answer(status=500, body=b"oops"))
    assert len(seen) > 300


class Trial:
    """One operation with sample values: what its parameters, its headers and its query hold."""

    def __init__(self, spec: Spec, operation: Operation, policy: Policy) -> None:
        self.spec, self.operation, self.policy = spec, operation, policy
        self.values: dict[str, str] = {}
        self.headers: dict[str, str] = {}
        self.query: dict[str, str] = {}
        for one in operation.parameters:
            if one.location == "header" and one.name.lower() not in {"host", "content-length"}:
                self.headers[one.name] = sample(one.name)
            if one.location == "query":
                self.query[one.name] = sample(one.name)
        for each in spec.policies:
            for text in texts(each.parameters):
                self._learn(text, place=each.template in {"dynamichosturl", "dynamicsubdomain"})
        found = compile_policies(spec, operation, self.values)
        assert found is not None
        self.made: OperationPolicies = found
        hosts = [one.parameters["value"] for one in spec.policies if one.parameters.get("name") == "Host"]
        self.base = self.made.server(f"https://{hosts[0]}" if hosts else BASE)

    def _learn(self, text: str, *, place: bool) -> None:
        """Give every name in an expression a value that fits where it stands."""
        for match in SCALAR.finditer(text):
            before, after = text[: match.start()], text[match.end() :]
            value = sample(match[2])
            if place and not before:
                value = "https://acme.example.com"
            elif place and before.endswith("://") and (not after or after.startswith("/")):
                value = "acme.example.com"
            elif place and before.count("/") < 3:
                value = "acme"
            if match[1] == "connectionParameters":
                self.values[match[2]] = value
                continue
            chosen = self.headers if match[1] == "headers" else self.query
            if place:
                schemas = [one.schema for one in self.operation.parameters if one.name == match[2]]
                listed = [one.get("enum") for one in schemas if isinstance(one, dict) and one.get("enum")]
                value = listed[0][0] if listed else value
                if not listed:
                    self.values[match[2]] = value
            chosen[match[2]] = value

    def evaluate(self, text: str) -> str:
        """Return what a text of scalars comes to."""
        pools = {
            "connectionParameters": self.values,
            "headers": self.headers,
            "queryParameters": self.query,
        }
        done = SCALAR.sub(lambda match: pools[match[1]][match[2]], text)
        return done.replace("@Request.OriginalHTTPMethod", self.operation.method)

    def request(self, body: bytes = b"") -> Request:
        """Return the request as the serializer makes it."""
        path = self.operation.path.partition("#")[0].partition("?")[0]
        for one in self.operation.parameters:
            if one.location == "path":
                path = path.replace("{" + one.name + "}", sample(one.name))
        query = "&".join(
            f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in self.query.items()
        )
        url = self.base + "/" + quote(path.lstrip("/"), safe="/$()':,;=@&!") + ("?" + query) * bool(query)
        headers = tuple(self.headers.items())
        if body:
            headers = (*headers, ("Content-Type", "application/json"))
        return Request(self.operation.method, url, headers, body)

    def sent(self, body: bytes = b"") -> Request:
        """Return the request after the login and all policies of the request section."""
        return self.made.signed(self.made.request(self.request(body)))

    def parameter(self, name: str) -> Any:
        return self.policy.parameters.get(name, "")


def sample(name: str) -> str:
    return "v-" + re.sub(r"[^A-Za-z0-9]", "", name)


def texts(parameters: Any) -> Iterator[str]:
    for value in parameters.values():
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from texts(value)


def sets_a_header(trial: Trial) -> None:
    name, value = trial.parameter("name"), trial.evaluate(trial.parameter("value")).strip()
    if trial.policy.section != "request":
        answer = trial.made.answer(trial.request(), Answer(status=200, body=b"{}"))
        assert answer.header(name.lower()) == value
        return
    if name.lower() == "host":
        assert urlsplit(trial.sent().url).netloc == value
        return
    before = trial.request().header(name)
    with_it = trial.sent().header(name)
    exists = trial.parameter("existsAction") or "override"
    if before is None or exists == "override":
        assert with_it == value
    else:
        assert with_it == (before if exists == "skip" else with_it)
        assert value in (with_it or "")


def sets_a_query_parameter(trial: Trial) -> None:
    fields = parse_qsl(urlsplit(trial.sent().url).query, keep_blank_values=True)
    assert (trial.parameter("name"), trial.evaluate(trial.parameter("value"))) in fields


def replaces_the_host(trial: Trial) -> None:
    wanted = trial.evaluate(trial.parameter("urlTemplate"))
    wanted = wanted if "://" in wanted else f"https://{wanted}"
    scheme, _, rest = wanted.partition("://")
    wanted = f"{scheme}://" + re.sub("//+", "/", rest).rstrip("/")
    request = trial.sent()
    assert request.url.startswith(wanted + "/")
    assert "described.example" not in request.url
    arguments = list(SCALAR.finditer(trial.parameter("urlTemplate")))
    for match in arguments:
        if match[1] != "connectionParameters":
            pool = trial.headers if match[1] == "headers" else trial.query
            pool[match[2]] = "evil.example"
            with pytest.raises(Refused, match="host"):
                trial.sent()


def routes_the_request(trial: Trial) -> None:
    path, _, query = trial.evaluate(trial.parameter("newPath")).partition("?")
    for one in trial.operation.parameters:
        path = path.replace("{" + one.name + "}", sample(one.name))
    request = trial.sent()
    found = urlsplit(request.url)
    base = urlsplit(trial.base).path
    assert unquote(found.path) == f"{base}/{path.lstrip('/')}"
    assert set(parse_qsl(query)) <= set(parse_qsl(found.query))
    assert request.method == (trial.evaluate(trial.parameter("httpMethod")) or trial.operation.method)


STEP = re.compile(r"\['([^']+)'\]|\.?(\w+)")


def steps(text: str) -> list[str]:
    text = re.sub(r"^@?\{?(body|item|triggerBody)\(\)", "", text.strip("{}")).strip("{}")
    return [match[1] or match[2] for match in STEP.finditer(text)]


def dig(value: Any, names: list[str]) -> Any:
    for name in names:
        value = value[int(name)] if isinstance(value, list) else value[name]
    return value


def plant(body: dict[str, Any], names: list[str], value: Any) -> None:
    for name in names[:-1]:
        body = body.setdefault(name, {})
    body.setdefault(names[-1], value)


HOLE = re.compile(r"\{@body\(\)((?:\.\w+|\['[^']+'\])*)\}")


def sets_a_property(trial: Trial) -> None:
    parent = steps(trial.parameter("newPropertyParentPathTemplate"))
    sub = steps(trial.parameter("newPropertySubPathTemplate"))
    template = trial.parameter("propertyValuePathTemplate")
    body: dict[str, Any] = {}
    if parent:
        plant(body, parent, {})
    for hole in HOLE.finditer(template):
        plant(body, steps(hole[1]), {"id": 7} if template.startswith("[") else "text")
    before = json.loads(json.dumps(body))
    data = json.dumps(body).encode()
    if trial.policy.section == "request":
        after = json.loads(trial.sent(data).body)
    else:
        after = json.loads(trial.made.answer(trial.request(), Answer(status=200, body=data)).body)

    def text(match: re.Match[str]) -> str:
        found = dig(before, steps(match[1]))
        return json.dumps(found) if template.startswith("[") else str(found)

    wanted: Any = HOLE.sub(text, template)
    wanted = json.loads(wanted) if template.startswith("[") else wanted
    assert dig(after, [*parent, *sub]) == wanted


def moves_properties(trial: Trial) -> None:
    source = steps(trial.parameter("srcSubPath"))
    moved = {"a": 1, "b": "two"}
    body: dict[str, Any] = {"kept": True}
    plant(body, [*steps(trial.parameter("srcParentPath")), *source], moved)
    after = json.loads(trial.sent(json.dumps(body).encode()).body)
    assert after == {"kept": True, **moved}


def keeps_the_state_of_a_poll(trial: Trial) -> None:
    data = steps(trial.parameter("triggerDataPath"))
    config = trial.parameter("triggerConfig")
    body: dict[str, Any] = {}
    state: dict[str, str] = {}
    item: dict[str, Any] = {"some": "thing"}
    plant(body, data, [item])
    for name, text in config.items():
        path = re.search(r"triggerBody\(\)(.*)\}", text)
        if path is None:
            state[name] = text
            continue
        names = steps(path[1].replace("[0]", ".0"))
        if "0" in names:
            item[names[-1]] = "newest"
        else:
            plant(body, names, "newest")
        state[name] = "newest"
    full = trial.made.answer(trial.sent(), Answer(status=200, body=json.dumps(body).encode()))
    assert full.status == 200
    assert json.loads(full.body) == body
    kept = dict(parse_qsl(urlsplit(full.header("location") or "").query))
    assert kept.items() >= {name: value for name, value in state.items() if name}.items()
    dig(body, data).clear()
    empty = trial.made.answer(trial.sent(), Answer(status=200, body=json.dumps(body).encode()))
    assert empty.status == 202
    assert empty.header("location")


def leads_the_next_link_through_us(trial: Trial) -> None:
    name = trial.parameter("nextLinkPropertyName")
    link = "https://inner.example/v1/things?$skiptoken=a%20b"
    body = json.dumps({name: link, "value": [1.10]}).encode()
    answer = trial.made.answer(trial.request(), Answer(status=200, body=body))
    found = json.loads(answer.body)[name]
    assert found == "https://described.example/v1/things?$skiptoken=a%20b"


def takes_a_status_for_a_login(trial: Trial) -> None:
    code = int(trial.parameter("statusCode"))
    assert trial.made.answer(trial.request(), Answer(status=code, body=b"no")).status == 401
    assert trial.made.answer(trial.request(), Answer(status=200, body=b"{}")).status == 200


def fetches_a_value(trial: Trial) -> None:
    asked: list[Request] = []

    async def send(request: Request) -> Answer:
        asked.append(request)
        body: dict[str, Any] = {}
        plant(body, steps(trial.parameter("parameterValuePathTemplate")), "fetched")
        return Answer(status=200, body=json.dumps(body).encode())

    made = run(trial.made.complete(trial.request(), send, lambda request: request))
    (first,) = asked
    assert first.method == trial.parameter("httpMethod")
    assert first.url == trial.base + trial.parameter("parameterValueUrl")
    name = SCALAR.search(trial.parameter("parameterTemplate"))
    assert name is not None
    assert isinstance(made, Request)
    assert made.header(name[2]) == "fetched"


def run(awaitable: Any) -> Any:
    """Run what never waits to its end."""
    try:
        awaitable.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits")


EFFECTS: dict[str, Callable[[Trial], None]] = {
    "setheader": sets_a_header,
    "setqueryparameter": sets_a_query_parameter,
    "dynamichosturl": replaces_the_host,
    "dynamicsubdomain": replaces_the_host,
    "routerequesttoendpoint": routes_the_request,
    "setproperty": sets_a_property,
    "moveproperties": moves_properties,
    "pollingtrigger": keeps_the_state_of_a_poll,
    "updatenextlink": leads_the_next_link_through_us,
    "setconnectionstatustounauthenticated": takes_a_status_for_a_login,
    "setvaluefromurl": fetches_a_value,
}


def test_secrets_are_not_shown(policies: list[Case]) -> None:
    shown = 0
    for _, spec, policy in policies:
        ids = spec.operations if policy.operations is None else policy.operations
        if policy.problem or policy.template != "setheader" or policy.section != "request" or not ids:
            continue
        secret = {
            name: ConnectionParameter(name=name, kind="secret")
            for text in texts(policy.parameters)
            for _, name in SCALAR.findall(text)
        }
        alone = replace(spec, policies=(policy,), parameters=secret)
        trial = Trial(alone, spec.operations[next(iter(ids))], policy)
        for name, value in trial.values.items():
            if f"connectionParameters('{name}'" in trial.parameter("value"):
                made = trial.made.masked()
                request = made.signed(made.request(trial.request()))
                assert value not in str(request)
                shown += 1
    assert shown > 30

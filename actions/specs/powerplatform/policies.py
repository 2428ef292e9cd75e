"""What an apiProperties.json says about the operations of a connector: policies and scripts.

Both are read and kept, never executed here. Names of operations that do not exist are reported and left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from actions.expressions import ExpressionError, Scalar, Text, parse
from actions.specs.model import Operation, Policy, Section, Spec
from actions.specs.paths import TEMPLATE
from actions.specs.powerplatform.login import POINTER
from actions.specs.reading import Reading, near, text
from actions.templates import KNOWN_TEMPLATES, check, read

SCRIPTED: Final = "is performed by script.csx; call it by a hook or as described"

_PARAMETER: Final = "x-ms-apimTemplateParameter."
_SCOPE: Final = "x-ms-apimTemplate-operationName"
_SECTION: Final = "x-ms-apimTemplate-policySection"
_SECTIONS: Final[dict[str, Section]] = {
    "": "request",
    "request": "request",
    "response": "response",
    "failure": "failure",
}


def read_policies(reading: Reading, properties: Mapping[str, Any], spec: Spec) -> Spec:
    """Return the description with its policies; operations of one that cannot be executed are degraded."""
    pointer = f"{POINTER}/policyTemplateInstances"
    policies = []
    for index, entry in enumerate(reading.listing(properties.get("policyTemplateInstances"), pointer)):
        at = f"{pointer}/{index}"
        value = reading.mapping(entry, at)
        if value:
            policies.append(_policy(reading, value, at, spec))
    reasons: dict[str, list[str]] = {}
    for one in policies:
        for id_ in (spec.operations if one.operations is None else one.operations) if one.problem else ():
            reasons.setdefault(id_, []).append(f"a policy of it cannot be executed: {one.problem}")
    for one, ids, name in _led_astray(policies, spec):
        called = one.title or one.template
        for id_ in ids:
            reasons.setdefault(id_, []).append(f"the policy {called} needs {name}, which is no input of it")
        message = f"{called}: the path needs {name}, which is no input of {_listed(ids)}"
        hint = f"name the operations it is for in {_SCOPE}"
        reading.add("policy-parameters", message, f"{one.pointer}/parameters", fix=hint)
    for one, name in _undeclared(policies, spec):
        message = f"{one.title or one.template}: the connection parameter {name} is not declared"
        hint = f"the connection has to give it: `parameters: {{{name}: …}}`"
        reading.add("policy-parameters", message, f"{one.pointer}/parameters", fix=hint, severity="info")
    return replace(
        spec, policies=tuple(policies), operations=_degraded(spec.operations, reasons, needs_code=False)
    )


def _led_astray(policies: Sequence[Policy], spec: Spec) -> Iterator[tuple[Policy, list[str], str]]:
    """Yield what the paths of policies need and the operations, led there last, do not have."""
    found: dict[tuple[int, str], list[str]] = {}
    for id_, operation in spec.operations.items():
        own = [
            (at, one) for at, one in enumerate(policies) if one.operations is None or id_ in one.operations
        ]
        routes = [(at, one) for at, one in own if one.template == "routerequesttoendpoint"]
        if not routes or routes[-1][1].problem:
            continue
        known = {one.name.lower() for one in operation.parameters}
        for _, one in own:
            known.update(part.name.lower() for part in _targets(one))
        for name in _needed(routes[-1][1]):
            if name.lower() not in known:
                found.setdefault((routes[-1][0], name), []).append(id_)
    for (at, name), ids in found.items():
        yield policies[at], ids, name


def _needed(policy: Policy) -> Iterator[str]:
    """Yield the inputs of an operation that the path of a policy is made of."""
    given, _ = read(policy.template, policy.parameters)
    for part in given.template("newPath"):
        if isinstance(part, Scalar) and part.function != "connectionParameters" and part.default is None:
            yield part.name
        elif isinstance(part, Text):
            yield from TEMPLATE.findall(part.text)


def _targets(policy: Policy) -> Iterator[Scalar]:
    """Yield the header or query parameter that a policy sets."""
    given, _ = read(policy.template, policy.parameters)
    if policy.template in ("setheader", "setqueryparameter"):
        yield Scalar("headers", given.text("name").strip())
    elif policy.template == "setvaluefromurl" and not policy.problem:
        yield from (part for part in given.template("parameterTemplate") if isinstance(part, Scalar))


def _undeclared(policies: Sequence[Policy], spec: Spec) -> Iterator[tuple[Policy, str]]:
    """Yield the connection parameters without a default that policies take and nobody declares."""
    known = {name.lower() for name in spec.parameters}
    for one in policies:
        for value in one.parameters.values() if not one.problem else ():
            for name in _taken(value):
                if name.lower() not in known:
                    known.add(name.lower())
                    yield one, name


def _taken(value: Any) -> list[str]:
    """Return the connection parameters without a default in a value."""
    try:
        parts = parse(value) if isinstance(value, str) else ()
    except ExpressionError:  # literal text
        return []
    scalars = (part for part in parts if isinstance(part, Scalar) and part.default is None)
    return [one.name for one in scalars if one.function == "connectionParameters"]


def _listed(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - 3} more" if len(ids) > 3 else ""
    return ", ".join(ids[:3]) + more


def _policy(reading: Reading, value: Mapping[str, Any], pointer: str, spec: Spec) -> Policy:
    template, title = text(value.get("templateId")).strip().lower(), text(value.get("title"))
    given = reading.mapping(value.get("parameters"), f"{pointer}/parameters")
    problem = ""
    if template not in KNOWN_TEMPLATES:
        meant = near(template, KNOWN_TEMPLATES)
        problem = f"the policy template {template[:60]!r} is not known{meant}"
        reading.add("policy-template", f"{title or template}: {problem}", f"{pointer}/templateId")
    written = text(given.get(_SECTION)).strip().lower()
    if written not in _SECTIONS:
        problem = problem or f"the policy section {written[:40]!r} is not known"
        reading.add("policy-section", f"{title or template}: {problem}", f"{pointer}/parameters")
    scope = given.get(_SCOPE)
    at = f"{pointer}/parameters/{_SCOPE}"
    names = [scope] if isinstance(scope, str) else reading.listing(scope, at)
    parameters = {
        key.removeprefix(_PARAMETER): one for key, one in given.items() if key not in {_SCOPE, _SECTION}
    }
    section = _SECTIONS.get(written, "request")
    if not problem:
        problem = check(template, parameters, section)
        if problem:
            reading.add("policy-parameters", f"{title or template}: {problem}", f"{pointer}/parameters")
    return Policy(
        template=template,
        title=title,
        parameters=parameters,
        operations=_named(reading, names, f"the policy {title or template}", at, spec) if names else None,
        section=section,
        problem=problem,
        pointer=pointer,
    )


def read_scripts(reading: Reading, properties: Mapping[str, Any], spec: Spec, script: str) -> Spec:
    """Return the description with the operations marked that a script performs; `script` is its file."""
    pointer, listed = f"{POINTER}/scriptOperations", properties.get("scriptOperations")
    other = properties.get("script")
    if listed is None and isinstance(other, dict):  # the newer way to write it
        pointer, listed = f"{POINTER}/script/operationIds", other.get("operationIds", [])
    if listed is None and not script:
        return spec
    names = reading.listing(listed, pointer)
    ids = _named(reading, names, "the script", pointer, spec) if names else tuple(spec.operations)
    reasons = {id_: [SCRIPTED] for id_ in ids}
    return replace(spec, operations=_degraded(spec.operations, reasons, needs_code=True))


def _named(reading: Reading, names: list[Any], who: str, pointer: str, spec: Spec) -> tuple[str, ...]:
    """Return the ids of the operations that are named; those that do not exist are reported."""
    ids = []
    for index, entry in enumerate(names):
        found = spec.find(text(entry))
        if found:
            ids.append(found.id)
        elif spec.operations:
            known = [name for one in spec.operations.values() for name in (one.id, *one.aliases)]
            message = f"{who} names the operation {text(entry)[:80]!r}, which does not exist"
            reading.add("no-such-operation", message + near(text(entry), known), f"{pointer}/{index}")
    return tuple(dict.fromkeys(ids))


def _degraded(
    operations: Mapping[str, Operation], reasons: Mapping[str, list[str]], *, needs_code: bool
) -> dict[str, Operation]:
    made = dict(operations)
    for id_, texts in reasons.items():
        one = made[id_]
        degraded = tuple(dict.fromkeys((*one.degraded, *texts)))
        made[id_] = replace(one, degraded=degraded, needs_code=one.needs_code or needs_code)
    return made

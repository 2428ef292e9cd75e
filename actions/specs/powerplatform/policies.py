"""What an apiProperties.json says about the operations of a connector: policies and scripts.

Both are read and kept, never executed here. Names of operations that do not exist are reported and left out.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from actions.specs.model import Operation, Policy, Section, Spec
from actions.specs.powerplatform.login import POINTER
from actions.specs.reading import Reading, near, text
from actions.templates import KNOWN_TEMPLATES, check

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
    return replace(
        spec, policies=tuple(policies), operations=_degraded(spec.operations, reasons, needs_code=False)
    )


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

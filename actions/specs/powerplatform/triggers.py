"""Triggers of Power Platform connectors: what they send to us, what we ask for, and how to end it.

An operation marked `x-ms-trigger` stays an operation; its trigger says what comes of it. How a registration
ends is told by the `Location` of its answer; what the description alone can say is the `unsubscribe` of a
trigger: a step of the ladder below and, where there is one, the id of the DELETE operation.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from actions.specs.events import escape
from actions.specs.model import (
    Body,
    Media,
    Operation,
    Parameter,
    Policy,
    Response,
    Schema,
    Spec,
    Trigger,
    TriggerKind,
)
from actions.specs.paths import named_triggers
from actions.specs.reading import Reading, extras, near, text
from actions.specs.references import Unresolved

CONTENT: Final = "x-ms-notification-content"
LOCATION, BELOW, SAME, ONE_HOOK, ONE_OTHER, NEAREST, AMBIGUOUS, NONE_FITS, NO_DELETE = range(1, 10)
"""The steps of the ladder (SPECS §5). `ONE_OTHER` is often wrong: never without somebody's consent."""
MAX_DEPTH: Final = 12

_HOOK: Final = re.compile(r"hook|trigger|subscri|notif|callback", re.IGNORECASE)
_PART: Final = re.compile(r"/\{[^{}/]*\}/?")


def read_triggers(reading: Reading, root: Mapping[str, Any], spec: Spec) -> Spec:
    """Return the description with the triggers that its operations make."""
    triggers = []
    for one in spec.operations.values():
        address = next(_addresses(spec, one), None)
        marked = "x-ms-trigger" in one.extras
        content = one.extras.get(CONTENT)
        if not marked and (address is None or content is None):
            continue
        hook = address is not None or (content is not None and "x-ms-notification" not in one.extras)
        kind: TriggerKind = "callback" if not marked else "notification" if hook else "poll"
        trigger = Trigger(
            id="",
            kind=kind,
            name=one.id,
            method="POST" if hook else one.method,
            summary=one.summary,
            description=one.description,
            operation=one.id,
            address=address or "",
            pointer=one.pointer,
            extras=one.extras,
        )
        fill = _notified if hook else _polled
        triggers.append(("", fill(reading, spec, trigger)))
    _report_unused(reading, root)
    return replace(spec, triggers={**spec.triggers, **named_triggers(triggers)})


# What is sent to us


def _notified(reading: Reading, spec: Spec, trigger: Trigger) -> Trigger:
    operation = spec.operations[trigger.operation]
    pointer = f"{operation.pointer.rpartition('/')[0]}/{CONTENT}"
    content: Mapping[str, Any] = {}
    try:
        content = reading.mapping(reading.registry.follow(trigger.extras.get(CONTENT)), pointer)
    except Unresolved as reason:
        reading.add("notification-content", f"{operation.id}: what is sent {reason}", pointer)
    if not content:
        message = f"{operation.id}: what is sent to the callback URL is not described; anything is taken"
        reading.add("notification-content", message, operation.pointer, severity="info")
    if not trigger.address:
        message = f"{operation.id}: no field of its input is marked x-ms-notification-url"
        reading.add("notification-url", message, operation.pointer)
    schema = content.get("schema")
    return replace(
        trigger,
        parameters=tuple(_headers(content.get("headers"))),
        body=_json(schema if isinstance(schema, dict | bool) else {}, text(content.get("description"))),
        extras={**trigger.extras, "unsubscribe": unsubscribe(spec, operation)},
    )


def _headers(value: Any) -> Iterator[Parameter]:
    for name, header in value.items() if isinstance(value, dict) else ():
        schema = header if isinstance(header, dict) else {}
        shown = text(schema.get("description"))
        yield Parameter(name=name, location="header", schema=schema, description=shown, extras=extras(schema))


def _json(schema: Schema, description: str = "") -> Body:
    media = Media(type="application/json", schema=schema)
    return Body(media=(media,), required=True, description=description)


def _addresses(spec: Spec, operation: Operation) -> Iterator[str]:
    """Yield where the callback URL goes, as a path into the arguments without its first slash."""
    for one in operation.parameters:
        if _is_url(one.extras):
            yield f"{one.location}/{escape(one.name)}" if operation.grouped else escape(one.name)
    for media in operation.body.media[:1] if operation.body else ():
        yield from _fields(spec, media.schema, "body", MAX_DEPTH, frozenset())


def _fields(spec: Spec, schema: Any, path: str, depth: int, seen: frozenset[int]) -> Iterator[str]:
    found = spec.registry.schema(schema)
    if not depth or id(found) in seen:
        return
    if _is_url(found) or (isinstance(schema, dict) and _is_url(schema)):
        yield path
    properties, seen = found.get("properties"), seen | {id(found)}
    for name, member in properties.items() if isinstance(properties, dict) else ():
        if isinstance(member, dict):
            yield from _fields(spec, member, f"{path}/{escape(name)}", depth - 1, seen)
    parts = found.get("allOf")
    for part in parts if isinstance(parts, list) else ():
        yield from _fields(spec, part, path, depth - 1, seen)
    if isinstance(found.get("items"), dict):
        yield from _fields(spec, found["items"], f"{path}/0", depth - 1, seen)


def _is_url(value: Mapping[str, Any]) -> bool:
    marked = value.get("x-ms-notification-url")
    return marked is True or text(marked).lower() == "true"


def _report_unused(reading: Reading, root: Mapping[str, Any]) -> None:
    """Say where something is described as sent to us that no operation asks for."""
    paths = root.get("paths")
    for path, item in paths.items() if isinstance(paths, dict) else ():
        if isinstance(item, dict) and CONTENT in item and not set(item) - {CONTENT}:
            message = f"{path}: a notification is described, but no operation asks for it"
            reading.add("notification-unused", message, f"/paths/{escape(path)}", severity="info")


# What we ask for


def _polled(reading: Reading, spec: Spec, trigger: Trigger) -> Trigger:
    operation = spec.operations[trigger.operation]
    policy = next((one for one in spec.policies if _polls(one, operation.id)), None)
    added = {"pollingtrigger": policy.parameters} if policy else {}
    other = trigger.extras.get("x-ms-notification")
    if isinstance(other, dict):  # it is polled, and also notified by what another operation registers
        name = text(other.get("operationId"))
        if spec.find(name) is None:
            message = (
                f"{operation.id}: x-ms-notification names the operation {name[:80]!r}, which does not exist"
            )
            reading.add("no-such-operation", message + near(name, spec.operations), operation.pointer)
    response = _good(operation.responses)
    body = _json(response.media[0].schema, response.description) if response and response.media else None
    return replace(trigger, body=body, extras={**trigger.extras, **added})


def _polls(policy: Policy, id_: str) -> bool:
    return policy.template == "pollingtrigger" and (policy.operations is None or id_ in policy.operations)


def _good(responses: Mapping[str, Response]) -> Response | None:
    """Return the answer that brings data: 200, else another good one, else the default."""
    good = [status for status in responses if status.startswith("2")]
    order = [
        *(["200"] if "200" in responses else []),
        *good,
        *(["default"] if "default" in responses else []),
    ]
    with_content = [responses[status] for status in order if responses[status].media]
    return with_content[0] if with_content else None


# How it ends


def unsubscribe(spec: Spec, operation: Operation) -> dict[str, Any]:
    """Return the step of the ladder, and the operation that would end a registration or ""."""
    step, found = _ladder(spec, operation)
    if any(
        name.lower() == "location"
        for status, response in operation.responses.items()
        if status.startswith("2") or status == "default"
        for name in response.headers
    ):
        # What the spec alone would choose is kept: some servers forget the header that they declare.
        fallback = found if step in {BELOW, SAME, ONE_HOOK, NEAREST} else ()
        step, found = LOCATION, fallback
    ids = [one.id for one in found]
    known = len(ids) == 1
    return {
        "step": step,
        "operation": ids[0] if known else "",
        **({} if known or not ids else {"candidates": ids}),
    }


def _ladder(spec: Spec, operation: Operation) -> tuple[int, Sequence[Operation]]:
    deletes = [one for one in spec.operations.values() if one.method == "DELETE"]
    path = operation.path.rstrip("/")
    below = [one for one in deletes if one.path.startswith(path) and _PART.fullmatch(one.path[len(path) :])]
    same = [one for one in deletes if one.path.rstrip("/") == path]
    if below or same:
        return (BELOW, below[:1]) if below else (SAME, same)
    hooks = [one for one in deletes if _HOOK.search(f"{one.path} {one.id} {one.summary}")]
    if len(hooks) > 1:
        return _nearest(hooks, path)
    if hooks:
        return ONE_HOOK, hooks
    if len(deletes) == 1:
        return ONE_OTHER, deletes
    return (NONE_FITS if deletes else NO_DELETE), ()


def _nearest(hooks: Sequence[Operation], path: str) -> tuple[int, Sequence[Operation]]:
    shared = [_shared(one.path, path) for one in hooks]
    best = max(shared)
    if best and shared.count(best) == 1:
        return NEAREST, [hooks[shared.index(best)]]
    return AMBIGUOUS, hooks


def _shared(first: str, second: str) -> int:
    """Return how many segments two paths have in common at their beginning."""
    count = 0
    for one, other in zip(first.strip("/").split("/"), second.strip("/").split("/"), strict=False):
        if one != other:
            break
        count += 1
    return count

"""Makes one operation of all calls with the same method, place and path; each call stays as a named preset.

A preset's arguments stand in the form that the operation takes. `{{variables}}` that have no value stay in
them as they are; the preset's extras name them (`variables`), and what else the arguments lack: samples of
path parameters (`missing`), `files` by their names, and a body that is no value (`text` and why, `problem`).
`needs` are the pointers of all arguments that have to be given before the preset can be called, `bare` those
of variables that stood outside of quotes in JSON.
`name` stands there when a preset had to be called differently.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from actions.specs.events import escape
from actions.specs.model import Operation, Preset, Security, SecurityScheme, Server
from actions.specs.paths import key_header, settled
from actions.specs.postman.auth import Schemes
from actions.specs.postman.bodies import ABSENT, Sent, essence, merged
from actions.specs.postman.drafts import Draft
from actions.specs.postman.inputs import Given, inputs
from actions.specs.postman.responses import responses
from actions.specs.postman.variables import PLACEHOLDER
from actions.specs.reading import Sketch

_MAX_TAGS: Final = 10


class Grouping:
    """Makes the operations of one collection; `known` are the schemes that `schemes` made."""

    def __init__(self, schemes: Schemes, known: dict[str, SecurityScheme]) -> None:
        self._schemes = schemes
        self._known = known

    def operation(self, sketch: Sketch, drafts: Sequence[Draft], servers: tuple[Server, ...]) -> Operation:
        """Return the operation of these calls, without id and aliases."""
        first, lead = drafts[0], _lead(drafts)
        titles = preset_names(drafts)
        if first.problem:
            sketch.refuse(first.problem)
        parameters, given, unfit = inputs(drafts, lead.address.holes)
        body = merged([(title, one.sent) for title, one in zip(titles, drafts, strict=True)])
        sketch.degraded.extend(unfit)
        called = {one.call.name for one in drafts}
        made = Operation(
            id="",
            method=first.method,
            path=lead.address.path,
            name=(first.call.name or "") if len(called) == 1 else "",
            summary=first.call.name or "",
            description=next((one.call.description for one in drafts if one.call.description), ""),
            tags=tuple(dict.fromkeys(one.call.folders[-1] for one in drafts if one.call.folders))[:_MAX_TAGS],
            parameters=parameters,
            body=body,
            responses=responses(one.call for one in drafts),
            servers=servers,
            security=self._security(sketch, drafts),
            key_header=key_header(parameters),
            pointer=first.call.pointer,
            extras=_captures(drafts),
        )
        media = body.media[0].type if body else ""
        presets = [
            _preset(made, title, one, _arguments(made, one, values, media))
            for title, one, values in zip(titles, drafts, given, strict=True)
        ]
        return settled(sketch, replace(made, presets=tuple(presets)))

    def _security(self, sketch: Sketch, drafts: Sequence[Draft]) -> Security:
        """Return the logins of the calls as alternatives, that of most calls first."""
        counts = Counter(tuple(self._schemes.need(login) for login in one.logins) for one in drafts)
        alternatives = [needs for needs, _ in counts.most_common()]
        if alternatives == [()]:
            told = any(one.call.login for one in drafts)  # `noauth`, which is more than nothing
            return ((),) if told else ()
        problems = [
            {one.scheme: self._known[one.scheme].problem for one in needs if self._known[one.scheme].problem}
            for needs in alternatives
        ]
        if all(problems):
            sketch.degraded.extend(f"the login {name} {why}" for name, why in problems[0].items())
        return tuple(sorted(alternatives, key=lambda needs: not needs))


def _lead(drafts: Sequence[Draft]) -> Draft:
    """Return a call whose names of path parameters are those of most; the order of the calls says nothing."""
    counts = Counter(one.address.path for one in drafts)
    return min(drafts, key=lambda one: (-counts[one.address.path], one.address.path))


def preset_names(drafts: Sequence[Draft]) -> list[str]:
    """Return a name for each call: its own, with its folders where several have it, with a number at last."""
    own = [one.label for one in drafts]
    counts = Counter(own)
    long = [
        " / ".join((*one.call.folders, name)) if counts[name] > 1 else name
        for one, name in zip(drafts, own, strict=True)
    ]
    taken: set[str] = set()
    numbers: Counter[str] = Counter()
    named = []
    for wanted in long:
        name = wanted
        while name in taken:
            numbers[wanted] += 1
            name = f"{wanted} ({numbers[wanted] + 1})"
        taken.add(name)
        named.append(name)
    return named


def _arguments(operation: Operation, draft: Draft, given: Given, media: str) -> dict[str, Any]:
    """Return what a call gives, in the form that the operation takes; `media` is what it sends ordinarily."""
    if draft.sent and essence(draft.sent.type) not in ("", essence(media)):
        given = {**given, "header": {**given.get("header", {}), "Content-Type": draft.sent.type}}
    arguments: dict[str, Any] = {}
    for location, values in given.items():
        if operation.grouped:
            arguments[location] = values
        else:
            arguments.update(values)
    sent = draft.sent
    if sent is not None and sent.value is not ABSENT and operation.body is not None:
        arguments["body"] = sent.value
    return arguments


def _preset(operation: Operation, title: str, draft: Draft, arguments: dict[str, Any]) -> Preset:
    call, sent = draft.call, draft.sent
    extras: dict[str, Any] = {}
    missing = dict.fromkeys(open_names(arguments))
    lacking = [hole.name for hole in draft.address.holes if not hole.sample]
    if call.name != title:
        extras["name"] = call.name
    if missing:
        extras["variables"] = list(missing)
    if lacking:
        extras["missing"] = lacking
    if sent is not None and sent.files and not sent.optional:
        extras["files"] = sent.files
    if sent is not None and sent.problem:
        extras["problem"] = sent.problem
        extras["text"] = sent.text
    if sent is not None and sent.bare and "body" in arguments:
        extras["bare"] = [f"/body{pointer}" for pointer in sent.bare]
    needs = list(_needs(operation, sent, arguments))
    if needs:
        extras["needs"] = needs
    return Preset(
        name=title,
        arguments=arguments,
        description=call.description,
        method=call.method,
        url=call.shown_url,
        extras=extras,
    )


def _needs(operation: Operation, sent: Sent | None, arguments: dict[str, Any]) -> Iterator[str]:
    """Yield pointers of what a caller has to give beside the arguments of a preset."""
    for one in operation.parameters:
        given = arguments.get(one.location, {}) if operation.grouped else arguments
        default = isinstance(one.schema, Mapping) and "default" in one.schema
        if one.required and not default and one.name not in given:
            yield f"/{one.location}/{escape(one.name)}" if operation.grouped else f"/{escape(one.name)}"
    if sent is not None and not sent.optional:
        yield from (f"/body/{escape(name)}" if name else "/body" for name in sent.files)
    if sent is not None and sent.problem and "{{" not in sent.text:
        yield "/body"  # else the values of its variables may make it whole


def open_names(value: Any) -> Iterator[str]:
    """Yield the names of the variables that stand in a value."""
    stack = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, str):
            if "{{" in one:
                yield from (name.strip() for name in PLACEHOLDER.findall(one))
        elif isinstance(one, dict):
            stack.extend(one.values())
        elif isinstance(one, list):
            stack.extend(one)


def _captures(drafts: Iterable[Draft]) -> dict[str, Any]:
    """Return what the scripts of the calls keep of the answers, by variable."""
    captures: dict[str, str] = {}
    for one in drafts:
        for variable, path in one.effects.captures.items():
            captures.setdefault(variable, path)
    return {"captures": captures} if captures else {}


def ids_wanted(operations: Sequence[Operation]) -> list[tuple[str, str, str]]:
    """Return what ids are made of: name, method and path, with the place where paths alone are not unique."""
    counts = Counter((one.method, one.path) for one in operations)
    wanted = []
    for one in operations:
        place = one.servers[0].url.partition("://")[2] or one.servers[0].url if one.servers else ""
        apart = counts[one.method, one.path] > 1 and place
        path = f"{place.replace('{', '').replace('}', '')}{one.path}" if apart else one.path
        wanted.append((one.name, one.method, path))
    return wanted

"""The parameters of an operation, of what all its calls give for them.

What every call sends in the same way is required and has that value as its default: left out, the call is
the collection's. What only some send is optional; what differs is shown as examples. Samples in a path are
examples only, unless they are the value of a variable: nobody should delete what a collection only names.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from actions.generators import is_made
from actions.specs.model import Location, Parameter
from actions.specs.postman.bodies import hinted
from actions.specs.postman.calls import Pair
from actions.specs.postman.drafts import Draft, sendable
from actions.specs.postman.urls import Hole, plain
from actions.specs.postman.variables import DYNAMIC, LONE, PLACEHOLDER, names
from actions.specs.reading import TOKEN

_MAX_EXAMPLES: Final = 5
_UNFIT: Final = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
_REQUIRED: Final = re.compile(r"\s*\(required\)\s*", re.IGNORECASE)

Given = dict[Location, dict[str, Any]]
"""What one call gives, by location and name."""


@dataclass(slots=True)
class _Seen:
    """What the calls of an operation give for one parameter; the calls by their number."""

    name: str
    calls: set[int] = field(default_factory=set)
    values: dict[int, list[str]] = field(default_factory=dict)
    shown: dict[str, None] = field(default_factory=dict)
    hint: dict[str, Any] | None = None
    templates: dict[str, None] = field(default_factory=dict)
    description: str = ""
    several: bool = False

    def add(self, index: int, value: str | None, filled: str) -> None:
        """Take note of what one call sends."""
        self.calls.add(index)
        if value and "{{" in value:
            self.templates[value] = None
        hint = hinted(value)
        if hint:
            self.hint = hint[0]
            return
        self.values.setdefault(index, []).append(filled)
        self.several = self.several or len(self.values[index]) > 1
        self.show(filled)

    def show(self, value: str) -> None:
        """Take note of a sample."""
        if value and not PLACEHOLDER.search(value) and not hinted(value):
            self.shown[value] = None

    @property
    def dynamic(self) -> bool:
        """Whether a generator makes the value anew for every call."""
        return any(is_made(name) for one in self.templates for name in names(one))

    def schema(self) -> dict[str, Any]:
        """Return the schema, without a default."""
        known: dict[str, Any] = {"type": "string"} if self.hint is None else dict(self.hint)
        for template in self.templates if len(self.templates) == 1 else ():
            lone = LONE.fullmatch(template)
            known = dict(DYNAMIC.get(lone.group(1).strip(), known)) if lone else known
        if self.several:
            known = {"type": "array", "items": known}
        elif self.shown and known.get("type") == "string":
            known["examples"] = list(self.shown)[:_MAX_EXAMPLES]
        return known

    def constant(self, calls: int) -> Any:
        """Return the one value that all calls send; None when they do not."""
        sent = list(self.values.values())
        if len(sent) < calls or any(one != sent[0] for one in sent) or self.hint:
            return None
        if any(PLACEHOLDER.search(value) for value in sent[0]):
            return None
        return sent[0] if self.several else sent[0][-1]


def inputs(
    drafts: Sequence[Draft], holes: Sequence[Hole]
) -> tuple[tuple[Parameter, ...], list[Given], list[str]]:
    """Return the parameters, what each call gives for them, and what cannot be sent.

    `holes` are those of the path that the operation has; those of a call may have other names.
    """
    given: list[Given] = [{} for _ in drafts]
    parameters = list(_path(drafts, holes, given))
    unfit: list[str] = []
    for location, seen in _elsewhere(drafts):
        if location != "query" and not TOKEN.fullmatch(seen.name):
            if seen.calls:  # not only switched off
                unfit.append(f"the {location} name {seen.name[:80]!r} cannot be sent; left out")
            continue
        parameters.append(_parameter(seen, location, len(drafts)))
        for index, values in seen.values.items():
            given[index].setdefault(location, {})[seen.name] = values if seen.several else values[-1]
    return tuple(parameters), given, unfit


def _path(drafts: Sequence[Draft], holes: Sequence[Hole], given: list[Given]) -> Iterator[Parameter]:
    for position, hole in enumerate(holes):
        seen = _Seen(hole.name)
        variables = {draft.address.holes[position].variable for draft in drafts}
        for index, draft in enumerate(drafts):
            one = draft.address.holes[position]
            seen.description = seen.description or one.description
            if one.sample:
                filled = plain(draft.variables.fill(one.sample), query=False)
                seen.add(index, one.sample, filled)
                if filled and not hinted(filled):
                    given[index].setdefault("path", {})[hole.name] = filled
        schema = seen.schema()
        default = seen.constant(len(drafts)) if variables == {hole.variable} and hole.variable else None
        yield Parameter(
            name=hole.name,
            location="path",
            required=True,
            schema={**schema, "default": default} if default else schema,
            description=_REQUIRED.sub("", seen.description),
            extras=_extras(seen),
        )


def _elsewhere(drafts: Sequence[Draft]) -> Iterator[tuple[Location, _Seen]]:
    """Yield the parameters of query, headers and cookies."""
    found: dict[tuple[Location, str], _Seen] = {}
    for index, draft in enumerate(drafts):
        for location, one in _pairs(draft):
            key = (location, one.name.lower() if location == "header" else one.name)
            seen = found.setdefault(key, _Seen(one.name))
            seen.description = seen.description or one.description
            filled = draft.variables.fill(one.value or "")
            if location != "header":
                filled = plain(filled, query=True)
            if one.disabled:
                seen.show(filled)
                if one.value and "{{" in one.value:
                    seen.templates[one.value] = None
            elif location == "query" or filled:
                if location != "query":
                    seen.values.pop(index, None)  # the last one counts
                seen.add(index, one.value, filled)
    for (location, _), seen in found.items():
        yield location, seen


def _pairs(draft: Draft) -> Iterator[tuple[Location, Pair]]:
    for one in draft.query:
        yield "query", one
    for one in sendable(draft.headers):
        yield "header", one
    for one in draft.headers:
        if one.name.lower() == "cookie":
            for part in (one.value or "").split(";"):
                name, _, value = part.strip().partition("=")
                if name:
                    yield "cookie", Pair(name=name, value=value, disabled=one.disabled)


def _parameter(seen: _Seen, location: Location, calls: int) -> Parameter:
    schema = seen.schema()
    required = len(seen.calls) == calls and not seen.dynamic
    if seen.hint and not seen.values and not _REQUIRED.search(seen.description):
        required = False  # made of a description, which marks what it requires
    value = seen.constant(calls) if required else None
    if value is not None and location != "query" and (not value or _UNFIT.search(value)):
        value = None
    query = location in ("query", "cookie")
    extras = _extras(seen)
    if extras and seen.dynamic and len(seen.calls) == calls and len(seen.values) == calls:
        extras["x-postman-made"] = True
    return Parameter(
        name=seen.name,
        location=location,
        required=required,
        schema=schema if value is None else {**schema, "default": value},
        style="form" if query else "simple",
        explode=query,
        description=_REQUIRED.sub("", seen.description),
        extras=extras,
    )


def _extras(seen: _Seen) -> dict[str, Any]:
    templates = list(seen.templates)
    return {"x-postman-template": templates[0]} if len(templates) == 1 else {}


def templates(parameters: Iterable[Parameter]) -> Iterator[str]:
    """Yield the texts with variables that parameters stand for."""
    for one in parameters:
        found = one.extras.get("x-postman-template")
        if isinstance(found, str):
            yield found

"""Templates that change properties of a JSON body. Pure.

`setproperty`, `moveproperties`, `stringreplace`, `encodepropertyvalue`.

The parent is an object, or a list for each of whose items the policy works. A property that is not there is
left alone; `setproperty` makes it, and its parent where that is an object. What is set is text, as the vendor
documents (`30` is "30"), unless it is one expression, which keeps its type, or JSON: an object or a list, in
which each expression becomes one value or a part of one string, never structure.
"""

import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

import msgspec
from typing_extensions import override

from actions.expressions import Path, Root, Template, Text, evaluate, render
from actions.policies.documents import Slot, Unfit, copy_of, is_absent, text_of
from actions.policies.messages import Draft, Message, Reply
from actions.policies.steps import Step
from actions.specs.model import Operation, Spec
from actions.templates import Parameters

_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_FROM_PARENT: Final[frozenset[Root]] = frozenset(["item", "here"])


class BodyStep(Step):
    """A policy that changes the body of whichever message it runs on, if there is one."""

    @override
    def request(self, draft: Draft) -> None:
        self._run(draft)

    @override
    def answer(self, reply: Reply) -> None:
        self._run(reply)

    def change(self, message: Message) -> None:
        """Change a body that is there."""
        raise NotImplementedError

    def _run(self, message: Message) -> None:
        if message.empty:
            return
        message.document()
        message.touched = True
        try:
            self.change(message)
        finally:
            message.item = None


class Target:
    """The place that a template works on and the place of its result, in each item of a collection."""

    def __init__(self, fields: Parameters) -> None:
        self._parent = fields.path("propertyParentPath")
        self._sub = fields.path("propertySubPath").steps
        new = fields.text("newPropertyPath").strip().lower()
        self._new = fields.path("newPropertyPath") if new not in {"", "null"} else None

    def each(self, message: Message, wanted: type) -> Iterator[tuple[Slot, Slot]]:
        """Yield what is worked on, holding a value of the wanted type, and where its result goes."""
        root = message.document().root
        for parent in root.spread(self._parent.steps):
            if not self._sub and isinstance(_plain(parent.value()), wanted):
                yield from self._pair(message, parent, parent)
                continue
            for item in parent.items():
                message.item = item
                found = item.below(self._sub)
                if found is not None and isinstance(_plain(found.value()), wanted):
                    yield from self._pair(message, item, found)

    def _pair(self, message: Message, item: Slot, found: Slot) -> Iterator[tuple[Slot, Slot]]:
        result: Slot | None = found
        if self._new is not None:
            steps = self._new.steps
            inside = self._parent.steps == steps[: len(self._parent.steps)]
            if self._new.root in _FROM_PARENT:
                result = item.below(steps, make=True)
            elif inside:
                result = item.below(steps[len(self._parent.steps) :], make=True)
            else:
                result = message.document().root.below(steps, make=True)
        if result is not None:
            yield found, result


class SetProperty(BodyStep):
    """Adds a property, or gives it another value."""

    def __init__(self, title: str, fields: Parameters, *, makes_parent: bool = True) -> None:
        """Without `makes_parent`, nothing is set where the parent is not there."""
        super().__init__(title)
        self._makes_parent = makes_parent
        self._parent = fields.path("newPropertyParentPathTemplate").steps
        self._steps = fields.path("newPropertySubPathTemplate").steps
        self._value = Value(fields.template("propertyValuePathTemplate"))

    @override
    def change(self, message: Message) -> None:
        root = message.document().root
        parents = list(root.spread(self._parent))
        if all(is_absent(parent.value()) for parent in parents):
            if not self._makes_parent:
                return
            made = root.below(self._parent, make=True) if self._value.of(message) is not None else None
            parents = [] if made is None else [made]
        for parent in parents:
            for item in parent.items():
                message.item = item
                value = self._value.of(message)
                place = None if value is None else item.below(self._steps, make=True)
                if place is not None:
                    place.put(value)


def may_be_object(spec: Spec, operation: Operation, section: str, place: Path) -> bool:
    """Say whether a place in the body may hold an object, as far as its description tells."""
    if section == "request":
        media = operation.body.media if operation.body else ()
    else:
        media = tuple(one for answer in operation.responses.values() for one in answer.media)
    for one in media:
        schema = spec.registry.schema(one.schema)
        for step in place.steps:
            inner = schema.get("properties" if isinstance(step, str) else "items")
            schema = spec.registry.schema(
                inner.get(step) if isinstance(inner, dict) and isinstance(step, str) else inner
            )
        if schema.get("type", "object") not in ("object", ["object", "null"]):
            return False
    return True


class Value:
    """What `setproperty` sets, compiled."""

    def __init__(self, template: Template) -> None:
        self._template = template
        self._pieces = _json_pieces(template)

    def of(self, message: Message) -> Any:
        """Return the value; None when it is made of what is not there alone."""
        if self._pieces is not None:
            return self._structure(message, self._pieces)
        if len(self._template) == 1 and isinstance(self._template[0], Path):
            slot = message.slot(self._template[0])
            found = None if slot is None else slot.value()
            return None if found is None else copy_of(found)
        text = render(self._template, message)
        return text if text or not _holes(self._template) else None

    def _structure(self, message: Message, pieces: list[tuple[Any, bool]]) -> Any:
        out = b""
        missing = 0
        for part, in_string in pieces:
            if isinstance(part, Text):
                out += part.text.encode()
                continue
            token = _token(part, message)
            missing += token is None
            if in_string:
                text = "" if token is None else text_of(msgspec.Raw(token)) or ""
                out += msgspec.json.encode(text)[1:-1]
            else:
                out += b"null" if token is None else token
        holes = sum(not isinstance(part, Text) for part, _ in pieces)
        return None if holes and missing == holes else msgspec.Raw(out)


class MoveProperties(BodyStep):
    """Moves a property to another place, or all that is in it."""

    def __init__(self, title: str, fields: Parameters) -> None:
        super().__init__(title)
        self._from = fields.path("srcParentPath").steps
        self._source = fields.path("srcSubPath").steps
        self._to = fields.path("dstParentPath").steps
        self._target = fields.path("dstSubPath").steps
        self._inner = fields.text("copyOnlySubProperties").lower() == "true"

    @override
    def change(self, message: Message) -> None:
        root = message.document().root
        if self._from == self._to:
            for parent in root.spread(self._from):
                for item in parent.items():
                    self._move(item, item)
            return
        for parent in list(root.spread(self._from)):
            target = root.below(self._to, make=True)
            if target is not None:
                self._move(parent, target)

    def _move(self, source: Slot, target: Slot) -> None:
        found = source.below(self._source)
        value = None if found is None else found.value()
        if found is None or value is None:
            return
        if self._inner:
            if isinstance(value, dict):
                members = {name: copy_of(member) for name, member in value.items()}
                self._drop(found)
                self._merge(target, members)
            return
        moved = copy_of(value)
        self._drop(found)
        place = target.below(self._target or self._source[-1:], make=True)
        if place is None:
            raise Unfit("there is no such place to move the property to")
        place.put(moved)

    def _drop(self, found: Slot) -> None:
        if self._source:
            found.drop()

    def _merge(self, target: Slot, members: dict[str, Any]) -> None:
        place = target.below(self._target, make=True)
        into = None if place is None else place.value()
        if place is None or not (is_absent(into) or isinstance(into, dict)):
            raise Unfit("the properties cannot be moved into what is no object")
        place.put({**(into or {}), **members} if isinstance(into, dict) else members)


class StringReplace(BodyStep):
    """Replaces text within a text."""

    def __init__(self, title: str, fields: Parameters) -> None:
        super().__init__(title)
        self._target = Target(fields)
        self._old = fields.template("sourceString")
        self._new = fields.template("replacementString")

    @override
    def change(self, message: Message) -> None:
        for found, result in self._target.each(message, str):
            old = render(self._old, message)
            text = text_of(found.value()) or ""
            result.put(text.replace(old, render(self._new, message)) if old else text)


class EncodeProperty(BodyStep):
    """Percent-encodes a text, all but letters, digits and `-._~`."""

    def __init__(self, title: str, fields: Parameters) -> None:
        super().__init__(title)
        self._target = Target(fields)

    @override
    def change(self, message: Message) -> None:
        for found, result in self._target.each(message, str):
            result.put(quote(text_of(found.value()) or "", safe=""))


def _plain(value: Any) -> Any:
    """Return a value with its text read, so that its type can be asked for."""
    if isinstance(value, msgspec.Raw) and bytes(value).lstrip().startswith(b'"'):
        return text_of(value)
    return value


def _holes(template: Template) -> bool:
    return any(not isinstance(part, Text) for part in template)


def _token(part: Any, message: Message) -> bytes | None:
    """Return the JSON token of an expression, None where there is nothing."""
    if isinstance(part, Path):
        slot = message.slot(part)
        found = None if slot is None else slot.value()
        if found is None:
            return None
        return bytes(found) if isinstance(found, msgspec.Raw) else msgspec.json.encode(found)
    text = evaluate(part, message)
    return None if text is None else msgspec.json.encode(text)


def _json_pieces(template: Template) -> list[tuple[Any, bool]] | None:
    """Return the parts of a template that is an object or a list, each with whether it is within a string.

    None where it is not: an expression outside of a string counts as one value.
    """
    whole = "".join(part.text for part in template if isinstance(part, Text)).strip()
    if not whole.startswith(("{", "[")):
        return None
    pieces: list[tuple[Any, bool]] = []
    sample, inside = "", False
    for part in template:
        pieces.append((part, inside))
        if isinstance(part, Text):
            sample += part.text
            inside = '"' in _STRING.sub("", sample)  # a quote that is left opens a string
        elif not inside:
            sample += "null"
    try:
        decoded = msgspec.json.decode(sample.encode())
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None
    return pieces if isinstance(decoded, dict | list) else None

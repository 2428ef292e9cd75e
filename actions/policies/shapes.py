"""Templates that change the shape of a JSON body. Pure.

`convertobjecttoarray`, `convertarraytoobject`, `stringtoarray`.

What does not have the shape that is to be changed is left as it is.
"""

import re
from typing import Any

import msgspec
from typing_extensions import override

from actions.expressions import render
from actions.policies.documents import MAX_ITEMS, Slot, Unfit, copy_of, text_of
from actions.policies.messages import Message
from actions.policies.properties import BodyStep, Target
from actions.templates import Parameters


class ObjectToArray(BodyStep):
    """`{k: v}` becomes `[{keyName: k, valueName: v}]`, in the order of the names."""

    def __init__(self, title: str, fields: Parameters) -> None:
        super().__init__(title)
        self._target = Target(fields)
        self._key = fields.template("keyName")
        self._value = fields.template("valueName")

    @override
    def change(self, message: Message) -> None:
        for found, result in self._target.each(message, dict):
            key, value = render(self._key, message), render(self._value, message)
            result.put([_entry(key, name, value, member) for name, member in dict(found.value()).items()])


class ArrayToObject(BodyStep):
    """A list of objects becomes one object with a member for each, named by one of its own values."""

    def __init__(self, title: str, fields: Parameters) -> None:
        super().__init__(title)
        self._target = Target(fields)
        self._key = fields.path("keyWithinCollectionPath").steps
        self._value = fields.path("valueWithinCollectionPath").steps
        self._retain = fields.text("retainKey").lower() != "false"

    @override
    def change(self, message: Message) -> None:
        for found, result in self._target.each(message, list):
            made: dict[str, Any] = {}
            for item in list(found.items()):
                self._member(item, made)
            result.put(made)

    def _member(self, item: Slot, made: dict[str, Any]) -> None:
        named = item.below(self._key)
        name = None if named is None else text_of(named.value())
        if named is None or name is None:
            return
        place = item.below(self._value)
        value = None if place is None else place.value()
        if self._retain or not isinstance(value, dict):
            made[name] = copy_of(value) if value is not None else None
            return
        copied = Slot([msgspec.Raw(msgspec.json.encode(value))], 0)
        own = copied.below(self._key) if not self._value else None
        if own is not None:
            own.drop()
        made[name] = copied.value()


class StringToArray(BodyStep):
    """A text with delimiters becomes a list of objects, each with one part of it."""

    def __init__(self, title: str, fields: Parameters) -> None:
        super().__init__(title)
        self._target = Target(fields)
        self._delimiters = fields.template("delimiterList")
        self._name = fields.template("childPropertyName")

    @override
    def change(self, message: Message) -> None:
        for found, result in self._target.each(message, str):
            delimiters, name = render(self._delimiters, message), render(self._name, message)
            text = text_of(found.value()) or ""
            parts = re.split(f"[{re.escape(delimiters)}]", text) if delimiters else [text]
            if len(parts) > MAX_ITEMS:
                raise Unfit(f"a text has more than {MAX_ITEMS} parts")
            result.put([{name: part} for part in parts if part])


def _entry(key: str, name: str, value: str, member: Any) -> dict[str, Any]:
    if value:
        return {key: name, value: copy_of(member)}
    inner = Slot([member], 0).value()
    return {key: name, **inner} if isinstance(inner, dict) else {key: name, "value": copy_of(member)}

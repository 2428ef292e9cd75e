"""A JSON body that is changed in place: opened only along the paths that are walked.

What nobody touched keeps its very token (`1.10`, 20 digits, the order of names), and what is copied is copied
as a token, so that text of an event can never become structure (S43). Pure and bounded.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from actions.expressions import Path, Step

MAX_BODY: Final = 16 << 20
"""Bytes of a body that policies read or make."""

MAX_ITEMS: Final = 100_000
"""Items of lists that one policy changes or makes."""

_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_elements: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_text: Final = msgspec.json.Decoder(str).decode


class Unfit(Exception):
    """A body on which a policy cannot work; the text says why."""


class Slot:
    """A place that holds a value: a member of an object, an item of a list, or the whole document."""

    __slots__ = ("_key", "_owner")

    def __init__(self, owner: Any, key: Any) -> None:
        self._owner = owner
        self._key = key

    def value(self) -> Any:
        """Return what stands here, opened one level; None where nothing does. Lists and dicts are live."""
        owner, key = self._owner, self._key
        if isinstance(owner, dict):
            found = owner.get(key)
        else:
            found = owner[key] if isinstance(key, int) and key < len(owner) else None
        if isinstance(found, msgspec.Raw):
            opened = _opened(found)
            if opened is not found:
                owner[key] = opened
            return opened
        return found

    def put(self, value: Any) -> None:
        """Put a value here."""
        if isinstance(self._owner, list) and self._key == len(self._owner):
            self._owner.append(value)
        else:
            self._owner[self._key] = value

    def drop(self) -> None:
        """Take away what stands here."""
        if isinstance(self._owner, dict):
            self._owner.pop(self._key, None)
        else:
            del self._owner[self._key]

    def below(self, steps: Sequence[Step], *, make: bool = False) -> "Slot | None":
        """Return the slot at these steps; None where the way ends. `make` makes objects on the way."""
        slot = self
        for step in steps:
            here = slot.value()
            if make and is_absent(here):
                slot.put({})
                here = slot.value()
            named = isinstance(here, dict) and isinstance(step, str)
            if not named and not (isinstance(here, list) and isinstance(step, int) and step <= len(here)):
                return None
            slot = Slot(here, step)
        return slot

    def spread(self, steps: Sequence[Step]) -> Iterator["Slot"]:
        """Yield the slots at these steps; a list on the way stands for each of its items."""
        if not steps:
            yield self
            return
        here = self.value()
        if isinstance(here, list) and isinstance(steps[0], str):
            for index in range(len(here)):
                yield from Slot(here, index).spread(steps)
        elif (isinstance(here, dict) and isinstance(steps[0], str)) or (
            isinstance(here, list) and isinstance(steps[0], int) and steps[0] < len(here)
        ):
            yield from Slot(here, steps[0]).spread(steps[1:])

    def items(self) -> Iterator["Slot"]:
        """Yield the items of a list that stands here, or this very slot where no list does."""
        here = self.value()
        if not isinstance(here, list):
            yield self
            return
        if len(here) > MAX_ITEMS:
            raise Unfit(f"a list has more than {MAX_ITEMS} items")
        for index in range(len(here)):
            yield Slot(here, index)


class Document:
    """One body. Raise Unfit for what is no JSON, or too long."""

    def __init__(self, data: bytes) -> None:
        if len(data) > MAX_BODY:
            raise Unfit(f"the body is longer than {MAX_BODY} bytes")
        try:
            root = msgspec.json.decode(data, type=msgspec.Raw)
            self._holder: list[Any] = [msgspec.Raw(bytes(root).strip())]
            _opened(self._holder[0])
        except (msgspec.DecodeError, RecursionError) as error:
            raise Unfit("the body is no JSON") from error

    @property
    def root(self) -> Slot:
        """The slot of the whole document."""
        return Slot(self._holder, 0)

    def at(self, path: Path, item: Slot | None = None) -> Slot | None:
        """Return the slot that a path names; `@item()` and a path without a root begin at the item."""
        begin = item if item is not None and path.root in ("item", "here") else self.root
        if path.root == "item" and item is None:
            return None
        return begin.below(path.steps)

    def encode(self) -> bytes:
        """Return the document as it is now."""
        try:
            data = msgspec.json.encode(self._holder[0])
        except RecursionError as error:
            raise Unfit("the body is nested too deep") from error
        if len(data) > MAX_BODY:
            raise Unfit(f"the body would be longer than {MAX_BODY} bytes")
        return data


def text_of(value: Any) -> str | None:
    """Return the text of a value: a string's own, else its JSON; None for null and for nothing at all."""
    if value is None:
        return None
    if isinstance(value, str):
        return value
    token = bytes(value) if isinstance(value, msgspec.Raw) else msgspec.json.encode(value)
    token = token.strip()
    if token == b"null":
        return None
    try:
        return _text(token) if token.startswith(b'"') else token.decode()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unfit("a text in the body is no UTF-8") from error


def is_absent(value: Any) -> bool:
    """Say whether there is nothing: no value, or null."""
    return value is None or (isinstance(value, msgspec.Raw) and bytes(value).strip() == b"null")


def copy_of(value: Any) -> Any:
    """Return a value that can stand in a second place: one token, which no later change reaches."""
    return value if isinstance(value, msgspec.Raw | str) else msgspec.Raw(msgspec.json.encode(value))


def _opened(raw: msgspec.Raw) -> Any:
    token = bytes(raw).lstrip()
    try:
        if token.startswith(b"{"):
            return _members(token)
        if token.startswith(b"["):
            return _elements(token)
    except RecursionError as error:
        raise Unfit("the body is nested too deep") from error
    except UnicodeDecodeError as error:
        raise Unfit("a name in the body is no UTF-8") from error
    return raw

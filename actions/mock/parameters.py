"""Reads parameters back from what arrived, by the style that the description declares for each.

A written value can often be read in several ways (`a=` is an empty text and an empty list); all of them are
returned, and whoever knows the schema takes the first that fits. Delimiters count only where they came
unencoded, except those that no URL can carry as they are. Nothing here shares code with what writes requests.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from actions.mock.matching import Pair
from actions.mock.shapes import Tree, View, nested_json
from actions.specs.model import Parameter

Decode = Callable[[str], str]

_SPLITTERS: Final[dict[str, tuple[str, ...]]] = {
    "form": (",", "%2C", "%2c"),
    "spaceDelimited": ("%20", "+", " "),
    "tabDelimited": ("%09", "\t"),
    "pipeDelimited": ("|", "%7C", "%7c"),
}
"""What stands between the parts of a list: the first that occurs."""


class Unreadable(Exception):
    """What arrived is not written as declared; the text goes on after the name of the parameter."""


def decoded(text: str) -> str:
    """Undo percent-encoding."""
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        raise Unreadable("is not UTF-8 once it is decoded") from error


def decoded_form(text: str) -> str:
    """Undo percent-encoding where a plus sign is a space."""
    return decoded(text.replace("+", " "))


def as_is(text: str) -> str:
    """Headers are not percent-encoded; white space around their parts means nothing."""
    return text.strip()


class Ways:
    """The ways in which one parameter can be read, most likely first. `final` are not text any more."""

    __slots__ = ("final", "trees")

    def __init__(self, *trees: Tree, final: bool = False) -> None:
        self.trees = trees
        self.final = final

    def values(self, view: View) -> list[Any]:
        """Return the values that it can be."""
        if self.final:
            return list(self.trees)
        made: list[Any] = []
        for tree in self.trees:
            value = view.typed(tree)
            made.append(value)
            plain = view.typed(tree, as_text=True)
            if plain != value or type(plain) is not type(value):
                made.append(plain)
        return made


def from_json(text: str) -> Ways:
    """Read a value that travels as JSON."""
    try:
        return Ways(msgspec.json.decode(text), final=True)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Unreadable(f"is not JSON: {error}") from error


def read_path(parameter: Parameter, raw: str, view: View) -> Ways:
    """Read a path parameter from its part of the path."""
    decode = _twice if parameter.twice_encoded else decoded
    if parameter.content_type:
        return from_json(decode(raw)) if "json" in parameter.content_type else Ways(decode(raw))
    if parameter.style == "label":
        if not raw.startswith("."):
            raise Unreadable("must begin with a dot: its style is label")
        separator = "." if parameter.explode else ","
        return _compound(raw[1:], separator, view, decode, exploded=parameter.explode)
    if parameter.style == "matrix":
        return _matrix(parameter, raw, view, decode)
    return _compound(raw, _separator(parameter, raw), view, decode, exploded=parameter.explode)


def read_header(parameter: Parameter, text: str, view: View) -> Ways:
    """Read a header from its field value."""
    if parameter.content_type:
        return from_json(text) if "json" in parameter.content_type else Ways(text)
    return _compound(text, _separator(parameter, text), view, as_is, exploded=parameter.explode)


def _separator(parameter: Parameter, raw: str) -> str:
    """Return what stands between the parts: in Swagger 2 not only commas, in paths and headers too."""
    marks = () if parameter.style == "form" else _SPLITTERS.get(parameter.style, ())
    return next((one for one in marks if one in raw), ",")


def _twice(text: str) -> str:
    return decoded(decoded(text))


def _matrix(parameter: Parameter, raw: str, view: View, decode: Decode) -> Ways:
    if not raw.startswith(";"):
        raise Unreadable("must begin with a semicolon: its style is matrix")
    split = [part.partition("=") for part in raw[1:].split(";")]
    parts = [(name, value) for name, _, value in split]
    own = [value for name, value in parts if decode(name) == parameter.name]
    if view.takes_object and parameter.explode:
        return Ways({decode(name): decode(value) for name, value in parts})
    if len(own) < len(parts):
        raise Unreadable(f"must be written ;{parameter.name}=…: its style is matrix")
    if view.takes_list and parameter.explode:
        return Ways([decode(value) for value in own])
    if len(own) != 1:
        raise Unreadable("came several times")
    return _compound(own[0], ",", view, decode, exploded=False)


def _compound(raw: str, separator: str, view: View, decode: Decode, *, exploded: bool) -> Ways:
    """Read a scalar, list or object whose parts stand side by side."""
    ways: list[Tree] = []
    if view.takes_object:
        found = _members(raw.split(separator), decode, exploded=exploded)
        if found is None and not view.takes_list and not view.takes_scalar:
            shown = "name=value" if exploded else f"name{separator}value"
            raise Unreadable(f"must be an object, written {shown}")
        if found is not None:
            ways.append(found)
    if view.takes_list:
        if raw:
            ways.append([decode(part) for part in raw.split(separator)])
        else:
            ways.extend(([], [""]))
    if view.takes_scalar or not ways:
        ways.append(decode(raw))
    return Ways(*ways)


def _members(parts: Sequence[str], decode: Decode, *, exploded: bool) -> dict[str, Tree] | None:
    if exploded:
        split = [part.partition("=") for part in parts]
        if not all(equals for _, equals, _ in split):
            return None
        return {decode(name): decode(value) for name, _, value in split}
    if len(parts) % 2:
        return {} if parts == [""] else None
    return {decode(name): decode(value) for name, value in zip(parts[::2], parts[1::2], strict=True)}


class Fields:
    """The pairs of a query, a form or the cookies, from which each parameter takes its own."""

    def __init__(self, given: Sequence[Pair], decode: Decode = decoded_form) -> None:
        self.decode = decode
        # A name that cannot be decoded stays as it came: nothing is called so.
        self._left: dict[str, list[str]] = {}
        for name, value in given:
            self._left.setdefault(self._name(name), []).append(value)

    def left(self) -> list[str]:
        """Return the names that nobody took."""
        return list(self._left)

    def has(self, name: str) -> bool:
        """Say whether anything came under a name."""
        return name in self._left

    def take(self, name: str) -> list[str]:
        """Take the texts that came under a name, undecoded."""
        return self._left.pop(name, [])

    def read(self, parameter: Parameter, view: View) -> Ways | None:
        """Read a parameter; None when nothing of it came. Exploded objects are read by `read_spread`."""
        if parameter.style == "deepObject" and not (view.takes_scalar and self.has(parameter.name)):
            return self._deep(parameter.name)
        own = self.take(parameter.name)
        if not own:
            return None
        if parameter.content_type:
            text = self._single(own, "its value is one document")
            return from_json(text) if "json" in parameter.content_type else Ways(text)
        if parameter.explode:
            return self._repeated(own, view)
        if len(own) > 1:
            raise Unreadable("came several times, but its values belong into one")
        return self._delimited(own[0], parameter.style, view)

    def may_vanish(self, parameter: Parameter, view: View) -> bool:
        """Say whether an empty object leaves no trace: it is written in pieces.

        So does an empty list; but a list that has to be there is hardly meant to be empty.
        """
        pieces = parameter.style == "deepObject" or (parameter.explode and not parameter.content_type)
        return pieces and view.takes_object

    def spreads(self, parameter: Parameter, view: View) -> bool:
        """Say whether the members of an object come under their own names."""
        return parameter.explode and parameter.style != "deepObject" and view.takes_object

    def read_spread(self, view: View, *, rest: bool) -> Ways | None:
        """Read an object whose members come under their own names; `rest`: whatever is left belongs to it."""
        found: dict[str, Tree] = {}
        nested: dict[str, Tree] = {}
        names = [*view.names, *(self.left() if rest and view.is_open else ())]
        for name in dict.fromkeys(names):
            own = self.take(name)
            if own:
                texts = [self.decode(value) for value in own]
                found[name] = texts if len(texts) > 1 or view.member(name).takes_list else texts[0]
                if len(texts) == 1 and (inner := nested_json(texts[0])) is not None:
                    nested[name] = inner
        if not found:
            return None
        # What is nested deeper has no style of its own: many write it as JSON.
        return Ways({**found, **nested}, found) if nested else Ways(found)

    def read_open(self, name: str, view: View) -> Ways:
        """Read a field that nothing is declared for."""
        return self._repeated(self.take(name), view)

    def _name(self, raw: str) -> str:
        try:
            return self.decode(raw)
        except Unreadable:
            return raw

    def _single(self, own: list[str], why: str) -> str:
        if len(own) > 1:
            raise Unreadable(f"came {len(own)} times, but {why}")
        return self.decode(own[0])

    def _repeated(self, own: list[str], view: View) -> Ways:
        texts = [self.decode(value) for value in own]
        if len(texts) > 1:
            if view.takes_scalar and not view.takes_list and view.types:
                raise Unreadable(f"came {len(texts)} times, but is not a list")
            return Ways(texts)
        ways: list[Tree] = []
        if view.takes_list:
            ways.append(texts)
        if view.takes_scalar or not ways:
            ways.append(texts[0])
        if view.takes_list and texts == [""]:
            ways.append([])
        return Ways(*ways)

    def _delimited(self, raw: str, style: str, view: View) -> Ways:
        if not (view.takes_list or view.takes_object):
            return Ways(self.decode(raw))
        separator = next((one for one in _SPLITTERS.get(style, (",",)) if one in raw), ",")
        if style == "form" and separator != ",":
            # An encoded comma belongs to the value; but some encode the whole, so both are looked at.
            plain = _compound(raw, ",", view, self.decode, exploded=False)
            return Ways(*plain.trees, *_compound(raw, separator, view, self.decode, exploded=False).trees)
        return _compound(raw, separator, view, self.decode, exploded=False)

    def _deep(self, name: str) -> Ways | None:
        tree: dict[str, Tree] = {}
        mine = [key for key in self._left if key.startswith(f"{name}[") and key.endswith("]")]
        for key in mine:
            path = key[len(name) + 1 : -1].split("][")
            for value in self.take(key):
                _put(tree, path, self.decode(value))
        if not mine:
            if self.take(name):
                raise Unreadable(f"must be written {name}[member]=…: its style is deepObject")
            return None
        return Ways(_lists(tree))


_DEEPEST: Final = 32


def _put(tree: dict[str, Tree], path: list[str], text: str) -> None:
    """Put a text where its path in a tree of objects leads; what comes twice becomes a list."""
    if len(path) > _DEEPEST:
        raise Unreadable(f"is nested more than {_DEEPEST} levels deep")
    node = tree
    for part in path[:-1]:
        below = node.setdefault(part, {})
        if not isinstance(below, dict):
            raise Unreadable(f"has both a value and members at {part}")
        node = below
    last = path[-1]
    known = node.get(last)
    if isinstance(known, dict):
        raise Unreadable(f"has both a value and members at {last}")
    if known is None:
        node[last] = text
    else:
        node[last] = [*known, text] if isinstance(known, list) else [known, text]


def _lists(tree: Tree) -> Tree:
    """Return the tree with lists where `[]` was written."""
    if not isinstance(tree, dict):
        return tree
    if set(tree) == {""}:
        inner = _lists(tree[""])
        return inner if isinstance(inner, list) else [inner]
    return {name: _lists(one) for name, one in tree.items()}

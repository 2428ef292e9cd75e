"""Completes the arguments of a call by what its description shows: a preset, and values that generators make.

Pure. What a preset holds is a template: the variables of the connection and generators are filled into it.
What a caller gives is never looked into: it wins, and stays as it is, `{{braces}}` too. The same key and
moment make the same values, so that a call that is made again is the same call.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final

import msgspec

from actions.arguments import ABSENT, Problems, escaped
from actions.errors import Refused
from actions.generators import is_made, make
from actions.specs.filling import MADE, TEMPLATE
from actions.specs.model import Operation, Parameter, Preset, Spec

_PLACEHOLDER: Final = re.compile(r"\{\{([^{}]*)\}\}")

Arguments = Mapping[str, Any]


def find_preset(operation: Operation, name: str) -> Preset:
    """Return a preset by its name, or by that of its request where only one has it. Raise Refused."""
    exact = [one for one in operation.presets if one.name == name]
    found = exact or [one for one in operation.presets if one.extras.get("name") == name]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(repr(one.name) for one in found[:5])
        raise Refused(f"{operation.id} has several presets called {name!r}: {names}")
    near = get_close_matches(name, [one.name for one in operation.presets], n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise Refused(f"{operation.id} has no preset {name!r}{hint}")


def no_preset(operation: str, name: str) -> None:
    """Raise Refused where a preset is named for a message."""
    if name:
        raise Refused(f"{operation} publishes a message, and has no preset {name!r}")


def known_values(spec: Spec, given: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that may be filled in: the connection's and the defaults, secrets left out."""
    defaults = {name: one.default for name, one in spec.parameters.items() if one.default}
    return {
        name: value
        for name, value in {**defaults, **given}.items()
        if name not in spec.parameters or spec.parameters[name].kind != "secret"
    }


def lacking(preset: Preset, given: Arguments) -> list[str]:
    """Return the pointers of what a preset needs and `given` does not have."""
    needs = preset.extras.get("needs")
    return [one for one in needs if not _has(given, one)] if isinstance(needs, list) else []


def _has(given: Any, pointer: str) -> bool:
    for token in pointer.split("/")[1:]:
        if not isinstance(given, Mapping):
            return True  # a value nobody has looked into
        name = token.replace("~1", "/").replace("~0", "~")
        if name not in given:
            return False
        given = given[name]
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What completes the calls of one operation; `values` are the variables that may be filled in."""

    operation: Operation
    values: Mapping[str, str]
    made: tuple[Parameter, ...]

    def complete(self, arguments: Arguments, preset: str, key: str, at: float) -> Arguments:
        """Return the arguments of a call, completed. Raise Refused with all that is lacking."""
        if not preset and not self.made:
            return arguments
        filling = _Filling(f"{key}\0{self.operation.id}\0".encode(), at, self.values)
        whole = dict(arguments)
        if preset:
            shown = find_preset(self.operation, preset)
            filling.bare = frozenset(shown.extras.get("bare", ()))
            filling.problems += [
                (one, f"{one} has to be given: the preset has no value for it")
                for one in lacking(shown, arguments)
            ]
            whole = filling.over(shown.arguments, arguments, "")
            if "body" not in whole and isinstance(shown.extras.get("text"), str):
                filling.whole_body(shown.extras["text"], whole)
        if filling.problems:
            head = f"{self.operation.id} cannot be called as {preset!r}"
            texts = "; ".join(text for _, text in filling.problems)
            raise Refused(f"{head}: {texts}", tuple(filling.problems))
        for one in self.made:
            group = whole
            if self.operation.grouped:
                given = whole.get(one.location, {})
                if not isinstance(given, Mapping):
                    continue  # nobody can add to it; whoever builds the request judges it
                group = whole[one.location] = dict(given)
            if one.name not in group:
                text = filling.text(one.extras[TEMPLATE], f"{one.location} {one.name}")
                if not _PLACEHOLDER.search(text):
                    group[one.name] = _read(text) if _is_plain(one) else text
        return whole


def completion(operation: Operation, spec: Spec, given: Mapping[str, str]) -> Completion:
    """Return what completes the calls of an operation at a connection with these parameters."""
    made = tuple(one for one in operation.parameters if MADE in one.extras and TEMPLATE in one.extras)
    return Completion(operation=operation, values=known_values(spec, given), made=made)


@dataclass(slots=True)
class _Filling:
    """The filling in of one call."""

    seed: bytes
    at: float
    values: Mapping[str, str]
    bare: frozenset[str] = frozenset()
    problems: Problems = field(default_factory=list)

    def over(self, shown: Any, given: Any, pointer: str) -> Any:
        """Return what is given, and what is shown wherever nothing is given."""
        if isinstance(shown, Mapping) and (given is ABSENT or isinstance(given, Mapping)):
            own: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
            filled = {
                name: self.over(one, own.get(name, ABSENT), f"{pointer}/{escaped(name)}")
                for name, one in shown.items()
            }
            return {**filled, **{name: one for name, one in own.items() if name not in filled}}
        if given is not ABSENT:
            return given
        if isinstance(shown, list):
            return [self.over(one, ABSENT, f"{pointer}/{index}") for index, one in enumerate(shown)]
        if not isinstance(shown, str) or "{{" not in shown:
            return shown
        text = self.text(shown, pointer)
        for name in dict.fromkeys(_PLACEHOLDER.findall(text)):
            what = f"{pointer} needs the variable {name.strip()}: give it, or the input"
            self.problems.append((pointer, what))
        return _read(text) if pointer in self.bare else text

    def whole_body(self, template: str, whole: dict[str, Any]) -> None:
        """Add a body whose text is JSON once its variables hold what they should."""
        text = self.text(template, "/body")
        try:
            whole["body"] = msgspec.json.decode(text)
        except msgspec.DecodeError as reason:
            names = ", ".join(dict.fromkeys(name.strip() for name in _PLACEHOLDER.findall(text)))
            lacks = f"; it needs the variables {names}" if names else ""
            self.problems.append(("/body", f"/body is no JSON: {reason}{lacks}"))

    def text(self, template: str, place: str) -> str:
        """Return a template with what is known filled in; every place and generator draws for itself."""
        count = 0

        def replace(match: re.Match[str]) -> str:
            nonlocal count
            count += 1
            name = match.group(1).strip()
            if name in self.values:
                return self.values[name]
            if is_made(name):
                return make(name, self.seed + f"{place}\0{count}".encode(), self.at)
            return match.group()

        return _PLACEHOLDER.sub(replace, template)


def _is_plain(one: Parameter) -> bool:
    return isinstance(one.schema, Mapping) and one.schema.get("type") in ("integer", "number", "boolean")


def _read(text: str) -> Any:
    """Return the JSON value that stands for a variable outside of quotes; text where it is none."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text

"""The variables of a collection: their values, where they come from, and filling them in.

A value of the environment wins over the collection's, that over a global one; an empty one counts as none.
The values of secrets are never filled in and never shown. `{{$dynamic}}` variables are made at the time of a
call, so they stay as they are.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from actions.specs.load import Bundle, load
from actions.specs.postman.calls import Pair, listing, mapping, written

PLACEHOLDER: Final = re.compile(r"\{\{([^{}]*)\}\}")
LONE: Final = re.compile(r"\s*\{\{([^{}]*)\}\}\s*")
_SECRET: Final = re.compile(
    r"token|secret|passw|pwd|api[-_ ]?key|private[-_ ]?key|credential|authori[sz]ation$", re.IGNORECASE
)
_ENVIRONMENT: Final = re.compile(r"env|globals", re.IGNORECASE)
_MAX_DEPTH: Final = 10  # of variables whose values name variables
_MAX_FILLED: Final = 1_000_000
"""How many characters variables may add to one text: they can name each other."""
_MAX_FILES: Final = 20
_MAX_BYTES: Final = 2 * 1024 * 1024

DYNAMIC: Final[Mapping[str, Mapping[str, Any]]] = {
    "$guid": {"type": "string", "format": "uuid"},
    "$randomUUID": {"type": "string", "format": "uuid"},
    "$timestamp": {"type": "integer"},
    "$isoTimestamp": {"type": "string", "format": "date-time"},
    "$randomInt": {"type": "integer", "minimum": 0, "maximum": 1000},
    "$randomBoolean": {"type": "boolean"},
    "$randomEmail": {"type": "string", "format": "email"},
    "$randomExampleEmail": {"type": "string", "format": "email"},
    "$randomIP": {"type": "string", "format": "ipv4"},
    "$randomIPV6": {"type": "string", "format": "ipv6"},
    "$randomUrl": {"type": "string", "format": "uri"},
    "$randomDomainName": {"type": "string", "format": "hostname"},
    "$randomDatePast": {"type": "string"},
    "$randomDateFuture": {"type": "string"},
    "$randomDateRecent": {"type": "string"},
}
"""What some generators make; all the others make text."""


def is_secret(name: str) -> bool:
    """Say whether a name speaks of a credential."""
    return _SECRET.search(name) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """A file of variables: an environment, or the globals."""

    name: str
    file: str
    values: tuple[Pair, ...]
    secrets: frozenset[str] = frozenset()
    globals: bool = False

    def shown(self) -> dict[str, Any]:
        """Return it for people, without what is secret."""
        values = {one.name: None if one.name in self.secrets else one.value for one in self.values}
        return {"name": self.name, "file": self.file, "values": values}


@dataclass(slots=True)
class Variables:
    """The values that are known."""

    values: dict[str, str] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)
    _filled: dict[str, str] = field(default_factory=dict)
    _room: int = 0

    def add(self, given: Iterable[Pair], secrets: Iterable[str] = ()) -> None:
        """Add values that win over those so far."""
        self.secrets.update(secrets)
        for one in given:
            if one.value and not one.disabled:
                self.values[one.name] = one.value
            if is_secret(one.name):
                self.secrets.add(one.name)

    def value(self, name: str) -> str | None:
        """Return the whole value of a variable, None when something of it is not known or is secret."""
        if name not in self.values or name in self.secrets:
            return None
        filled = self.fill(f"{{{{{name}}}}}")
        return None if PLACEHOLDER.search(filled) else filled

    def fill(self, text: str) -> str:
        """Return text with the known variables filled in, those in their values too."""
        if "{{" not in text:
            return text
        known = self._filled.get(text)
        if known is None:
            known, self._room = text, _MAX_FILLED
            for _ in range(_MAX_DEPTH):
                before, known = known, PLACEHOLDER.sub(self._replace, known)
                if known == before:
                    break
            self._filled[text] = known
        return known

    def _replace(self, match: re.Match[str]) -> str:
        name = match.group(1).strip()
        value = match.group() if name in self.secrets else self.values.get(name, match.group())
        self._room -= len(value)
        return value if self._room > 0 else match.group()

    def over(self, local: Mapping[str, str]) -> "Variables":
        """Return these variables with some that only one request knows."""
        return Variables({**self.values, **local}, self.secrets) if local else self


def names(text: str) -> list[str]:
    """Return the names of the variables in a text."""
    return [name.strip() for name in PLACEHOLDER.findall(text)] if "{{" in text else []


def is_environment(value: Any) -> bool:
    """Say whether a document holds variables for collections and nothing else."""
    one = mapping(value)
    scoped = one.get("_postman_variable_scope") in ("environment", "globals")
    return isinstance(one.get("values"), list) and (scoped or ("name" in one and "info" not in one))


def environments(bundle: Bundle) -> list[Environment]:
    """Return the environments that came with a collection; those beside it first.

    They lie with it, above or below it, or in a folder for environments beside any of its folders.
    """
    here = bundle.root.name.rpartition("/")[0]
    found = []
    for file in bundle.files:
        place, _, name = file.rpartition("/")
        around, _, folder = place.rpartition("/")
        apart = _ENVIRONMENT.match(folder) is not None and _holds(around, here)
        near = apart or _holds(here, place) or _holds(place, here)
        named = apart or _ENVIRONMENT.search(name)
        if file != bundle.root.name and near and named and name.endswith(".json"):
            found.append((place != here, file))
    read = (_environment(bundle, file) for _, file in sorted(found)[:_MAX_FILES])
    return [one for one in read if one]


def _holds(folder: str, other: str) -> bool:
    return not folder or f"{other}/".startswith(f"{folder}/")


def _environment(bundle: Bundle, file: str) -> Environment | None:
    try:
        data = bundle.files[file]
    except KeyError:
        return None
    value = mapping(load(file, data).value if len(data) <= _MAX_BYTES else None)
    if not is_environment(value):
        return None
    entries = [mapping(one) for one in listing(value["values"])]
    given = [
        Pair(
            name=written(one.get("key")),
            value=written(one.get("value")),
            disabled=one.get("enabled") is False,
        )
        for one in entries
        if written(one.get("key"))
    ]
    hidden = {written(one.get("key")) for one in entries if one.get("type") == "secret"}
    return Environment(
        name=written(value.get("name")) or file,
        file=file,
        values=tuple(given),
        secrets=frozenset(hidden | {one.name for one in given if is_secret(one.name)}),
        globals=value.get("_postman_variable_scope") == "globals",
    )


def fitting(environments_: Iterable[Environment], used: frozenset[str]) -> Environment | None:
    """Return the environment that has values for most of the variables used; none when it has none."""
    best, most = None, 0
    for one in environments_:
        fits = sum(1 for pair in one.values if pair.value and not pair.disabled and pair.name in used)
        if not one.globals and fits > most:
            best, most = one, fits
    return best

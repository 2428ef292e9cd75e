"""Where the requests of a collection go, as servers whose variables are those of the collection."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from actions.specs.model import Server, Variable
from actions.specs.postman.urls import SCHEME
from actions.specs.postman.variables import PLACEHOLDER, Environment, Variables, names

_MAX_DEPTH: Final = 10
_MAX_LENGTH: Final = 2_000
_MAX_SHOWN: Final = 5


def server(base: str, variables: Variables, environments: Sequence[Environment] = ()) -> Server:
    """Return the server of a base as written. A variable without a value has no default: the connection's."""
    text = _opened(base, variables)
    found: dict[str, Variable] = {}
    for name in names(text):
        value = variables.value(name or "value")
        value = None if value and any(map(str.isspace, value)) else value  # no part of a host
        found[name or "value"] = Variable(default=value, description=_told(name, environments))
    url = PLACEHOLDER.sub(lambda match: f"{{{match.group(1).strip() or 'value'}}}", text)
    if not SCHEME.match(url) and not url.startswith("{"):
        url = f"http://{url}"
    first, closed, _ = url.partition("}")
    if closed and first.startswith("{"):
        known = found[first[1:]]
        if known.default is not None and not SCHEME.match(known.default):
            host = known.default[:1] not in ("", "/", "<")
            default = f"http://{known.default}" if host else None
            found[first[1:]] = Variable(default=default, description=known.description)
    return Server(url=url, variables=found)


def _opened(base: str, variables: Variables) -> str:
    """Return a base with what is known in part written out, so that what is not known can be seen."""

    def replace(match: re.Match[str]) -> str:
        name = match.group(1).strip()
        raw = variables.values.get(name, "") if name not in variables.secrets else ""
        open_ = len(raw) < _MAX_LENGTH and PLACEHOLDER.search(raw) and variables.value(name) is None
        return raw if open_ else match.group()

    for _ in range(_MAX_DEPTH):
        before, base = base, PLACEHOLDER.sub(replace, base)
        if base == before or len(base) > _MAX_LENGTH:
            return before
    return base


def _told(name: str, environments: Iterable[Environment]) -> str:
    """Return what the environments say, for people who have to choose."""
    values = [
        f"{one.name}: {pair.value}"
        for one in environments
        for pair in one.values
        if pair.name == name and pair.value and name not in one.secrets
    ]
    return "; ".join(values[:_MAX_SHOWN]) if len(values) > 1 else ""

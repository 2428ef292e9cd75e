"""Where the requests of a collection go, as servers whose variables are those of the collection."""

from collections.abc import Iterable, Sequence
from typing import Final

from actions.specs.model import Server, Variable
from actions.specs.postman.urls import SCHEME
from actions.specs.postman.variables import PLACEHOLDER, Environment, Variables

_MAX_DEPTH: Final = 10
_MAX_SHOWN: Final = 5


def server(base: str, variables: Variables, environments: Sequence[Environment] = ()) -> Server:
    """Return the server of a base as written. A variable without a value has no default: the connection's."""
    found: dict[str, Variable] = {}
    url = _rendered(base, variables, environments, found, _MAX_DEPTH)
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


def _rendered(
    text: str,
    variables: Variables,
    environments: Sequence[Environment],
    found: dict[str, Variable],
    depth: int,
) -> str:
    parts, end = [], 0
    for match in PLACEHOLDER.finditer(text):
        name = match.group(1).strip() or "value"
        value, raw = variables.value(name), variables.values.get(name, "")
        parts.append(text[end : match.start()])
        end = match.end()
        if value is None and PLACEHOLDER.search(raw) and name not in variables.secrets and depth:
            parts.append(_rendered(raw, variables, environments, found, depth - 1))
            continue
        found[name] = Variable(default=value, description=_told(name, environments))
        parts.append(f"{{{name}}}")
    return "".join(parts) + text[end:]


def _told(name: str, environments: Iterable[Environment]) -> str:
    """Return what the environments say, for people who have to choose."""
    values = [
        f"{one.name}: {pair.value}"
        for one in environments
        for pair in one.values
        if pair.name == name and pair.value and name not in one.secrets
    ]
    return "; ".join(values[:_MAX_SHOWN]) if len(values) > 1 else ""

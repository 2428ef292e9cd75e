"""Templates that choose the host: `dynamichosturl` and `dynamicsubdomain`. Pure.

The connection decides where its credentials go, never an event: connection parameters may be any part of the
URL, but none ends the host early or begins another one. A `@headers('…')` or `@queryParameters('…')` in the
host takes one of the values that the description lists for it, or that the connection allows under the same
name in its `parameters` (several with commas between), and nothing else (S11). In the path behind the host it
is one segment; behind a `?` it is a field of the query, or several where it begins one.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote

from typing_extensions import override

from actions.addresses import read_server
from actions.expressions import Method, Path, Scalar, Template, Text, evaluate, parse
from actions.policies.documents import Unfit
from actions.policies.messages import LITERAL, Draft, Lookup, encode
from actions.policies.steps import Step
from actions.specs.model import Operation
from actions.specs.references import Registry
from actions.templates import Parameters

_SCHEME: Final = re.compile(r"https?://", re.IGNORECASE)
_PART: Final = re.compile(r"[A-Za-z0-9._-]*(?::[0-9]{1,5})?")
"""What a value may be within a host: a part of its name, or of its port."""
_WITHIN: Final = "/-._~!$&'()*+,;=:"


class Host(Step):
    """Replaces scheme, host and base path of the operation."""

    def __init__(
        self, title: str, fields: Parameters, operation: Operation, registry: Registry, lookup: Lookup
    ) -> None:
        super().__init__(title)
        self._template, self._fields = _parted(parse(fields.text("urlTemplate").strip()))
        self._lookup = lookup
        hosts, paths = _arguments(self._template)
        self._paths = paths
        self._hosts = {one: _allowed(one, operation, registry, lookup) for one in hosts}

    @override
    def server(self, base: str) -> str:
        for one, allowed in self._hosts.items():
            if not allowed:
                raise Unfit(
                    f"the host is made of {one.name}, an argument of the call, and data of an event never "
                    f"chooses the host: say in the connection's `parameters` what {one.name} may be"
                )
        chosen = {one: allowed[0] for one, allowed in self._hosts.items()}
        return self._url(chosen | dict.fromkeys(self._paths, "x"))

    @override
    def request(self, draft: Draft) -> None:
        if self._hosts or self._paths:  # else `server` has said it
            draft.base = self.base(draft)
        if self._fields:
            added = [field for field in self._query(draft).split("&") if field]
            draft.query = [*added, *(field for field in draft.query if field not in added)]

    @override
    def base(self, draft: Draft) -> str:
        self.server("")
        chosen: dict[Scalar, str] = {}
        for one, allowed in self._hosts.items():
            given = draft.named(one.function, one.name)
            if given is None and len(allowed) > 1 and one.default is None:
                raise Unfit(f"{one.name} must be given: it chooses the host; {_listed(allowed)}")
            value = (one.default or allowed[0]) if given is None else given
            if _same(value) not in map(_same, allowed):
                raise Unfit(f"{one.name} may not choose this host; {_listed(allowed)}")
            chosen[one] = value
        for one in self._paths:
            value = draft.named(one.function, one.name) or one.default or ""
            if not value:
                raise Unfit(f"{one.name} must be given: it is part of the URL that is called")
            chosen[one] = value
        return self._url(chosen)

    def _query(self, draft: Draft) -> str:
        """Return the fields behind the URL. A value is one field's, unless it stands for whole fields."""
        query = ""
        for part in self._fields:
            if isinstance(part, Text):
                query += quote(part.text, safe=LITERAL)
                continue
            value = evaluate(part, draft) or ""
            whole = query.endswith("&") or not query
            query += quote(value.lstrip("?"), safe=LITERAL) if whole else encode(value)
        return query

    def _url(self, chosen: Mapping[Scalar, str]) -> str:
        url = compose(self._template, chosen, self._lookup)
        server, problems = read_server(url)
        if server is None:
            raise Unfit(f"the URL template makes no server: {'; '.join(problems)}")
        return server.origin + server.path


def _parted(template: Template) -> tuple[Template, Template]:
    """Return what is before the first `?` of a template, and what is behind it."""
    for index, part in enumerate(template):
        if isinstance(part, Text) and "?" in part.text:
            before, _, behind = part.text.partition("?")
            url, query = (*template[:index], Text(before)), (Text(behind), *template[index + 1 :])
            return tuple(one for one in url if one != Text("")), tuple(
                one for one in query if one != Text("")
            )
    return template, ()


def compose(template: Template, chosen: Mapping[Scalar, str], lookup: Lookup) -> str:
    """Return the URL that a template makes, every value held to the part where it stands."""
    url, place = "", "start"  # then "host", then "path"
    for index, part in enumerate(template):
        after = template[index + 1] if index + 1 < len(template) else None
        ends = after is None or (isinstance(after, Text) and after.text.startswith("/"))
        if isinstance(part, Method | Path):
            raise Unfit("only parameters choose the host")
        if isinstance(part, Text):
            url, place = _with_text(url, place, part.text)
            continue
        value = _value(part, chosen, lookup)
        if place == "path":
            url += encode(value) if part in chosen else quote(value.strip("/"), safe=_WITHIN)
        elif place == "start" or (ends and url.endswith("://")):
            url, place = _with_whole(url, value)
        else:
            if not _PART.fullmatch(value):
                raise Unfit(f"{part.name} is part of a host name here: it may not be {value[:60]!r}")
            url += value
    return url.rstrip("/")


def _with_text(url: str, place: str, text: str) -> tuple[str, str]:
    scheme = _SCHEME.match(text) if place == "start" else None
    if place == "start":
        url, text, place = (scheme[0], text[scheme.end() :], "host") if scheme else ("https://", text, "host")
    if place == "host" and "/" in text:
        place = "path"
    if url.endswith("/") and text.startswith("/") and not url.endswith("://"):
        text = text[1:]
    return url + quote(text, safe=LITERAL), place


def _with_whole(url: str, value: str) -> tuple[str, str]:
    """Return the URL with a value that is the whole host, or the whole server."""
    value = value.strip()
    whole = value if _SCHEME.match(value) else (url or "https://") + value
    server, problems = read_server(whole)
    if server is None:
        raise Unfit(f"{value[:60]!r} is no server: {'; '.join(problems)}")
    return server.origin + server.path, "path" if server.path else "host"


def _arguments(template: Template) -> tuple[list[Scalar], list[Scalar]]:
    """Return the arguments of a call that stand in the host, and those that stand in the path alone."""
    hosts: dict[Scalar, None] = {}
    paths: dict[Scalar, None] = {}
    place = "start"
    for part in template:
        if isinstance(part, Text):
            _, place = _with_text("", place, part.text)
        elif isinstance(part, Scalar):
            if part.function != "connectionParameters":
                (paths if place == "path" else hosts)[part] = None
            place = "host" if place == "start" else place
    return list(hosts), [one for one in paths if one not in hosts]


def _value(part: Scalar, chosen: Mapping[Scalar, str], lookup: Lookup) -> str:
    value = lookup(part.name) if part.function == "connectionParameters" else chosen.get(part)
    value = part.default if value is None else value
    if value is None:
        raise Unfit(f"the connection's `parameters` must say {part.name}: it is part of the server's URL")
    return value


def _allowed(one: Scalar, operation: Operation, registry: Registry, lookup: Lookup) -> Sequence[str]:
    """Return what an argument in a host may be: the connection's word, else the description's."""
    said = lookup(one.name)
    if said:
        return [value for value in (text.strip() for text in said.split(",")) if value]
    found: dict[str, None] = {}
    for parameter in operation.parameters:
        if parameter.name.lower() == one.name.lower():
            schema = registry.schema(parameter.schema)
            enum = schema.get("enum")
            listed = enum if isinstance(enum, list) else []
            found.update({str(value): None for value in (*listed, schema.get("default")) if value})
    if one.default:
        found[one.default] = None
    return list(found)


def _same(text: str) -> str:
    return text.strip().rstrip("/").lower()


def _listed(allowed: Sequence[str]) -> str:
    return f"allowed: {', '.join(allowed[:10])}"

"""Reads one request as one operation: its values by name, and everything that is wrong with it.

Pure. A value that can be read in several ways is taken in the first way that its schema allows.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from actions.mock.bodies import BodyReader, is_opaque
from actions.mock.matching import Match, Pair
from actions.mock.parameters import Fields, Unreadable, Ways, decoded, read_header, read_path
from actions.mock.shapes import Shapes, View
from actions.specs.events import escape
from actions.specs.model import NEVER_SET, Body, Need, Operation, Parameter, Spec
from actions.validation import MAX_PROBLEMS, Validator, Validators, fitting

Headers = Sequence[tuple[str, str]]

_NEGOTIATED: Final = frozenset({"accept", "content-type"}) | NEVER_SET
"""Headers that belong to content negotiation, to the transport or to the login, whatever is declared."""


class Fault(msgspec.Struct, frozen=True):
    """One thing that is wrong with a request: the status it earns, where it is, and what it is.

    `place` is `path`, `query`, `header`, `cookie`, `body`, `login` or `request`, with a JSON pointer inside.
    """

    status: int
    place: str
    text: str


class RequestReader:
    """Reads the requests of one description; `check_login` wants credentials, whatever they say."""

    def __init__(self, spec: Spec, validators: Validators, shapes: Shapes, *, check_login: bool) -> None:
        self.spec = spec
        self.validators = validators
        self.shapes = shapes
        self.bodies = BodyReader(shapes)
        self.check_login = check_login
        # A collection has no schemas: what stands for them was guessed from its requests, and binds nobody.
        self.inferred = spec.dialect.startswith("postman")
        self.key_names = frozenset(
            scheme.parameter for scheme in spec.security_schemes.values() if scheme.location == "query"
        )

    def read(
        self, match: Match, headers: Headers, body: bytes, *, checked: bool = True
    ) -> tuple[list[Fault], dict[str, Any]]:
        """Return what is wrong, and the arguments as they arrived; `checked`: unknown queries are wrong."""
        return _Reading(self, match, headers).read(body, checked=checked)


class _Reading:
    """One request on its way."""

    def __init__(self, reader: RequestReader, match: Match, headers: Headers) -> None:
        self._reader = reader
        self._operation: Operation = match.route.operation
        self._path: Mapping[str, str] = match.path
        self._query = match.query
        self._headers: dict[str, list[str]] = {}
        for name, value in headers:
            self._headers.setdefault(name.lower(), []).append(value)
        self._faults: list[Fault] = []
        self._values: dict[str, dict[str, Any]] = {}

    def read(self, body: bytes, *, checked: bool) -> tuple[list[Fault], dict[str, Any]]:
        of: dict[str, list[Parameter]] = {}
        for one in self._operation.parameters:
            of.setdefault(one.location, []).append(one)
        for one in of.get("path", ()):
            if one.name in self._path:
                self._read_path(one)
        for one in of.get("header", ()):
            self._read_header(one)
        query = Fields(self._query)
        self._read_fields(of.get("query", []), query)
        self._read_fields(of.get("cookie", []), Fields(_cookies(self._headers.get("cookie", ())), decoded))
        unknown = [name for name in query.left() if name not in self._reader.key_names] if checked else []
        self._faults.extend(
            Fault(400, f"query/{escape(name)[:80]}", f"{name[:80]} is not declared")
            for name in unknown[:MAX_PROBLEMS]
        )
        if self._reader.check_login and not self._is_logged_in():
            self._faults.append(
                Fault(401, "login", "the credentials that the description asks for are missing")
            )
        arguments: dict[str, Any] = {}
        for location, values in self._values.items():
            arguments.update({location: values} if self._operation.grouped else values)
        self._read_body(body, arguments)
        return self._faults, arguments

    # Parameters.

    def _view(self, parameter: Parameter) -> View:
        return self._reader.shapes.view(parameter.schema)

    def _read_path(self, parameter: Parameter) -> None:
        raw, view = self._path[parameter.name], self._view(parameter)
        self._take(parameter, partial(read_path, parameter, raw, view))

    def _read_header(self, parameter: Parameter) -> None:
        name = parameter.name.lower()
        if name in _NEGOTIATED:
            return
        given, view = self._headers.get(name), self._view(parameter)
        if given:
            self._take(parameter, partial(read_header, parameter, ", ".join(given), view))
        else:
            self._miss(parameter)

    def _read_fields(self, parameters: Sequence[Parameter], fields: Fields) -> None:
        """Read what stands in a query or in cookies; objects in pieces take what the others leave."""
        spread: list[Parameter] = []
        for one in parameters:
            view = self._view(one)
            if fields.spreads(one, view) and not fields.has(one.name):
                spread.append(one)
            else:
                self._take(one, partial(fields.read, one, view), fields.may_vanish(one, view))
        spread.sort(key=lambda one: not self._view(one).names)  # what has no names of its own comes last
        for one in spread:
            view = self._view(one)
            read = partial(fields.read_spread, view, rest=one is spread[-1])
            self._take(one, read, fields.may_vanish(one, view))

    def _take(self, parameter: Parameter, read: Callable[[], Ways | None], may_vanish: bool = False) -> None:
        """Read a parameter and keep its value, or what is wrong with it.

        `may_vanish`: nothing at all may stand for an empty object, where one is required.
        """
        place = f"{parameter.location}/{escape(parameter.name)}"
        try:
            ways = read()
        except Unreadable as reason:
            self._faults.append(Fault(400, place, f"{parameter.name} {reason}"))
            return
        if ways is None:
            validator = self._reader.validators.parameter(parameter)
            if may_vanish and parameter.required and not validator.problems({}):
                self._values.setdefault(parameter.location, {})[parameter.name] = {}
            else:
                self._miss(parameter)
            return
        view = self._view(parameter)
        values = ways.values(view)
        if _is_empty(values) and _may_be_empty(parameter):
            value: Any = ""
        elif view.shows(values[0]):  # right or wrong, the description itself says it
            value = values[0]
        else:
            value = self._fitting(values, self._reader.validators.parameter(parameter), place, parameter.name)
        self._values.setdefault(parameter.location, {})[parameter.name] = value

    def _miss(self, parameter: Parameter) -> None:
        if parameter.required:
            place = f"{parameter.location}/{escape(parameter.name)}"
            self._faults.append(Fault(400, place, f"{parameter.name} is required"))

    def _fitting(self, values: Sequence[Any], validator: Validator, place: str, name: str) -> Any:
        """Return the first value that the schema allows; what is wrong with the first where none is."""
        if self._reader.inferred:
            return values[0]
        first: list[tuple[str, str]] | None = None
        for value in values:
            problems = validator.problems(value)
            if not problems:
                return value
            first = first or problems
        for pointer, text in first or ():
            self._faults.append(Fault(400, place + pointer, f"{name}{pointer} {text}"))
        return values[0]

    # The body.

    def _read_body(self, body: bytes, arguments: dict[str, Any]) -> None:
        declared = self._operation.body
        if not body:
            if declared and declared.required and not self._may_lack(declared):
                self._faults.append(Fault(400, "body", "body is required"))
            return
        if declared is None or not declared.media:
            self._faults.append(Fault(400, "body", "a body came, but none is declared"))
            return
        listed = self._headers.get("content-type", [])
        if len(listed) != 1:
            text = f"{len(listed)} headers Content-Type came" if listed else "the body has no Content-Type"
            self._faults.append(Fault(415, "header/content-type", text))
            return
        media = fitting(declared.media, listed[0])
        if media is None:
            names = ", ".join(one.type for one in declared.media[:10])
            text = f"{listed[0][:120]} is not declared for the body; there is {names}"
            self._faults.append(Fault(415, "header/content-type", text))
            return
        try:
            values = self._reader.bodies.read(media, listed[0], body)
        except Unreadable as reason:
            self._faults.append(Fault(400, "body", f"body {reason}"))
            return
        if is_opaque(listed[0], self._reader.shapes.view(media.schema)):
            arguments["body"] = values[0]
        else:
            arguments["body"] = self._fitting(values, self._reader.validators.body(media), "body", "body")

    def _may_lack(self, declared: Body) -> bool:
        """Whether nothing at all is a body of a declared kind: empty text, a form without fields."""
        if declared.media and declared.media[0].kind in ("text", "binary"):
            return True
        forms = [one for one in declared.media if one.kind == "form"]
        ways = [(one, value) for one in forms for value in self._reader.bodies.read(one, one.type, b"")]
        return any(not self._reader.validators.body(one).problems(value) for one, value in ways)

    # The login.

    def _is_logged_in(self) -> bool:
        security = self._operation.security
        return not security or any(all(map(self._has, alternative)) for alternative in security)

    def _has(self, need: Need) -> bool:
        scheme = self._reader.spec.security_schemes.get(need.scheme)
        if scheme is None or scheme.kind == "mutualTLS":
            return True
        if scheme.kind != "apiKey":
            given = self._headers.get("authorization", [""])[0].lower()
            word = scheme.scheme if scheme.kind == "http" else "bearer"
            return given.startswith(f"{word} ") and len(given) > len(word) + 1
        if scheme.location == "header":
            return any(self._headers.get(scheme.parameter.lower(), ()))
        where = self._query if scheme.location == "query" else _cookies(self._headers.get("cookie", ()))
        return Fields(where).has(scheme.parameter)


def _cookies(headers: Sequence[str]) -> tuple[Pair, ...]:
    split = (part.strip().partition("=") for header in headers for part in header.split(";"))
    return tuple((name, value) for name, _, value in split if name)


def _is_empty(values: Sequence[Any]) -> bool:
    return values[0] in ("", [""], None)


def _may_be_empty(parameter: Parameter) -> bool:
    return parameter.extras.get("allowEmptyValue") is True

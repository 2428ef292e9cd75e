"""The policy templates of Power Platform: which there are, what each takes, and what is wrong with one.

Pure, and knows no description and no request: readers ask `check` when they read a policy, the engine in
`actions.policies` asks `read` when it compiles one.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final, Literal, NamedTuple

import msgspec

from actions.expressions import ExpressionError, Method, Path, Scalar, Template, parse, parse_path
from actions.transport import OWN_HEADERS

Kind = Literal[
    "text", "host", "path", "sub", "new", "value", "name", "target", "method", "choice", "config", "literal"
]
"""`text` with expressions; `host` a URL of scalars; `path` an array or object in the body, `sub` a place
below it, `new` where a result goes; `value` as text, or JSON with expressions; `name` of a header or query
parameter; `target` one `@headers('…')` or `@queryParameters('…')`; `config` an object of texts; `literal` a
property's name, as `@odata.nextLink`."""

_PREFIX: Final = "x-ms-apimtemplateparameter."
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
EXISTS: Final = ("override", "skip", "append")
_BOOLEANS: Final = ("true", "false")


class Field(NamedTuple):
    """One parameter of a template: its name as the vendor writes it, and others that mean the same.

    `empty`: nothing is a value of it, too.
    """

    name: str
    kind: Kind
    required: bool = False
    choices: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    empty: bool = False


class TemplateInfo(NamedTuple):
    """One template. `answers`: it acts on answers, in any section; `places`: it decides who is called."""

    fields: tuple[Field, ...]
    answers: bool = False
    places: bool = False


_PARENT: Final = Field(
    "propertyParentPath", "path", required=True, also=("newPropertyParentPath", "parentPath")
)
_SUB: Final = Field("propertySubPath", "sub", also=("subPath",))
_NEW: Final = Field("newPropertyPath", "new", also=("newPropertySubPath",))
_SETTING: Final = (
    Field("name", "name", required=True),
    Field("value", "text", required=True, empty=True),
    Field("existsAction", "choice", choices=EXISTS),
)
_HOST: Final = TemplateInfo((Field("urlTemplate", "host", required=True),), places=True)

TEMPLATES: Final[Mapping[str, TemplateInfo]] = {
    "setheader": TemplateInfo(_SETTING),
    "setqueryparameter": TemplateInfo(_SETTING),
    "dynamichosturl": _HOST,
    "dynamicsubdomain": _HOST,
    "routerequesttoendpoint": TemplateInfo(
        (Field("newPath", "text", required=True), Field("httpMethod", "method")), places=True
    ),
    "setproperty": TemplateInfo(
        (
            Field("newPropertyParentPathTemplate", "path", required=True, also=("propertyParentPath",)),
            Field("newPropertySubPathTemplate", "sub", required=True, also=("propertySubPath",)),
            Field("propertyValuePathTemplate", "value", required=True),
        )
    ),
    "pollingtrigger": TemplateInfo(
        (
            Field("triggerConfig", "config", required=True),
            Field("triggerDataPath", "path", required=True),
        ),
        answers=True,
    ),
    "stringreplace": TemplateInfo(
        (
            _PARENT,
            _SUB,
            Field("sourceString", "text", required=True),
            Field("replacementString", "text"),
            _NEW,
        )
    ),
    "updatenextlink": TemplateInfo(
        (
            Field("nextLinkPropertyName", "literal", required=True),
            Field("nextLinkParentPath", "path", also=("propertyParentPath", "parentPath")),
        ),
        answers=True,
    ),
    "convertobjecttoarray": TemplateInfo(
        (_PARENT, _SUB, _NEW, Field("keyName", "text", required=True), Field("valueName", "text"))
    ),
    "convertarraytoobject": TemplateInfo(
        (
            _PARENT,
            _SUB,
            _NEW,
            Field("keyWithinCollectionPath", "sub", required=True),
            Field("valueWithinCollectionPath", "sub"),
            Field("retainKey", "choice", choices=_BOOLEANS),
        )
    ),
    "stringtoarray": TemplateInfo(
        (
            _PARENT,
            _SUB,
            Field("delimiterList", "text", required=True),
            Field("childPropertyName", "text", required=True),
            _NEW,
        )
    ),
    "encodepropertyvalue": TemplateInfo((_PARENT, _SUB, _NEW)),
    "moveproperties": TemplateInfo(
        (
            Field("srcParentPath", "path", required=True),
            Field("srcSubPath", "sub"),
            Field("dstParentPath", "path", required=True),
            Field("dstSubPath", "sub"),
            Field("copyOnlySubProperties", "choice", choices=_BOOLEANS),
        )
    ),
    "setvaluefromurl": TemplateInfo(
        (
            Field("parameterTemplate", "target", required=True),
            Field("httpMethod", "method"),
            Field("parameterValueUrl", "text", required=True),
            Field("parameterValuePathTemplate", "text", required=True),
        )
    ),
    "setconnectionstatustounauthenticated": TemplateInfo(
        (Field("statusCode", "text", required=True),), answers=True
    ),
}
KNOWN_TEMPLATES: Final = frozenset(TEMPLATES)


class Parameters(msgspec.Struct, frozen=True):
    """What a policy was given, by the vendor's names without prefix; text is text, whatever JSON it was."""

    values: Mapping[str, Any]

    def text(self, name: str) -> str:
        """Return a parameter as it is written; "" where it is absent."""
        return str(self.values.get(name, ""))

    def template(self, name: str) -> Template:
        """Return the parts of a parameter with expressions."""
        return parse(self.text(name))

    def path(self, name: str) -> Path:
        """Return the place that a parameter names."""
        return parse_path(self.text(name))

    def config(self, name: str) -> dict[str, Template]:
        """Return an object of texts with expressions."""
        return {key: parse(_plain(value)) for key, value in dict(self.values.get(name, {})).items()}


def read(template: str, parameters: Mapping[str, Any]) -> tuple[Parameters, list[str]]:
    """Return what a policy was given, and everything that is wrong with it."""
    info = TEMPLATES.get(template.lower())
    if info is None:
        near = get_close_matches(template.lower(), TEMPLATES, n=1)
        meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(TEMPLATES)}"
        return Parameters({}), [f"there is no policy template {template!r}; {meant}"]
    given = {_canonical(name): (name, value) for name, value in parameters.items()}
    found: dict[str, Any] = {}
    problems: list[str] = []
    for field in info.fields:
        name, value = given.pop(_key(field, given), (field.name, None))
        fills = field.empty or field.kind in ("path", "sub")
        if value is None or (value == "" and field.required and not fills):
            if field.required:
                problems.append(f"{field.name} is missing{_near(field.name, given)}")
            continue
        found[field.name] = value if field.kind == "config" else _plain(value)
        problems.extend(f"{name.rpartition('.')[2]}: {reason}" for reason in _wrong(field, value))
    if template.lower() == "setheader":
        problems.extend(_header_problems(found.get("name", "")))
    if template.lower() == "setconnectionstatustounauthenticated":
        problems.extend(_status_problems(found.get("statusCode", "")))
    return Parameters(found), problems


def check(template: str, parameters: Mapping[str, Any], section: str = "request") -> str:
    """Return why a policy cannot be executed, everything at once; "" when it can."""
    _, problems = read(template, parameters)
    if template.lower() == "setvaluefromurl" and section != "request":
        problems.append("a value is fetched before the request only: its section must be Request")
    return "; ".join(problems)


def _canonical(name: str) -> str:
    """Return the one spelling of a parameter's name: the vendor's differ in case and in `Template`."""
    return name.strip().lower().removeprefix(_PREFIX).removesuffix("template")


def _key(field: Field, given: Mapping[str, Any]) -> str:
    """Return under which key a parameter is given: the vendor prefixes its paths as it likes."""
    names = [_canonical(one) for one in (field.name, *field.also)]
    found = [one for one in names if one in given]
    ending = {"path": "parentpath", "sub": "subpath"}.get(field.kind, "")
    if not found and ending and names[0].endswith(ending):
        found = [one for one in given if one.endswith(ending)]
    return found[0] if found else names[0]


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


def _near(name: str, given: Mapping[str, Any]) -> str:
    near = get_close_matches(_canonical(name), given, n=1)
    return f" (there is {given[near[0]][0].rpartition('.')[2]})" if near else ""


def _wrong(field: Field, value: Any) -> list[str]:
    """Return what is wrong with one parameter."""
    if field.kind == "config":
        if not isinstance(value, Mapping):
            return ["should be an object of query parameters and their values"]
        return [reason for one in value.values() for reason in _unparsable(_plain(one))]
    text = _plain(value)
    if field.kind == "choice":
        known = not text or text.lower() in field.choices
        return [] if known else [f"{text[:60]!r} is not one of {', '.join(field.choices)}"]
    if field.kind in ("path", "sub", "new"):
        return _no_path(field.kind, text)
    if field.kind == "literal":
        return []
    return _unparsable(text) or _unfit(field.kind, text, parse(text))


def _unfit(kind: Kind, text: str, template: Template) -> list[str]:
    """Return why a value that can be parsed is not of its kind."""
    if kind == "host" and any(isinstance(part, Path) for part in template):
        return ["a body never chooses the host"]
    if kind == "method":
        fixed = not any(isinstance(part, Scalar | Path) for part in template)
        known = not text.strip() or any(isinstance(part, Method) for part in template)
        return [] if fixed and (known or text.strip().upper() in METHODS) else [f"{text[:60]!r} is no method"]
    one = template[0] if len(template) == 1 else None
    named = isinstance(one, Scalar) and one.function != "connectionParameters"
    if kind == "target" and not named:
        return [f"{text[:60]!r} is not @headers('…') or @queryParameters('…')"]
    return []


def _unparsable(text: str) -> list[str]:
    try:
        parse(text)
    except ExpressionError as error:
        return [f"{error} (at character {error.offset + 1} of {text[:80]!r})"]
    return []


def _no_path(kind: Kind, text: str) -> list[str]:
    try:
        path = parse_path(text)
    except ExpressionError as error:
        return [f"{error} (at character {error.offset + 1} of {text[:80]!r})"]
    if kind == "sub" and path.root in ("body", "triggerBody"):
        return [f"{text[:60]!r} should be a place below the parent, without @body()"]
    return []


def _header_problems(name: str) -> list[str]:
    if not name or "@" in name:
        return []
    if not _TOKEN.fullmatch(name.strip()):
        return [f"name: {name[:60]!r} cannot be the name of a header"]
    if name.strip().lower() in OWN_HEADERS - {"host"}:  # the host of the URL may be said again
        return [f"name: the header {name} frames the message and cannot be set"]
    return []


def _status_problems(text: str) -> list[str]:
    codes = text.replace(" ", "").split(",") if text else []
    if all(code.isascii() and code.isdigit() and 300 <= int(code[:6]) <= 599 for code in codes):
        return []
    return [f"statusCode: {text[:60]!r} is no status of an error"]

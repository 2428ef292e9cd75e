"""The expressions in the policies of Power Platform: parsed, printed, evaluated. Pure, and knows no policy.

    value  := ( text | scalar | path | method )*
    scalar := "@" f "(" q name q [ "," default ] ")"       f: connectionParameters, queryParameters, headers
    path   := "@" g "()" ( "." name | "[" n "]" | "['" name "']" )*           g: body, triggerBody, item
    method := "@Request.OriginalHTTPMethod"

Each may stand in braces, `@{…}` or `{@…}`; case does not count; the vendor's own examples write curly quotes.
Member access belongs to paths alone: what follows a scalar is text (`@headers('sub').host.com/`). An `@` that
begins no call is text (`@odata.nextLink`); a call of something unknown is an error that names what was meant.
What is missing has the value of its default, else it is empty text. Nothing here is ever given to an
interpreter of another language (S50).
"""

import re
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, Final, Literal, Protocol

import msgspec

Function = Literal["connectionParameters", "queryParameters", "headers"]
Root = Literal["body", "triggerBody", "item", "here"]
Step = str | int


class ExpressionError(ValueError):
    """A text that is no value of this grammar; `offset` counts characters to what is wrong."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


class Text(msgspec.Struct, frozen=True, tag=True):
    """Text that is copied as it is."""

    text: str


class Scalar(msgspec.Struct, frozen=True, tag=True):
    """A named value of the connection or the request. `default` is None where none is written."""

    function: Function
    name: str
    default: str | None = None


class Path(msgspec.Struct, frozen=True, tag=True):
    """A place in a JSON body. The root `here` is written by nobody: it stands for a path without a root."""

    root: Root
    steps: tuple[Step, ...] = ()


class Method(msgspec.Struct, frozen=True, tag=True):
    """The method of the operation as it is described."""


Part = Text | Scalar | Path | Method
Template = tuple[Part, ...]

_FUNCTIONS: Final[dict[str, Function]] = {
    "connectionparameters": "connectionParameters",
    "queryparameters": "queryParameters",
    "headers": "headers",
    "header": "headers",  # as the vendor's page on dynamichosturl writes it
}
_ROOTS: Final[dict[str, Root]] = {"body": "body", "triggerbody": "triggerBody", "item": "item"}
_METHOD: Final = "Request.OriginalHTTPMethod"
KNOWN: Final = ("connectionParameters", "queryParameters", "headers", "body", "triggerBody", "item", _METHOD)

QUOTES: Final = "'\"\u2018\u2019"
"""Straight quotes and curly ones."""
_NAME: Final = re.compile(r"[^\W\d]\w*")
_CALL: Final = re.compile(r"\s*([^\W\d][\w.]*)\s*\(\s*")
_ORIGINAL: Final = re.compile(r"\s*(request\.originalhttpmethod)(?!\w)", re.IGNORECASE)
_REQUEST: Final = re.compile(r"\s*(request\.\w+)", re.IGNORECASE)
_QUOTED: Final = re.compile(rf"[{QUOTES}]([^{QUOTES}]*)[{QUOTES}]\s*")
_DEFAULT: Final = re.compile(
    rf",\s*(?:[{QUOTES}]([^{QUOTES}]*)[{QUOTES}]|(null)|(-?[0-9]+))\s*", re.IGNORECASE
)
_STEP: Final = re.compile(
    rf"\??\.([^\W\d]\w*)|\??\[\s*([0-9]{{1,9}})\s*\]|\??\[\s*[{QUOTES}]([^{QUOTES}]*)[{QUOTES}]\s*\]"
)
_BARE_ROOT: Final = re.compile(r"@?\s*(body|triggerbody|item)(?:\s*\(\s*\))?(?=[.\[?]|\s*$)", re.IGNORECASE)
_WORD: Final = re.compile(r"[^.\[\]]+")


def parse(text: str) -> Template:
    """Return the parts of a value. Raise ExpressionError, nothing else, whatever the text is."""
    parts: list[Part] = []
    done = 0
    at = text.find("@")
    while at >= 0:
        inner = text.startswith("@{", at)
        outer = not inner and at > done and text[at - 1] == "{"
        found = _expression(text, at + 1 + inner, braced=inner)
        if found is None:
            at = text.find("@", at + 1)
            continue
        part, end = found
        start = at
        if inner or outer:
            closed = _skip(text, end)
            if text.startswith("}", closed):
                start, end = (at - 1 if outer else at), closed + 1
            elif inner:
                raise ExpressionError("the brace after @ is never closed", at)
        if start > done:
            parts.append(Text(text[done:start]))
        parts.append(part)
        done = end
        at = text.find("@", done)
    if done < len(text):
        parts.append(Text(text[done:]))
    return tuple(parts)


def parse_path(text: str) -> Path:
    """Return the place that a parameter names: `@body().a`, `body().a`, `@item().a`, or `a.b` from here.

    Empty text and `null` are here itself. A name with an `@` in front that is no root (`@odata.type`) is one
    property. Raise ExpressionError.
    """
    plain = text.strip()
    for opening, closing in (("@{", "}"), ("{@", "}")):
        if plain.startswith(opening) and plain.endswith(closing):
            plain = "@" + plain[2:-1].strip()
    if plain.lower() in {"", "null"}:
        return Path("here")
    matched = _BARE_ROOT.match(plain)
    if matched and (plain.startswith("@") or "(" in matched[0]):
        steps, end = _steps(plain, matched.end())
        if end < len(plain):
            raise ExpressionError(f"{plain[end : end + 20]!r} is no step of a path", end)
        return Path(_ROOTS[matched[1].lower()], steps)
    if plain.startswith("@"):
        if any(not isinstance(part, Text) for part in parse(plain)):
            raise ExpressionError(f"{plain[:40]!r} is no path in a body", 0)
        return Path("here", (plain,))
    return Path("here", _relative(plain))


def show(template: Template) -> str:
    """Return a text that parses to these parts."""
    return "".join(_shown(part) for part in template)


def scalars(template: Template) -> list[Scalar]:
    """Return the named values that a template uses."""
    return [part for part in template if isinstance(part, Scalar)]


class Values(Protocol):
    """Where the values of expressions come from. None stands for what is not there."""

    def named(self, function: Function, name: str) -> str | None:
        """Return a named value."""

    def at(self, path: Path) -> Any:
        """Return the text at a place of a body: a string's own, else its JSON token."""

    @property
    def method(self) -> str:
        """The method of the operation as described."""


def evaluate(part: Part, values: Values) -> str | None:
    """Return the text of one part; None where a value is missing and has no default."""
    if isinstance(part, Text):
        return part.text
    if isinstance(part, Method):
        return values.method
    if isinstance(part, Path):
        found = values.at(part)
        return None if found is None else str(found)
    value = values.named(part.function, part.name)
    return part.default if value is None else value


def render(template: Template, values: Values, encode: Callable[[str], str] = str) -> str:
    """Return the whole text; what expressions bring is encoded, literal text is not."""
    return "".join(
        part.text if isinstance(part, Text) else encode(evaluate(part, values) or "") for part in template
    )


def _expression(text: str, start: int, *, braced: bool) -> tuple[Part, int] | None:
    """Return the expression that begins after an `@`, and its end; None when this is plain text."""
    original = _ORIGINAL.match(text, start)
    if original:
        return Method(), original.end()
    call = _CALL.match(text, start)
    if call is None:
        request = _REQUEST.match(text, start)
        if request:
            raise ExpressionError(f"there is no @{request[1]}; did you mean @{_METHOD}?", start)
        if braced:
            raise ExpressionError(f"no function is called after the brace; {_known()}", start)
        return None
    name = call[1].lower()
    if name in _FUNCTIONS:
        return _scalar(text, _FUNCTIONS[name], call.end())
    if name in _ROOTS:
        if not text.startswith(")", call.end()):
            raise ExpressionError(f"{call[1]}() takes nothing in its parentheses", call.end())
        steps, end = _steps(text, call.end() + 1)
        return Path(_ROOTS[name], steps), end
    near = get_close_matches(name, [*_FUNCTIONS, *_ROOTS], n=1, cutoff=0.6)
    meant = f"did you mean {_FUNCTIONS.get(near[0]) or _ROOTS.get(near[0])}?" if near else _known()
    raise ExpressionError(f"there is no function {call[1]}; {meant}", call.start(1))


def _scalar(text: str, function: Function, start: int) -> tuple[Scalar, int]:
    name = _QUOTED.match(text, start)
    if name is None:
        raise ExpressionError(f"{function} wants a name in quotes", start)
    end, value = name.end(), None
    default = _DEFAULT.match(text, end)
    if default:
        end = default.end()
        value = default[1] if default[1] is not None else (default[3] or "")
    if not text.startswith(")", end):
        wanted = "a closing parenthesis" if default else "a default or a closing parenthesis"
        raise ExpressionError(f"{wanted} is missing after the name {name[1]!r}", end)
    return Scalar(function, name[1], value), end + 1


def _steps(text: str, start: int) -> tuple[tuple[Step, ...], int]:
    steps: list[Step] = []
    end = start
    while matched := _STEP.match(text, end):
        if matched[2] is not None:
            steps.append(int(matched[2]))
        else:
            steps.append(matched[1] if matched[1] is not None else matched[3])
        end = matched.end()
    return tuple(steps), end


def _relative(text: str) -> tuple[Step, ...]:
    """Return the steps of a path without a root: names between dots, taken as they are, and brackets."""
    steps: list[Step] = []
    end = 0
    while end < len(text):
        bracket = _STEP.match(text, end) if text[end] in "[?" else None
        word = None if bracket else _WORD.match(text, end + (end > 0 and text[end] == "."))
        if bracket:
            found, end = _steps(text, end)
            steps.extend(found)
        elif word:
            steps.append(word[0].strip())
            end = word.end()
        else:
            raise ExpressionError(f"{text[end : end + 20]!r} is no step of a path", end)
    return tuple(steps)


def _shown(part: Part) -> str:
    if isinstance(part, Text):
        return part.text
    if isinstance(part, Method):
        return f"@{{{_METHOD}}}"
    if isinstance(part, Scalar):
        default = "" if part.default is None else f",'{part.default}'"
        return f"@{{{part.function}('{part.name}'{default})}}"
    steps = "".join(
        f"[{step}]" if isinstance(step, int) else f".{step}" if _NAME.fullmatch(step) else f"['{step}']"
        for step in part.steps
    )
    return steps.lstrip(".") if part.root == "here" else f"@{{{part.root}(){steps}}}"


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _known() -> str:
    return f"there are {', '.join(KNOWN)}"

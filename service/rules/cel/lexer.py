"""Cuts an expression into tokens. Finds every bad character and escape of a text, not only the first.

The patterns are linear in the text; nothing here knows grammar.
"""

import re
from typing import Any, Final, Literal, NamedTuple

from service.rules.cel.errors import MAX_ISSUES, Issue
from service.rules.cel.values import UINT_MAX, Uint

Kind = Literal["number", "string", "name", "quoted", "sign", "end"]

RESERVED: Final = frozenset(
    {"as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package"}
    | {"namespace", "return", "var", "void", "while"}
)
"""Words that CEL keeps for itself; they may be fields and methods, not names."""

KEYWORDS: Final = frozenset({"true", "false", "null", "in"})


class Token(NamedTuple):
    """A piece of the text. `value` is the number, string or bytes; of other kinds the text itself."""

    kind: Kind
    text: str
    value: Any
    start: int
    end: int


_TOKEN: Final = re.compile(
    r"""
    (?P<space>(?:[\t\n\f\r ]+|//[^\n]*)+)
  | (?P<raw>[bB]?[rR](?:\"\"\"(?s:.*?)\"\"\"|'''(?s:.*?)'''|"[^"\r\n]*"|'[^'\r\n]*'))
  | (?P<string>[bB]?(?:
        \"\"\"(?:[^"\\]|\\(?s:.)|"(?!""))*\"\"\"
      | '''(?:[^'\\]|\\(?s:.)|'(?!''))*'''
      | (?!\"\"\")"(?:[^"\\\r\n]|\\[^\r\n])*"
      | (?!''')'(?:[^'\\\r\n]|\\[^\r\n])*'))
  | (?P<open>[bB]?[rR]?(?:"|'))
  | (?P<double>[0-9]*\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+)
  | (?P<integer>(?:0x[0-9a-fA-F]+|[0-9]+)[uU]?)
  | (?P<name>[_a-zA-Z][_a-zA-Z0-9]*)
  | (?P<quoted>`[a-zA-Z0-9_.\-/ ]+`)
  | (?P<sign>&&|\|\||[<>=!]=|[-+*/%<>!?:.,()\[\]{}])
    """,
    re.VERBOSE,
)

_ESCAPE: Final = re.compile(
    r"""\\(?:(?P<plain>[abfnrtv\\?"'`])|[xX](?P<x>[0-9a-fA-F]{2})|u(?P<u>[0-9a-fA-F]{4})"""
    r"""|U(?P<U>[0-9a-fA-F]{8})|(?P<octal>[0-3][0-7]{2})|(?P<bad>(?s:.)?))"""
)

_PLAIN: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}

_HINTS: Final = {
    "=": "to compare, write `==`",
    "&": "write `&&`",
    "|": "write `||`",
    "$": "inside an expression there is no `$`; write the path, as in `data.id`",
    "`": "a name in backticks stands behind a dot and has letters, digits, `_`, `.`, `-`, `/` and spaces",
    ";": "an expression is one value; there are no statements",
    "@": "names have letters, digits and `_`",
    "#": "a comment starts with `//`",
    "^": "there is no power and no exclusive or; see math.bitXor()",
    "~": "see math.bitNot()",
    "“": 'use a plain quote: "',
    "”": 'use a plain quote: "',
    "\u2018": "use a plain quote: '",
    "\u2019": "use a plain quote: '",
}


def tokens(text: str) -> tuple[list[Token], list[Issue]]:
    """Return the tokens of `text`, closed by one of kind "end", and every piece that is no token."""
    found: list[Token] = []
    issues: list[Issue] = []
    at = 0
    while at < len(text) and len(issues) < MAX_ISSUES:
        match = _TOKEN.match(text, at)
        if match is None:
            issues.append(_stray(text, at))
            at += 1
            continue
        end = match.end()
        kind = match.lastgroup
        if kind == "open":
            issues.append(_unclosed(at, end))
            break
        if kind != "space":
            found.append(_token(str(kind), match.group(), at, end, issues))
        at = end
    found.append(Token("end", "", None, len(text), len(text)))
    return found, issues


def _stray(text: str, at: int) -> Issue:
    sign = text[at]
    shown = f"`{sign}`" if sign.isprintable() else f"U+{ord(sign):04X}"
    return Issue(message=f"{shown} has no meaning here", offset=at, length=1, fix=_HINTS.get(sign, ""))


def _unclosed(at: int, end: int) -> Issue:
    return Issue(
        message="this string is never closed",
        offset=at,
        length=end - at,
        fix="close it with the same quote on the same line, or use three quotes",
    )


def _token(kind: str, text: str, start: int, end: int, issues: list[Issue]) -> Token:
    if kind == "double":
        return Token("number", text, float(text), start, end)
    if kind == "integer":
        return Token("number", text, _integer(text, start, issues), start, end)
    if kind in ("raw", "string"):
        return Token("string", text, _string(text, start, issues, raw=kind == "raw"), start, end)
    if kind == "quoted":
        return Token("quoted", text, text[1:-1], start, end)
    return Token("name" if kind == "name" else "sign", text, text, start, end)


def _integer(text: str, start: int, issues: list[Issue]) -> int:
    """Return the number; a signed one may be 2**63, because its minus comes apart."""
    digits = text.rstrip("uU")
    unsigned = digits != text
    large = len(digits) > 40
    value = 0 if large else int(digits, 16 if digits.startswith("0x") else 10)
    if large or value > (UINT_MAX if unsigned else 2**63):
        issues.append(
            Issue(
                message=f"{'a uint' if unsigned else 'an int'} has 64 bits, this number is larger",
                offset=start,
                length=len(text),
                fix="write it as a double: 1e30",
            )
        )
    return Uint(value) if unsigned else value


def _string(text: str, start: int, issues: list[Issue], *, raw: bool) -> str | bytes:
    prefix = 0
    while text[prefix] not in "\"'":
        prefix += 1
    quotes = 3 if text[prefix : prefix + 3] in ('"""', "'''") and len(text) >= prefix + 6 else 1
    body = text[prefix + quotes : -quotes]
    binary = text[0] in "bB"
    if any("\ud800" <= sign <= "\udfff" for sign in body):
        issues.append(
            Issue(message="half of a surrogate pair is no character", offset=start, length=len(text))
        )
        return b"" if binary else ""
    if raw or "\\" not in body:
        return body.encode() if binary else body
    return _unescape(body, start + prefix + quotes, issues, binary=binary)


def _unescape(body: str, start: int, issues: list[Issue], *, binary: bool) -> str | bytes:
    """Resolve the escapes of a literal. In bytes, a code is an octet, not a character."""
    pieces: list[bytes] = []
    at = 0
    for match in _ESCAPE.finditer(body):
        pieces.append(body[at : match.start()].encode())
        at = match.end()
        kind = match.lastgroup
        found = match.group(str(kind))
        if kind == "plain":
            pieces.append(_PLAIN.get(found, found).encode())
            continue
        if kind == "bad" or (binary and kind in ("u", "U")):
            issues.append(_bad_escape(match.group(), start + match.start(), binary=binary))
            continue
        code = int(found, 8 if kind == "octal" else 16)
        if binary:
            pieces.append(bytes((code,)))
        elif code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            issues.append(
                Issue(
                    message=f"{match.group()} is no Unicode character",
                    offset=start + match.start(),
                    length=len(match.group()),
                    fix="write a character above U+FFFF as one \\U with eight digits",
                )
            )
        else:
            pieces.append(chr(code).encode())
    pieces.append(body[at:].encode())
    del issues[MAX_ISSUES:]
    whole = b"".join(pieces)
    return whole if binary else whole.decode()


def _bad_escape(escape: str, at: int, *, binary: bool) -> Issue:
    fix = "write `\\\\` for a backslash, or put r before the quote"
    if binary and escape[1:2] in ("u", "U"):
        fix = "bytes have no \\u; write the character itself or its octets as \\x"
    return Issue(message=f"`{escape}` is no escape", offset=at, length=max(1, len(escape)), fix=fix)

"""Functions of strings: the standard ones and the strings extension. Positions count characters."""

from typing import Any, Final

from service.rules.cel.budget import Budget
from service.rules.cel.errors import Fault
from service.rules.cel.functions import Function, Overload, Run
from service.rules.cel.library.formatting import format_string
from service.rules.cel.library.regex import matches
from service.rules.cel.show import show
from service.rules.cel.values import word

_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_UPPER: Final = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}
_SPACE: Final = (
    "\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
_QUOTED: Final = str.maketrans(
    {
        "\a": "\\a",
        "\b": "\\b",
        "\f": "\\f",
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
        "\v": "\\v",
        "\\": "\\\\",
        '"': '\\"',
        **{chr(code): "\ufffd" for code in range(0xD800, 0xE000)},
    }
)


def _pay_search(budget: Budget, text: str, part: str) -> None:
    # Python's search is at worst text × part for parts that are not long.
    budget.spend(1 + (len(text) * min(len(part), 128) >> 9))


def _contains(budget: Budget, text: str, part: str) -> bool:
    _pay_search(budget, text, part)
    return part in text


def _index_of(budget: Budget, text: str, part: str) -> int:
    _pay_search(budget, text, part)
    return text.find(part)


def _index_of_from(budget: Budget, text: str, part: str, offset: int) -> int:
    _check(offset, len(text))
    _pay_search(budget, text, part)
    return text.find(part, offset)


def _last_index_of(budget: Budget, text: str, part: str) -> int:
    budget.spend(1 + (len(text) * len(part) >> 9))
    return text.rfind(part)


def _last_index_of_from(budget: Budget, text: str, part: str, offset: int) -> int:
    _check(offset, len(text))
    budget.spend(1 + (len(text) * len(part) >> 9))
    return text.rfind(part, 0, offset + len(part))


def _check(position: int, length: int) -> None:
    if not 0 <= position <= length:
        raise Fault(f"index out of range: {show(position, 40)} in a string of {length} characters")


def _char_at(_budget: Budget, text: str, position: int) -> str:
    _check(position, len(text))
    return text[position : position + 1]


def _substring(budget: Budget, text: str, start: int) -> str:
    return _substring_to(budget, text, start, len(text))


def _substring_to(budget: Budget, text: str, start: int, end: int) -> str:
    _check(start, len(text))
    _check(end, len(text))
    if start > end:
        raise Fault(f"invalid substring range: it starts at {start} and ends at {end}")
    budget.spend((end - start) >> 6)
    return text[start:end]


def _replace(budget: Budget, text: str, old: str, new: str) -> str:
    return _replace_some(budget, text, old, new, -1)


def _replace_some(budget: Budget, text: str, old: str, new: str, limit: int) -> str:
    limit = -1 if limit < 0 else min(limit, len(text) + 1)
    _pay_search(budget, text, old)
    count = text.count(old) if limit < 0 else min(limit, text.count(old))
    budget.spend(count + ((len(text) + count * max(0, len(new) - len(old))) >> 6))
    return text.replace(old, new, limit)


def _split(budget: Budget, text: str, separator: str) -> list[str]:
    return _split_some(budget, text, separator, -1)


def _split_some(budget: Budget, text: str, separator: str, limit: int) -> list[str]:
    if limit == 0:
        return []
    _pay_search(budget, text, separator)
    count = text.count(separator) + 1
    budget.spend((count if limit < 0 else min(limit, count)) + (len(text) >> 6))
    if separator:
        return text.split(separator, -1 if limit < 0 else min(limit, count) - 1)
    if limit < 0 or limit >= len(text):
        return list(text)
    return [*text[: limit - 1], text[limit - 1 :]]


def _join(budget: Budget, parts: list[Any]) -> str:
    return _join_by(budget, parts, "")


def _join_by(budget: Budget, parts: list[Any], separator: str) -> str:
    budget.spend(len(parts) + (len(parts) * len(separator) >> 6))
    size = 0
    for position, part in enumerate(parts):
        if type(part) is not str:
            raise Fault(f"join() takes strings, element {position} is {word(part)}; map them by string()")
        size += len(part)
    budget.spend(size >> 6)
    return separator.join(parts)


def _changed(change: Run) -> Run:
    """Return a method whose result is about as long as its receiver."""

    def run(budget: Budget, text: str) -> str:
        budget.spend(len(text) >> 4)
        return str(change(text))

    return run


def _of(result: type, run: Run, *parameters: type) -> Overload:
    return Overload((str, *parameters), result, run)


def _method(name: str, *overloads: Overload) -> Function:
    return Function(name, overloads, method=True)


FUNCTIONS: Final = (
    _method("startsWith", _of(bool, lambda _budget, text, part: text.startswith(part), str)),
    _method("endsWith", _of(bool, lambda _budget, text, part: text.endswith(part), str)),
    _method("contains", _of(bool, _contains, str)),
    _method("matches", _of(bool, matches, str)),
    Function("matches", (_of(bool, matches, str),)),
    _method("charAt", _of(str, _char_at, int)),
    _method("indexOf", _of(int, _index_of, str), _of(int, _index_of_from, str, int)),
    _method("lastIndexOf", _of(int, _last_index_of, str), _of(int, _last_index_of_from, str, int)),
    _method("lowerAscii", _of(str, _changed(lambda text: text.translate(_LOWER)))),
    _method("upperAscii", _of(str, _changed(lambda text: text.translate(_UPPER)))),
    _method("trim", _of(str, _changed(lambda text: text.strip(_SPACE)))),
    _method("reverse", _of(str, _changed(lambda text: text[::-1]))),
    _method("replace", _of(str, _replace, str, str), _of(str, _replace_some, str, str, int)),
    _method("split", _of(list, _split, str), _of(list, _split_some, str, int)),
    _method("substring", _of(str, _substring, int), _of(str, _substring_to, int, int)),
    _method("format", _of(str, format_string, list)),
    _method("join", Overload((list,), str, _join), Overload((list, str), str, _join_by)),
    Function("strings.quote", (_of(str, _changed(lambda text: f'"{text.translate(_QUOTED)}"')),)),
)

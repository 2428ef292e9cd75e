"""Reads one member of a pattern's list (a value, or an object with one operator) into a condition.

What a condition means stands in `conditions.py`; here is only what may be written, and what to say to
people who wrote something else. Every problem of a member is reported, none raises.
"""

import math
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Final

from service.errors import Problem, nearest
from service.rules.conditions import (
    Absent,
    Condition,
    EndsWith,
    Equals,
    IgnoringCase,
    InNetwork,
    NoneOf,
    Present,
    SameAddress,
    StartsWith,
    Wildcard,
    Within,
    kind_of,
    read_address,
    show,
)
from service.rules.json_text import step
from service.rules.wildcard import BadWildcard, overlap, split_wildcard

RESERVED: Final = (
    *("exactly", "equals-ignore-case", "prefix", "suffix", "anything-but", "exists", "wildcard", "numeric"),
    *("cidr", "=", "<", "<=", ">", ">=", "regex", "not-wildcard", "not-equals-ignore-case", "date-after"),
    *("date-on-or-after", "date-before", "date-on-or-before", "in-date-range", "ip-address-in-range"),
    "ip-address-not-in-range",
)
"""Names that no field inside `$or` may have: operators of today and of event-ruler's announced future."""

_FULL_MASK: Final = {4: 32, 6: 128}


class Reporter:
    """Collects the problems of one pattern."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def add(self, code: str, pointer: str, message: str, *, found: str = "", fix: str = "") -> None:
        """Note one problem; `found` is the value seen, `fix` what would be right."""
        self.problems.append(
            Problem(message=message, code=f"pattern-{code}", pointer=pointer, found=found, fix=fix)
        )


class OperatorReader:
    """Reads members; `max_overlap` caps the complexity of a wildcard (`wildcard.overlap`)."""

    def __init__(self, report: Reporter, max_overlap: int) -> None:
        self._report = report
        self._max_overlap = max_overlap
        self._operators: Mapping[str, Callable[[Any, str], Condition | None]] = {
            "exactly": self._exactly,
            "prefix": self._prefix,
            "suffix": self._suffix,
            "equals-ignore-case": self._ignoring_case,
            "wildcard": self._wildcard,
            "anything-but": self._anything_but,
            "numeric": self._numeric,
            "cidr": self._cidr,
            "exists": self._exists,
        }

    def member(self, value: Any, pointer: str) -> Condition | None:
        """Return the condition that one member of a field's list asks for, or None after a report."""
        if isinstance(value, Mapping):
            return self._operator(value, pointer)
        if isinstance(value, list | tuple):
            self._report.add(
                "nested-list",
                pointer,
                "a list inside a field's list",
                found=show(value),
                fix="write its members directly in the field's list: any of them may match",
            )
            return None
        return self._plain(value, pointer)

    def _plain(self, value: Any, pointer: str) -> Condition | None:
        if isinstance(value, str):
            address = read_address(value)
            return Equals(value, "string") if address is None else SameAddress(value, address)
        if value is None or isinstance(value, bool):
            return Equals(value, kind_of(value))
        number = self._number(value, pointer)
        return None if number is None else Equals(number, "number")

    def _operator(self, value: Mapping[Any, Any], pointer: str) -> Condition | None:
        if len(value) != 1:
            names = ", ".join(show(name) for name in value) or "nothing"
            self._report.add(
                "operator-count",
                pointer,
                "an operator object has exactly one key",
                found=names,
                fix="write one object per operator: [{…}, {…}] matches when either does" * bool(value),
            )
            return None
        ((name, operand),) = value.items()
        read = self._operators.get(name) if isinstance(name, str) else None
        if read is None:
            self._unknown(str(name), tuple(self._operators), pointer)
            return None
        return read(operand, step(pointer, name))

    def _unknown(self, name: str, known: tuple[str, ...], pointer: str) -> None:
        meant = nearest(name.lower(), known)
        self._report.add(
            "unknown-operator",
            pointer,
            "there is no such operator here",
            found=show(name),
            fix=f"did you mean {show(meant)}?" if meant else f"known: {', '.join(known)}",
        )

    def _text(self, operand: Any, pointer: str, what: str) -> str | None:
        if isinstance(operand, str):
            return operand
        several = isinstance(operand, list | tuple)
        self._report.add(
            "operand-not-string",
            pointer,
            f"{what} takes one string",
            found=show(operand),
            fix=f"write one {{{show(what)}: …}} per string in the field's list" * several,
        )
        return None

    def _number(self, value: Any, pointer: str) -> int | float | None:
        if isinstance(value, int | float) and not isinstance(value, bool):
            if isinstance(value, int) or math.isfinite(value):
                return value
            self._report.add("number-range", pointer, "the number is not finite", found=str(value))
            return None
        self._report.add("operand-not-number", pointer, "a number belongs here", found=show(value))
        return None

    def _exactly(self, operand: Any, pointer: str) -> Condition | None:
        text = self._text(operand, pointer, "exactly")
        return None if text is None else Equals(text, "string")

    def _affix(self, operand: Any, pointer: str, what: str) -> tuple[str, bool] | None:
        """Return the text of a prefix or suffix and whether case is ignored."""
        if not isinstance(operand, Mapping):
            text = self._text(operand, pointer, what)
            return None if text is None else (text, False)
        if list(operand) != ["equals-ignore-case"]:
            self._report.add(
                "operand",
                pointer,
                f"{what} takes a string or an object with equals-ignore-case",
                found=show(operand),
                fix=f'{{{show(what)}: {{"equals-ignore-case": "…"}}}}',
            )
            return None
        text = self._text(operand["equals-ignore-case"], step(pointer, "equals-ignore-case"), what)
        return None if text is None else (text.casefold(), True)

    def _prefix(self, operand: Any, pointer: str) -> Condition | None:
        affix = self._affix(operand, pointer, "prefix")
        return None if affix is None else StartsWith(*affix)

    def _suffix(self, operand: Any, pointer: str) -> Condition | None:
        affix = self._affix(operand, pointer, "suffix")
        return None if affix is None else EndsWith(*affix)

    def _ignoring_case(self, operand: Any, pointer: str) -> Condition | None:
        text = self._text(operand, pointer, "equals-ignore-case")
        return None if text is None else IgnoringCase(text, text.casefold())

    def _wildcard(self, operand: Any, pointer: str) -> Condition | None:
        text = self._text(operand, pointer, "wildcard")
        if text is None:
            return None
        try:
            pieces = split_wildcard(text)
        except BadWildcard as error:
            self._report.add(
                "wildcard",
                pointer,
                f"{error} at character {error.offset + 1} of the wildcard",
                found=show(text),
                fix=error.fix,
            )
            return None
        if overlap(pieces, self._max_overlap) > self._max_overlap:
            self._report.add(
                "wildcard-complex",
                pointer,
                f"the wildcard is too complex: one text could match more than {self._max_overlap}"
                " of its beginnings at once",
                found=show(text),
                fix="use fewer stars, or fewer repeated parts after a star",
            )
            return None
        return Wildcard(text, pieces) if len(pieces) > 1 else Equals(pieces[0], "string")

    def _anything_but(self, operand: Any, pointer: str) -> Condition | None:
        if isinstance(operand, Mapping):
            return self._anything_but_nested(operand, pointer)
        if not isinstance(operand, list | tuple):
            found = self._listed(operand, pointer)
            return None if found is None else NoneOf((found,))
        if not operand:
            self._report.add("empty-list", pointer, "an empty list excludes nothing", fix='{"exists": true}')
            return None
        members = [self._listed(each, step(pointer, index)) for index, each in enumerate(operand)]
        conditions = tuple(each for each in members if each is not None)
        if len(conditions) < len(members):
            return None
        if len({each.kind for each in conditions}) > 1:
            self._report.add(
                "mixed-list",
                pointer,
                "anything-but takes strings or numbers, not both in one list",
                found=show(operand),
            )
            return None
        return NoneOf(conditions)

    def _listed(self, value: Any, pointer: str) -> Equals | None:
        """Return a plain value that anything-but excludes; addresses are ordinary text there."""
        if isinstance(value, str):
            return Equals(value, "string")
        if isinstance(value, int | float) and not isinstance(value, bool):
            number = self._number(value, pointer)
            return None if number is None else Equals(number, "number")
        self._report.add(
            "operand",
            pointer,
            "anything-but takes strings or numbers",
            found=show(value),
            fix="to exclude null, true or false, list the values that may match",
        )
        return None

    def _anything_but_nested(self, operand: Mapping[Any, Any], pointer: str) -> Condition | None:
        inner: Mapping[str, Callable[[Any, str], Condition | None]] = {
            "prefix": self._nonempty_prefix,
            "suffix": self._nonempty_suffix,
            "equals-ignore-case": self._ignoring_case,
            "wildcard": self._wildcard,
        }
        if len(operand) != 1:
            self._report.add(
                "operator-count",
                pointer,
                "anything-but takes an object with exactly one key",
                found=show(operand),
                fix=f"one of {', '.join(inner)}",
            )
            return None
        ((name, value),) = operand.items()
        read = inner.get(name) if isinstance(name, str) else None
        if read is None:
            self._unknown(str(name), tuple(inner), pointer)
            return None
        pointer = step(pointer, name)
        if not isinstance(value, list | tuple):
            condition = read(value, pointer)
            return None if condition is None else NoneOf((condition,))
        if not value:
            self._report.add("empty-list", pointer, "an empty list excludes nothing", fix='{"exists": true}')
            return None
        members = [read(each, step(pointer, index)) for index, each in enumerate(value)]
        conditions = tuple(each for each in members if each is not None)
        return NoneOf(conditions) if len(conditions) == len(members) else None

    def _nonempty(self, operand: Any, pointer: str, what: str) -> str | None:
        text = self._text(operand, pointer, what)
        if text != "":
            return text
        self._report.add("empty-affix", pointer, f"every string has the empty {what}, so nothing would match")
        return None

    def _nonempty_prefix(self, operand: Any, pointer: str) -> Condition | None:
        text = self._nonempty(operand, pointer, "prefix")
        return None if text is None else StartsWith(text)

    def _nonempty_suffix(self, operand: Any, pointer: str) -> Condition | None:
        text = self._nonempty(operand, pointer, "suffix")
        return None if text is None else EndsWith(text)

    def _numeric(self, operand: Any, pointer: str) -> Condition | None:
        form = '["=", n], ["<", n] or [">", a, "<=", b]'
        if not isinstance(operand, list | tuple) or len(operand) not in (2, 4):
            self._report.add(
                "numeric", pointer, "numeric takes a comparison or a range", found=show(operand), fix=form
            )
            return None
        signs = operand[::2]
        allowed: tuple[tuple[str, ...], ...] = (("=", "<", "<=", ">", ">="),)
        if len(operand) == 4:
            allowed = ((">", ">="), ("<", "<="))
        good = True
        for index, (sign, choice) in enumerate(zip(signs, allowed, strict=True)):
            if sign not in choice:
                good = False
                self._report.add(
                    "numeric-sign",
                    step(pointer, 2 * index),
                    f"one of {', '.join(choice)} belongs here",
                    found=show(sign),
                    fix=form,
                )
        numbers = [
            self._number(value, step(pointer, 2 * index + 1)) for index, value in enumerate(operand[1::2])
        ]
        if not good or None in numbers:
            return None
        return self._range(
            [str(sign) for sign in signs], [each for each in numbers if each is not None], pointer
        )

    def _range(self, signs: list[str], numbers: list[int | float], pointer: str) -> Condition | None:
        if signs == ["="]:
            return Equals(numbers[0], "number")
        low = high = None
        low_open = high_open = False
        for sign, number in zip(signs, numbers, strict=True):
            if sign[0] == ">":
                low, low_open = number, sign == ">"
            else:
                high, high_open = number, sign == "<"
        if low is not None and high is not None and low >= high:
            self._report.add(
                "numeric-empty",
                pointer,
                "the lower bound must be less than the upper one",
                found=f"{show(low)} and {show(high)}",
                fix=f'["=", {show(low)}] for one number' if low == high else "swap the bounds",
            )
            return None
        return Within(low, low_open, high, high_open)

    def _cidr(self, operand: Any, pointer: str) -> Condition | None:
        text = self._text(operand, pointer, "cidr")
        if text is None:
            return None
        base, slash, mask = text.partition("/")
        address = read_address(base)
        if not slash or address is None or not (mask.isascii() and mask.isdigit() and len(mask) <= 3):
            self._report.add(
                "cidr",
                pointer,
                "cidr takes an IP address, a slash and the number of fixed bits",
                found=show(text),
                fix='for example "10.0.0.0/24" or "2001:db8::/32"',
            )
            return None
        version, number = address
        bits = int(mask)
        if bits >= _FULL_MASK[version]:
            exact = bits == _FULL_MASK[version]
            self._report.add(
                "cidr-mask",
                pointer,
                f"the mask of an IPv{version} network is 0 to {_FULL_MASK[version] - 1}",
                found=mask,
                fix=f"to match one address write it as a plain string: {show(base)}" * exact,
            )
            return None
        network = (IPv4Network if version == 4 else IPv6Network)((number, bits), strict=False)
        return InNetwork(text, version, int(network[0]), int(network[-1]))

    def _exists(self, operand: Any, pointer: str) -> Condition | None:
        if isinstance(operand, bool):
            return Present() if operand else Absent()
        self._report.add("operand", pointer, "exists takes true or false", found=show(operand))
        return None

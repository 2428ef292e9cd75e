"""Tables of cases as one test: every row is tried, and all that fail are told at once, each with its values.

As a test of its own a row costs pytest two milliseconds, which is more than most rows take. Rows share what their
test is given (its fixtures, its event loop): a row that could leave something behind for the next belongs into
`pytest.mark.parametrize`. `ROWS=apart` in the environment makes every row a test of its own, to run one of them by
`-k` or in a debugger.
"""

import functools
import inspect
import os
import reprlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar, cast

import pytest

Test = TypeVar("Test", bound=Callable[..., Any])
Row = Mapping[str, Any]

_APART: Final = os.environ.get("ROWS") == "apart"
_FAILURES: Final = (Exception, pytest.fail.Exception)
_SHOWN: Final = 12
"""So many rows are told with their traceback; all are told with their values."""

_brief: Final = reprlib.Repr()
_brief.maxstring = _brief.maxother = _brief.maxlong = 300
_brief.maxdict = _brief.maxlist = _brief.maxtuple = _brief.maxset = 30
_brief.maxlevel = 12


def every_row(names: str | tuple[str, ...], table: Iterable[Any], ids: Any = None) -> Callable[[Test], Test]:
    """Try the test below with every row: `@every_row(("text", "number"), [("1", 1), ("2", 2)])`.

    The table is written as for `pytest.mark.parametrize`; two above each other try every pair.
    """
    columns = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    values = list(table)
    rows = [_row(columns, value) for value in values]
    if not rows:
        raise ValueError(f"the table of {names!r} is empty: its test would try nothing")

    def decorate(test: Test) -> Test:
        if _APART:
            return cast("Test", pytest.mark.parametrize(names, values, ids=ids)(test))

        def tried(**given: Any) -> None:
            __tracebackhide__ = True
            failed: dict[int, BaseException] = {}
            for number, row in enumerate(rows):
                try:
                    test(**given, **row)
                except _FAILURES as error:
                    failed[number] = error
            _tell(failed, rows)

        async def awaited(**given: Any) -> None:
            __tracebackhide__ = True
            failed: dict[int, BaseException] = {}
            for number, row in enumerate(rows):
                try:
                    await test(**given, **row)
                except _FAILURES as error:
                    failed[number] = error
            _tell(failed, rows)

        whole: Any = functools.wraps(test)(awaited if inspect.iscoroutinefunction(test) else tried)
        # The rest of the parameters are fixtures, and this is how pytest gets to know them.
        signature = inspect.signature(test)
        unknown = set(columns) - set(signature.parameters)
        if unknown:
            raise ValueError(f"{test.__qualname__} takes no {', '.join(sorted(unknown))}")
        rest = [one for name, one in signature.parameters.items() if name not in columns]
        whole.__signature__ = signature.replace(parameters=rest)
        return cast("Test", whole)

    return decorate


def _row(columns: list[str], value: Any) -> Row:
    """Name the values of a row; the only column's value stands alone."""
    return dict(zip(columns, value if len(columns) > 1 else [value], strict=True))


def _tell(failed: Mapping[int, BaseException], rows: list[Row]) -> None:
    """Raise what failed: one failure as it is, several together."""
    __tracebackhide__ = True
    told = []
    for number, error in failed.items():
        values = ", ".join(f"{name}={_brief.repr(value)}" for name, value in rows[number].items())
        error.add_note(f"row {number} of {len(rows)}: {values}")
        told.append(f"row {number}: {values}: {type(error).__name__}: {str(error).partition(chr(10))[0]}")
    errors = list(failed.values())
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise BaseExceptionGroup(
            "\n  ".join([f"{len(errors)} of {len(rows)} rows fail", *told]), errors[:_SHOWN]
        )

"""docs/faults.md has a row for every fault of sources, and every test that it names is there."""

import ast
import re
from functools import cache
from itertools import pairwise

from tests.shared import ROOT
from tests.tables import every_row

PAGE = (ROOT / "docs/faults.md").read_text("utf-8")
FAULTS = [f"F{number}" for number in range(20, 58)]
_TEST = re.compile(r"`([a-z_/0-9]+\.py)::([A-Za-z_0-9:]+)`")


def rows(heading: str) -> dict[str, list[str]]:
    """Return the cells of a section's table by the first of them."""
    section = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")][1:]
    return {cells[0]: cells[1:] for line in lines for cells in [[c.strip() for c in line.split("|")[1:-1]]]}


@cache
def defined_in(path: str) -> frozenset[str]:
    """Return the tests that a file defines, those of a class as `Class::test`."""
    tree = ast.parse((ROOT / "tests" / path).read_text("utf-8"))
    found = set()
    for node in tree.body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        found |= {
            prefix + one.name for one in inner if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
        }
    return frozenset(found)


def test_every_fault_has_one_row_in_order() -> None:
    assert re.findall(r"^\| (F\d+) \|", PAGE, re.MULTILINE) == FAULTS


@every_row("fault", FAULTS)
def test_a_fault_is_described_and_has_a_test_or_a_reason(fault: str) -> None:
    what, injected, does, shown = rows("Faults")[fault]
    assert what
    assert injected
    assert does
    reason = _TEST.sub("", shown).strip()
    assert _TEST.search(shown) or len(reason) > 20, f"{fault} has neither a test nor a reason"


def test_every_test_that_the_page_names_exists() -> None:
    named = _TEST.findall(PAGE)
    assert len(named) > 60
    missing = [f"{path}::{name}" for path, name in named if name not in defined_in(path)]
    assert missing == []
    assert len(named) == PAGE.count(".py::"), "a test is written in another way than the others"


def test_every_variable_of_a_long_version_is_read_by_its_test() -> None:
    for what, (shown, long) in rows("Shown by").items():
        tests = _TEST.findall(shown)
        assert tests, what
        for variable in re.findall(r"`([A-Z_]+)=", long):
            text = (ROOT / "tests" / tests[0][0]).read_text("utf-8")
            assert f'"{variable}"' in text, f"{what}: {tests[0][0]} does not read {variable}"


def test_no_test_stands_twice_in_a_row() -> None:
    for fault, (*_, shown) in rows("Faults").items():
        names = sorted(_TEST.findall(shown))
        assert all(one != other for one, other in pairwise(names)), fault

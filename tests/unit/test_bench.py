"""The benchmarks can be asked and run; what they measure is for people to judge."""

import argparse
from importlib import import_module

from bench.__main__ import MORE, NAMES, main
from bench.serialising import figures
from tests.tables import every_row


@every_row("name", [*NAMES, *MORE])
def test_every_benchmark_says_what_its_options_are(name):
    benchmark = import_module(f"bench.{name}")
    parser = argparse.ArgumentParser()
    benchmark.add_options(parser)
    assert all(action.help for action in parser._actions)


def test_help_lists_all_benchmarks(capsys):
    main(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert ", ".join((*NAMES, *MORE)) in said


def test_each_kind_of_request_is_measured_as_a_row_of_the_same_columns():
    (table,) = figures(argparse.Namespace(calls=1))
    assert len({tuple(row) for row in table.rows}) == 1
    assert all(row["calls/s"] > 0 and row["bytes"] > 40 for row in table.rows)
    lines = table.text().strip().splitlines()
    assert len(lines) == len(table.rows) + 2

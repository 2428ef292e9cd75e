"""`make corpora`: reads and exercises whole corpora of API descriptions, and holds them against the truth.

    python -m tests.corpora.harness [PATH …]

Without paths it takes the four sets of the shared data, unpacked into a temporary folder. It prints a table by
corpus and then the reasons for every miss, the most frequent first. Exit code 1 when a document is neither read
nor rightly refused, an operation neither listed nor named, or fewer than 98 % of the operations can be called.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from service.usecases import exercising
from tests.corpora.harness_truth import Verdict, compare
from tests.shared import ROOT, shared_json, shared_tar

SETS: Final = ("openapi", "power-platform", "postman", "asyncapi")
FLOOR: Final = 0.98
SLOWEST: Final = 3.0
LARGEST_MB: Final = 300.0

_VARYING: Final = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\d+""")


@dataclass(slots=True)
class Corpus:
    """One set of documents, and what came of it."""

    name: str
    paths: list[str]
    truth: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    lines: list[Mapping[str, Any]] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")
    peak_mb: float = 0.0
    seconds: float = 0.0

    def total(self, name: str) -> int:
        """Return the sum of a count over all documents that were exercised."""
        return sum(line["totals"][name] for line in self.lines if "totals" in line)


def unpacked(name: str, folder: Path) -> Corpus:
    """Unpack one of the shared sets."""
    with shared_tar(f"{name}-dev.tar.xz") as tar:
        tar.extractall(folder / name, filter="data")
    documents = shared_json(f"expected/{name}-dev.json")["documents"]
    truth = {str(folder / name / one["file"]): one for one in documents}
    return Corpus(name=name, paths=list(truth), truth=truth)


def read(corpus: Corpus) -> Iterator[str]:
    """Read all documents in a child process; yield the name of each as it is done."""
    command = [sys.executable, "-m", "tests.corpora.harness_reading"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write("\n".join(corpus.paths).encode())
        child.stdin.close()
        for raw in child.stdout:
            line = msgspec.json.decode(raw)
            corpus.verdicts[line["path"]] = compare(line, corpus.truth.get(line["path"]))
            corpus.slowest = max(corpus.slowest, (line["took"], line["path"]))
            corpus.peak_mb = max(corpus.peak_mb, line["peak_mb"])
            yield line["path"]
    for path in corpus.truth:
        if path not in corpus.verdicts:
            corpus.verdicts[path] = Verdict(miss="the process that read it went down")


def exercise(corpus: Corpus, processes: int) -> Iterator[str]:
    """Exercise all documents; yield the name of each as it is done."""
    jobs = [job for path in corpus.paths for job in exercising.jobs_of(Path(path))]
    for line in exercising.exercise_all(jobs, processes=processes):
        corpus.lines.append(line)
        yield line["path"]


def run(corpora: Sequence[Corpus], console: Console) -> None:
    """Read and exercise all corpora, with a progress bar."""
    processes = os.cpu_count() or 1
    columns = (TextColumn("{task.description:<24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        for corpus in corpora:
            began = time.monotonic()
            for what, steps in (("reading", read(corpus)), ("exercising", exercise(corpus, processes))):
                task = bar.add_task(f"{what} {corpus.name}", total=len(corpus.paths))
                for _ in steps:
                    bar.advance(task)
            corpus.seconds = time.monotonic() - began


def table(corpora: Sequence[Corpus]) -> Table:
    """Return the table by corpus."""
    made = Table(title="API descriptions, read and exercised")
    titles = (
        "corpus", "documents", "read", "rightly refused", "wrong", "operations", "listed", "refused", "triggers",
        "callable", "of", "%", "requests sent", "C# (ok)", "on a bus", "policies", "executable", "slowest s", "peak MB", "seconds",
    )  # fmt: skip
    for title in titles:
        made.add_column(title, justify="left" if title == "corpus" else "right", no_wrap=title == "corpus")
    for one in corpora:
        verdicts = list(one.verdicts.values())
        called = one.total("accepted") + one.total("failed")
        share = f"{100 * exercising.accepted_share(one.lines):.2f}" if called else "-"
        cells = (
            one.name, len(verdicts), sum(v.read for v in verdicts), sum(v.refused_rightly for v in verdicts),
            sum(bool(v.miss) for v in verdicts), sum(v.expected for v in verdicts),
            sum(v.listed for v in verdicts), sum(v.refused for v in verdicts), sum(v.triggers for v in verdicts),
            one.total("accepted"), called, share, f"{one.total('accepted_requests')}/{one.total('requests')}", f"{one.total('code')} ({one.total('code_accepted')})",
            one.total("bus"), f"{sum(v.policies for v in verdicts)}/{sum(v.policies_expected for v in verdicts)}",
            sum(v.policies_executable for v in verdicts), f"{one.slowest[0]:.2f}", f"{one.peak_mb:.0f}",
            f"{one.seconds:.0f}",
        )  # fmt: skip
        made.add_row(*map(str, cells))
    return made


def misses(corpora: Sequence[Corpus]) -> list[tuple[int, str, str]]:
    """Return how often, why, and an example, for everything that is not as it should be."""
    counted: Counter[str] = Counter()
    example: dict[str, str] = {}

    def count(reason: str, where: str) -> None:
        counted[reason] += 1
        example.setdefault(reason, where)

    for corpus in corpora:
        for path, verdict in corpus.verdicts.items():
            if verdict.miss:
                count(
                    f"document: {_VARYING.sub('*', verdict.miss)}",
                    f"{path}: {verdict.miss} {verdict.unlisted[:2]}",
                )
        for line in corpus.lines:
            for one in line.get("operations", ()):
                kind = _kind(one)
                for reason in one["reasons"] if kind else ():
                    text = reason.removeprefix("with what is required: ").removeprefix("with everything: ")
                    count(f"{kind}: {_VARYING.sub('*', text)[:100]}", f"{line['path']} {one['id']}: {reason}")
    return [(number, reason, example[reason]) for reason, number in counted.most_common()]


def _kind(one: Mapping[str, Any]) -> str:
    """Return what kind of miss an operation is, "" for none."""
    if one["accepted"] is None:
        return ""
    if one["accepted"]:
        return "request as written" if one["reasons"] else ""
    return "refused" if one.get("refused") else "needs code" if one.get("needs_code") else "failed"


def failures(corpora: Sequence[Corpus]) -> list[str]:
    """Return which floors are not reached."""
    found = []
    for one in corpora:
        wrong = sum(bool(verdict.miss) for verdict in one.verdicts.values())
        share = exercising.accepted_share(one.lines)
        if wrong:
            found.append(f"{one.name}: {wrong} documents are not as they should be")
        if share < FLOOR:
            found.append(f"{one.name}: only {share:.2%} of the operations can be called")
        if one.slowest[0] > SLOWEST:
            found.append(f"{one.name}: {one.slowest[1]} took {one.slowest[0]:.1f} s")
        if one.peak_mb > LARGEST_MB:
            found.append(f"{one.name}: reading took {one.peak_mb:.0f} MB")
    return found


def main(arguments: Sequence[str]) -> int:
    """Run, print, and return the exit code."""
    console = Console(stderr=True)
    with ExitStack() as stack:
        if arguments:
            corpora = [Corpus(name=Path(one).name, paths=[one]) for one in arguments]
        else:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pointsman-corpora-")))
            try:
                corpora = [unpacked(name, folder) for name in SETS]
            except pytest.skip.Exception as absent:
                console.print(str(absent))
                return 2
        run(corpora, console)
    out = Console(width=None if sys.stdout.isatty() else 220)
    out.print(table(corpora))
    for number, reason, example in misses(corpora):
        out.print(
            f"{number:6}  {reason}\n          {example[:400]}", markup=False, highlight=False, soft_wrap=True
        )
    failed = failures(corpora)
    for one in failed:
        console.print(one, style="red", markup=False)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Broken, odd and hostile descriptions: each is read, or refused with its place, in time and without touching anything.

1,586 fixtures of other parsers and 57 attacks of our own. No socket is opened, no file, no process; what a
reference asks for is asked of the bundle only, and never leads above it.
"""

import functools
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from pytest_socket import disable_socket, enable_socket
from typing_extensions import override

from actions.specs import READERS
from actions.specs.model import Spec
from tests.corpora import corpus

CHUNKS = 8
"""Parts of the set, so that several processes can share the work."""

_WATCHED = (
    "open",
    "socket.connect",
    "socket.getaddrinfo",
    "subprocess.Popen",
    "os.system",
    "os.listdir",
    "os.scandir",
    "exec",
)


class Watch:
    """Collects what is done to the outside world while it is on."""

    def __init__(self) -> None:
        self.on = False
        self.seen: list[str] = []
        sys.addaudithook(self._note)  # for ever: hence the switch

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.on and event in _WATCHED:
            self.seen.append(f"{event} {str(arguments)[:200]}")

    @contextmanager
    def watching(self) -> Iterator[list[str]]:
        self.seen = []
        self.on = True
        try:
            yield self.seen
        finally:
            self.on = False


watch = functools.cache(Watch)


class Bundle(Mapping[str, bytes]):
    """The files beside a root, by their path from its folder, and what was asked for."""

    def __init__(self, root: str) -> None:
        self.prefix = root.rpartition("/")[0] + "/"
        self.asked: set[str] = set()

    @override
    def __getitem__(self, name: str) -> bytes:
        self.asked.add(name)
        return corpus.files("hostile")[self.prefix + name]

    @override
    def __contains__(self, name: object) -> bool:
        return f"{self.prefix}{name}" in corpus.files("hostile")

    @override
    def __iter__(self) -> Iterator[str]:
        beside = (
            path[len(self.prefix) :] for path in corpus.files("hostile") if path.startswith(self.prefix)
        )
        return (name for name in beside if "/" not in name)

    @override
    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass
class Result:
    """What became of one document."""

    document: Mapping[str, Any]
    spec: Spec
    outside: list[str] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        return str(self.document["file"])


@functools.cache
def results(chunk: int) -> list[Result]:
    """Read a part of the set, watched, as a person who gives each file to the product would."""
    corpus.files("hostile")
    for target in READERS.values():
        pkgutil.resolve_name(target)  # what imports, imports now
    disable_socket(allow_unix_socket=True)
    found = []
    for document in corpus.expected("hostile")[chunk::CHUNKS]:
        files = Bundle(document["file"])
        with watch().watching() as outside:
            spec = corpus.read(files, document["file"].removeprefix(files.prefix))
            for one in spec.operations.values():
                msgspec.json.encode(
                    [spec.input_schema(one), spec.output_schemas(one), spec.degradations(one)]
                )
        imports = [what for what in outside if ".py" in what]  # readers are imported when they are needed
        found.append(Result(document, spec, [what for what in outside if what not in imports], files.asked))
    enable_socket()
    return found


chunks = pytest.mark.parametrize("chunk", range(CHUNKS))


@chunks
def test_nothing_outside_is_touched(chunk: int) -> None:
    for one in results(chunk):
        assert one.outside == [], one.name
        leading = [
            name for name in one.asked if name.startswith(("/", "..")) or ":" in name or "/../" in name
        ]
        assert leading == [], one.name


@chunks
def test_what_is_broken_is_refused_with_its_line(chunk: int) -> None:
    for one in results(chunk):
        if one.document["parse"] == "broken" and not one.spec.readable:
            errors = [finding for finding in one.spec.findings if finding.severity == "error"]
            assert errors, one.name
            assert all(finding.line and finding.column and finding.file for finding in errors), one.name
        elif one.document["parse"] == "broken":
            assert one.spec.findings, one.name  # reading it anyway is as good, with a warning


@chunks
def test_what_is_no_description_is_called_so(chunk: int) -> None:
    for one in results(chunk):
        if one.document["dialect"] == "other":
            assert not one.spec.readable, one.name
            last = one.spec.findings[-1]
            assert last.code == "no-description", one.name
            assert last.message.startswith("not an API description: it "), one.name
            assert last.fix, one.name


@chunks
def test_what_was_forgiven_is_said(chunk: int) -> None:
    for one in results(chunk):
        if one.document["parse"] == "lenient":
            assert one.spec.findings, one.name


@chunks
def test_every_description_is_read_and_every_operation_listed_or_named(chunk: int) -> None:
    for one in results(chunk):
        dialect = one.document["dialect"]
        if one.document["parse"] == "broken" or dialect in {"other", "openapi-other"}:
            continue
        assert one.spec.readable, one.name
        if dialect.startswith("postman"):
            presets = {
                preset.name for operation in one.spec.operations.values() for preset in operation.presets
            }
            said = " ".join(finding.message for finding in one.spec.findings)
            lost = [
                name for _, _, name in one.document["ops"] if name not in presets and str(name) not in said
            ]
        else:
            lost = corpus.missing(one.spec, one.document)
        assert lost == [], one.name


@chunks
def test_what_is_of_an_unknown_version_names_its_operations(chunk: int) -> None:
    for one in results(chunk):
        if one.document["dialect"] == "openapi-other":
            assert not one.spec.readable, one.name
            assert corpus.missing(one.spec, one.document) == [], one.name


def test_the_set_is_whole() -> None:
    documents = corpus.expected("hostile")
    assert len(documents) == 1_586
    assert sum(len(document.get("ops", ())) for document in documents) > 16_000


@chunks
def test_references_between_files_are_followed(chunk: int) -> None:
    several = [one for one in results(chunk) if len(one.spec.registry.files.documents) > 1]
    assert len(several) > 5

"""Every Postman collection of the shared data is read; every request in it is listed by method, URL and name.

Nothing crashes, hangs or opens a socket; no credential of a collection comes out of its reading.
"""

import posixpath
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from pytest_socket import disable_socket, enable_socket

from actions.errors import Refused
from actions.serialize import compile_operation, expand_server
from actions.specs import read_spec
from actions.specs.filling import fill
from actions.specs.model import Operation, Preset, Spec
from actions.specs.postman.variables import names
from tests.shared import shared_json, shared_tar

SET = "expected/postman-dev.json"
CHUNKS = 4
GENERATED = {"$randomInt": "5", "$timestamp": "5"}  # where they are parameters
LIMIT = 10.0  # seconds of CPU a document
Documents = list[tuple[str, Spec, dict[str, Any]]]


@pytest.fixture(scope="module", autouse=True)
def _no_network() -> Iterator[None]:
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    with shared_tar("postman-dev.tar.xz") as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}


@pytest.fixture(scope="module", params=range(CHUNKS))
def documents(request: pytest.FixtureRequest, files: dict[str, bytes]) -> Documents:
    """Read every document with the files of its folder beside it."""
    found = []
    for expected in shared_json(SET)["documents"][request.param :: CHUNKS]:
        name = expected["file"]
        folder = posixpath.dirname(name)
        beside = {other: data for other, data in files.items() if posixpath.dirname(other) == folder}
        began = time.thread_time()
        spec = read_spec(beside, name)
        assert time.thread_time() - began < LIMIT, name
        found.append((name, spec, expected))
    return found


def collections(documents: Documents) -> Documents:
    return [one for one in documents if one[2]["dialect"] in ("postman1", "postman2.0", "postman2.1")]


def presets(spec: Spec) -> Iterator[tuple[Operation, Preset]]:
    for operation in spec.operations.values():
        for preset in operation.presets:
            yield operation, preset


def written(preset: Preset) -> tuple[str, str, str | None]:
    return preset.method.strip().upper(), preset.url, preset.extras.get("name", preset.name)


def test_every_collection_is_read_and_nothing_else(documents: Documents) -> None:
    for name, spec, expected in documents:
        if expected["dialect"].startswith("postman") and expected["dialect"] != "postman-environment":
            assert spec.readable, name
            assert spec.dialect == expected["dialect"], name
        else:
            assert not spec.readable, name


def test_an_environment_is_said_to_be_one(documents: Documents) -> None:
    for name, spec, expected in documents:
        if expected["dialect"] == "postman-environment":
            assert "environment" in spec.findings[-1].message, name


def test_every_request_is_listed_as_it_is_written(documents: Documents) -> None:
    for name, spec, expected in collections(documents):
        listed = Counter(written(preset) for _, preset in presets(spec))
        assert listed == Counter(tuple(one) for one in expected["ops"]), name


def test_presets_of_an_operation_have_names_of_their_own(documents: Documents) -> None:
    for name, spec, _ in collections(documents):
        for operation in spec.operations.values():
            called = [preset.name for preset in operation.presets]
            assert len(set(called)) == len(called), (name, operation.id)


def test_findings_have_their_place(documents: Documents) -> None:
    for name, spec, _ in documents:
        for finding in spec.findings:
            assert finding.message
            assert finding.file == name
            assert finding.line
            assert finding.column


def test_only_requests_without_a_url_are_refused(documents: Documents) -> None:
    problems = [
        operation.problem
        for _, spec, _ in documents
        for operation in spec.operations.values()
        if operation.problem
    ]
    assert [problem for problem in problems if "has no URL" not in problem] == []


def test_urls_are_resolved_or_what_is_missing_is_named(documents: Documents) -> None:
    """A preset can be called when its server, its arguments and the connection's parameters are known by name."""
    for name, spec, _ in collections(documents):
        for operation, preset in presets(spec):
            servers = spec.servers_of(operation)
            known = {*(variable for server in servers for variable in server.variables), *spec.parameters}
            known |= {parameter.name for parameter in operation.parameters}
            open_ = {
                one
                for one in names(msgspec.json.encode(preset.arguments).decode())
                if not one.startswith("$")
            }
            assert open_ <= known, (name, preset.name)
            unsaid = {parameter.name for parameter in operation.parameters if parameter.location == "path"}
            given = preset.arguments.get("path", {}) if operation.grouped else preset.arguments
            assert unsaid <= {*given, *preset.extras.get("missing", ()), *_hinted(operation)}, (
                name,
                preset.name,
            )


def _hinted(operation: Operation) -> set[str]:
    return {one.name for one in operation.parameters if not one.schema.get("examples")}


def test_presets_make_requests(documents: Documents) -> None:
    made = unmade = 0
    for name, spec, _ in collections(documents):
        for operation in spec.operations.values():
            if operation.problem:
                continue
            compiled = compile_operation(operation, spec, _place(spec, operation))
            msgspec.json.encode([spec.standalone(spec.input_schema(operation)), spec.degradations(operation)])
            for preset in operation.presets:
                problems = _problems(compiled, fill(preset.arguments, GENERATED))
                assert [text for text in problems if "is required" not in text] == [], (name, preset.name)
                made, unmade = made + (not problems), unmade + bool(problems)
    assert made > 20 * unmade


def _problems(compiled: Callable[[dict[str, Any]], object], arguments: dict[str, Any]) -> list[str]:
    try:
        compiled(arguments)
    except Refused as refused:
        return [text for _, text in refused.problems]
    return []


def _place(spec: Spec, operation: Operation) -> str:
    try:
        return expand_server(spec.servers_of(operation)[0], {})
    except (Refused, IndexError):  # a variable that the connection has to give, or no place at all
        return "https://api.example"


def test_nothing_that_a_collection_holds_of_credentials_comes_out(documents: Documents) -> None:
    for name, spec, _ in collections(documents):
        schemes = repr(spec.security_schemes)
        root = spec.registry.root
        for secret in _secrets(root):
            assert secret not in schemes, name


def _secrets(root: Any) -> Iterator[str]:
    stack = [root]
    while stack:
        one = stack.pop()
        if isinstance(one, dict):
            if one.get("key") in ("password", "token", "consumerSecret", "accessToken") and "{{" not in str(
                one.get("value")
            ):
                value = str(one.get("value") or "")
                if len(value) > 8:
                    yield value
            stack.extend(one.values())
        elif isinstance(one, list):
            stack.extend(one)


def test_ids_survive_any_order(documents: Documents) -> None:
    for name, spec, expected in collections(documents):
        root = spec.registry.root
        if expected["bytes"] > 100_000 or not isinstance(root.get("item"), list):
            continue
        first, second = (
            read_spec({"c.json": msgspec.json.encode({**root, "item": items})})
            for items in (root["item"], root["item"][::-1])
        )
        paths = Counter((found.method, found.path) for found in first.operations.values())
        if max(paths.values(), default=0) == 1:
            assert set(first.operations) == set(second.operations), name

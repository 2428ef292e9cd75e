"""Every Swagger 2 description of the shared data is read; every operation in it is listed, or named with a reason."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from pytest_socket import disable_socket, enable_socket

from actions.specs.model import Spec
from tests.corpora.corpus import expected, files, missing, read, sent

PARTS = 3
Read = tuple[str, Spec, dict[str, Any]]


@pytest.fixture(scope="module", autouse=True)
def _no_network() -> Iterator[None]:
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()


def documents(name: str, part: int | None = None) -> list[Read]:
    found = [one for one in expected(name) if one.get("dialect") == "swagger2"]
    assert found
    return [
        (one["file"], read({one["file"]: files(name)[one["file"]]}), one)
        for index, one in enumerate(found)
        if part is None or index % PARTS == part
    ]


@pytest.fixture(scope="module", params=range(PARTS))
def part(request: pytest.FixtureRequest) -> list[Read]:
    return documents("openapi", request.param)


@pytest.fixture(scope="module")
def hostile() -> list[Read]:
    return documents("hostile")


def test_every_description_is_read_and_every_operation_listed(part: list[Read]) -> None:
    assert [name for name, spec, _ in part if not spec.readable or spec.dialect != "swagger2"] == []
    assert {name: lost for name, spec, want in part if (lost := missing(spec, want))} == {}


def test_no_operation_of_a_published_description_is_refused(part: list[Read]) -> None:
    assert [one.problem for _, spec, _ in part for one in spec.operations.values() if one.problem] == []


def test_original_operation_ids_find_their_operations(part: list[Read]) -> None:
    for name, spec, want in part:
        for method, path, operation_id in want["ops"] if not want["duplicate_operation_ids"] else ():
            if operation_id and operation_id.strip():
                found = spec.find(operation_id.strip())
                assert found is not None, (name, operation_id)
                assert (found.method, found.path) == (method, path)


def test_servers_and_security_agree_with_the_counter(part: list[Read]) -> None:
    for name, spec, want in part:
        schemes = [one for one in spec.security_schemes.values() if one.problem != "is not declared"]
        assert len(schemes) == want["security_schemes"], name
        if not any(one.variables for one in spec.servers):  # the counter does not read parameterised hosts
            assert [one.url for one in spec.servers] == want["servers"], name


def test_every_operation_compiles_or_says_why_not(part: list[Read]) -> None:
    for _, spec, _ in part:
        sent(spec)


def test_ids_survive_any_order_of_the_paths(part: list[Read]) -> None:
    for name, spec, _ in part:
        if name.endswith(".json"):
            document = msgspec.json.decode(files("openapi")[name])
            document["paths"] = dict(reversed(document["paths"].items()))
            again = read({name: msgspec.json.encode(document)})
            assert {id_: one.pointer for id_, one in again.operations.items()} == {
                id_: one.pointer for id_, one in spec.operations.items()
            }


def test_hostile_descriptions_are_read_around_what_is_wrong(hostile: list[Read]) -> None:
    assert len(hostile) > 100
    assert [name for name, spec, _ in hostile if not spec.readable] == []
    assert {name: lost for name, spec, want in hostile if (lost := missing(spec, want))} == {}
    for _, spec, _ in hostile:
        sent(spec)

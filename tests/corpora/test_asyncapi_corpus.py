"""Every AsyncAPI description of versions 2 and 3 in the shared data is read; everything in it is listed or named.

The truth beside the data counts verbs: `publish` and `receive` are what we send, `subscribe` and `send` what we get.
"""

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, Literal

import msgspec
import pytest
from pytest_socket import disable_socket, enable_socket

from actions.errors import Refused
from actions.publishing import compile_publication
from actions.specs import read_spec
from actions.specs.model import Spec
from tests.shared import shared_json, shared_tar

READ = {"asyncapi2", "asyncapi3"}
LIMIT = 10.0  # seconds a document
BUSES: tuple[Literal["kafka", "amqp"], ...] = ("kafka", "amqp")
Documents = list[tuple[str, Spec, dict[str, Any]]]


@pytest.fixture(scope="module", autouse=True)
def _no_network() -> Iterator[None]:
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()


@pytest.fixture(scope="module")
def documents() -> Documents:
    found = []
    with shared_tar("asyncapi-dev.tar.xz") as tar:
        for expected in shared_json("expected/asyncapi-dev.json")["documents"]:
            member = tar.extractfile(expected["file"])
            assert member is not None
            began = time.perf_counter()
            spec = read_spec({expected["file"]: member.read()})
            assert time.perf_counter() - began < LIMIT, expected["file"]
            found.append((expected["file"], spec, expected))
    return found


def ours(documents: Documents) -> Documents:
    return [one for one in documents if one[2]["dialect"] in READ]


def test_every_description_of_2_and_3_is_read(documents: Documents) -> None:
    assert len(ours(documents)) == 42
    assert [name for name, spec, _ in ours(documents) if not spec.readable] == []
    assert {spec.dialect for _, spec, _ in ours(documents)} == READ
    assert all(spec.dialect == expected["dialect"] for _, spec, expected in ours(documents))


def test_version_1_is_said_to_come_later(documents: Documents) -> None:
    others = [spec for _, spec, expected in documents if expected["dialect"] not in READ]
    assert len(others) == 102
    assert {spec.findings[-1].code for spec in others} == {"format-not-yet"}


def test_every_verb_is_an_operation_or_a_trigger(documents: Documents) -> None:
    sent = received = 0
    for name, spec, expected in ours(documents):
        verbs = Counter(verb for verb, _, _ in expected["ops"])
        callable_ = (
            verbs["publish"] + verbs["receive"] + verbs["send"]
        )  # of version 3 both: it may describe us
        assert len(spec.operations) == callable_, name
        assert len(spec.triggers) == verbs["subscribe"] + verbs["send"], name
        sent += len(spec.operations)
        received += len(spec.triggers)
    assert (sent, received) == (402, 385)


def test_original_ids_and_addresses_find_their_operations(documents: Documents) -> None:
    for name, spec, expected in ours(documents):
        for verb, channel, id_ in expected["ops"]:
            if verb == "publish":
                assert spec.find(id_ or f"PUBLISH {channel}") is not None, (name, channel)
            elif verb in ("receive", "send"):
                assert spec.find(id_) is not None, (name, id_)
            else:
                assert any(channel in (one.address, *one.aliases) for one in spec.triggers.values()), (
                    name,
                    channel,
                )


def test_every_operation_can_be_composed_or_says_why_not(documents: Documents) -> None:
    problems = [
        one.problem for _, spec, _ in ours(documents) for one in spec.operations.values() if one.problem
    ]
    assert problems == []
    refused: list[str] = []
    for _, spec, _ in ours(documents):
        for one in spec.operations.values():
            msgspec.json.encode([spec.standalone(spec.input_schema(one)), spec.degradations(one)])
            for bus in BUSES:
                compose = compile_publication(one, spec, bus)
                parts = {part.name: "x" for part in one.parameters if part.location == "path"}
                given: dict[str, Any] = {"path": parts} if one.grouped else dict(parts)
                if one.body is not None:
                    given["body"] = {}
                try:
                    assert compose(given).address
                except Refused as error:
                    refused += [text for _, text in error.problems]
    assert all("but must be one of" in text for text in refused)  # "x" is not in every `enum`
    assert len(refused) < 30


def test_findings_have_their_place(documents: Documents) -> None:
    for name, spec, _ in documents:
        for finding in spec.findings:
            assert finding.message
            assert finding.file == name
            assert finding.line


def test_ids_survive_any_order_of_the_channels(documents: Documents) -> None:
    with shared_tar("asyncapi-dev.tar.xz") as tar:
        for name, spec, expected in ours(documents):
            if expected["bytes"] > 100_000:
                continue
            member = tar.extractfile(name)
            assert member is not None
            document = read_spec({name: member.read()}).registry.root
            turned = {**document}
            for key in ("channels", "operations"):
                if isinstance(turned.get(key), dict):
                    turned[key] = dict(reversed(turned[key].items()))
            again = read_spec({"a.json": msgspec.json.encode(turned)})
            assert {id_: one.pointer for id_, one in again.operations.items()} == {
                id_: one.pointer for id_, one in spec.operations.items()
            }, name

"""Every AsyncAPI description of the shared data is read; everything in it is listed or named.

The truth beside the data counts verbs: `publish` and `receive` are what we send, `subscribe` and `send` what we get.
Messages of version 1 that stand on no topic are not in it.
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

READ = {"asyncapi1", "asyncapi2", "asyncapi3"}
TOPICLESS = {"READ", "WRITE", "RECEIVE", "SEND"}
BARE = {"REPLY", "CHANNEL"}
"""Channels of version 3 that no operation names; the truth counts operations."""
LIMIT = 10.0  # seconds of CPU a document
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
            began = time.thread_time()
            spec = read_spec({expected["file"]: member.read()})
            assert time.thread_time() - began < LIMIT, expected["file"]
            found.append((expected["file"], spec, expected))
    return found


def test_every_description_is_read(documents: Documents) -> None:
    assert len(documents) == 144
    assert [name for name, spec, _ in documents if not spec.readable] == []
    assert {spec.dialect for _, spec, _ in documents} == READ
    assert all(spec.dialect == expected["dialect"] for _, spec, expected in documents)


def test_an_api_without_topics_has_its_messages(documents: Documents) -> None:
    """The events of the version that we send over an open connection are listed and refused."""
    streams = events = refused = 0
    for name, spec, _ in documents:
        root = spec.registry.root
        if spec.dialect != "asyncapi1":
            continue
        methods = Counter(one.method for one in spec.triggers.values())
        assert methods["READ"] == len(root.get("stream", {}).get("read", [])), name
        assert methods["RECEIVE"] == len(root.get("events", {}).get("receive", [])), name
        streams, events = streams + methods["READ"], events + methods["RECEIVE"]
        refused += sum(bool(one.problem) for one in spec.operations.values())
    assert (streams, events, refused) == (98, 10, 9)


def test_events_of_a_channel_are_told_by_their_identifier(documents: Documents) -> None:
    told = {name: spec for name, spec, expected in documents if expected["event_identifier"]}
    events = {
        (name, event)
        for name, spec in told.items()
        for one in spec.triggers.values()
        for event in one.extras.get("events", ())
    }
    assert len(told) >= 5
    assert len(events) > 80
    for name, spec in told.items():
        assert {one.extras["identifier"]["type"] for one in spec.triggers.values()} == {"body"}, name


def test_every_verb_is_an_operation_or_a_trigger(documents: Documents) -> None:
    sent = received = 0
    for name, spec, expected in documents:
        verbs = Counter(verb for verb, _, _ in expected["ops"])
        callable_ = (
            verbs["publish"] + verbs["receive"] + verbs["send"]
        )  # of version 3 both: it may describe us
        bare = spec.dialect == "asyncapi3"
        operations = [
            one
            for one in spec.operations.values()
            if not one.problem and not (bare and one.pointer.startswith("/channels"))
        ]
        triggers = [one for one in spec.triggers.values() if one.method not in (BARE if bare else TOPICLESS)]
        assert len(operations) == callable_, name
        assert len(triggers) == verbs["subscribe"] + verbs["send"], name
        sent += len(operations)
        received += len(triggers)
    assert (sent, received) == (404, 524)


def test_original_ids_and_addresses_find_their_operations(documents: Documents) -> None:
    for name, spec, expected in documents:
        for verb, channel, id_ in expected["ops"]:
            if verb == "publish":
                assert spec.find(id_ or f"PUBLISH {channel}") is not None, (name, channel)
            elif verb in ("receive", "send"):
                assert spec.find(id_) is not None, (name, id_)
            else:
                assert any(
                    channel in (one.address, one.name, *one.aliases) for one in spec.triggers.values()
                ), (
                    name,
                    channel,
                )


def test_every_operation_can_be_composed_or_says_why_not(documents: Documents) -> None:
    problems = [one.problem for _, spec, _ in documents for one in spec.operations.values() if one.problem]
    assert [one for one in problems if "connection that stays open" not in one] == []
    refused: list[str] = []
    for _, spec, _ in documents:
        for one in spec.operations.values():
            if one.problem:
                continue
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
        for name, spec, expected in documents:
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

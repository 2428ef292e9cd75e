"""The request for topic ids, byte by byte."""

import struct
import uuid
from io import BytesIO

import pytest

from triggers.kafka.wire import Metadata, MetadataRequest, Node, Topic, Unspoken, read

TOPIC = uuid.UUID("d7a445d6-5620-4ea1-824c-9691f4c22a0c")


def compact(text: str | None) -> bytes:
    return b"\x00" if text is None else bytes([len(text) + 1]) + text.encode()


def answer(*topics: bytes) -> bytes:
    node = struct.pack(">i", 1) + compact("localhost") + struct.pack(">i", 9092) + compact(None) + b"\x00"
    head = struct.pack(">i", 0) + b"\x02" + node + compact("cluster") + struct.pack(">i", 1)
    return head + bytes([len(topics) + 1]) + b"".join(topics) + b"\x00"


def topic(name: str | None, error: int = 0, identity: uuid.UUID = TOPIC) -> bytes:
    part = struct.pack(">hiii", 0, 0, 1, 4) + b"\x02\x00\x00\x00\x01" * 2 + b"\x01" + b"\x01\x05\x02xy"
    return (
        struct.pack(">h", error)
        + compact(name)
        + identity.bytes
        + b"\x00"
        + b"\x02"
        + part
        + struct.pack(">i", -(2**31))
        + b"\x00"
    )


def test_topics_are_asked_for_by_name_and_never_made() -> None:
    request = MetadataRequest(["ab"])
    assert request.encode() == b"\x02" + bytes(16) + b"\x03ab\x00" + b"\x00" + b"\x00" + b"\x00"
    assert MetadataRequest([]).encode() == b"\x01\x00\x00\x00"
    assert MetadataRequest(None).encode() == b"\x00\x00\x00\x00"


def test_headers_are_those_of_a_flexible_version() -> None:
    request = MetadataRequest(None)
    assert request.build_request_header(7, "me").encode() == struct.pack(">hhih", 3, 12, 7, 2) + b"me\x00"
    assert request.parse_response_header(BytesIO(struct.pack(">i", 7) + b"\x00")).correlation_id == 7


def test_a_broker_that_does_not_know_the_version_is_not_asked() -> None:
    request = MetadataRequest(None)
    assert request.prepare({3: (0, 13)}) is request
    for versions in ({3: (0, 11)}, {3: (13, 14)}, {}):
        with pytest.raises(Unspoken):
            request.prepare(versions)


def test_an_answer_is_read_with_whatever_tags_it_has() -> None:
    found = read(BytesIO(answer(topic("orders"), topic("gone", error=3, identity=uuid.UUID(int=0)))))
    assert found == Metadata(
        "cluster",
        {1: Node(1, "localhost", 9092)},
        {"orders": Topic("orders", str(TOPIC), 0, {0: 1}), "gone": Topic("gone", "", 3, {0: 1})},
    )


def test_long_lists_have_long_lengths() -> None:
    names = [f"topic-{number:03}" for number in range(300)]
    assert MetadataRequest(names).encode().startswith(b"\xad\x02")

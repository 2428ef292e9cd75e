"""One request of Kafka's protocol that aiokafka does not have: Metadata, version 12. Pure.

It is the first that most clusters speak (3.1 and later) which gives topics their ids, and so the one way to
tell a topic from another that was made later under the same name. It never lets a broker create a topic.

The objects have the methods that `aiokafka.conn.AIOKafkaConnection.send` calls on its own requests.
"""

import struct
import uuid
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import ClassVar, Final

import msgspec

API_KEY: Final = 3
API_VERSION: Final = 12

_NO_TAGS: Final = b"\x00"


class Node(msgspec.Struct, frozen=True):
    """A broker and the address that it advertises."""

    id: int
    host: str
    port: int


class Topic(msgspec.Struct, frozen=True):
    """A topic: its id ("" unknown), the leader of each partition (-1: none), and an error code."""

    name: str
    id: str
    error: int
    leaders: dict[int, int]
    internal: bool = False


class Metadata(msgspec.Struct, frozen=True):
    """What a cluster says of itself."""

    cluster: str
    nodes: dict[int, Node]
    topics: dict[str, Topic]


class Unspoken(Exception):
    """A broker does not speak this version."""


class _Header:
    """The header of a request: it encodes to the bytes that were made for it."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def encode(self) -> bytes:
        return self._raw


class _Answered:
    """The header of an answer."""

    def __init__(self, correlation_id: int) -> None:
        self.correlation_id = correlation_id


class _Body:
    """Decodes the body of the answer."""

    API_VERSION: ClassVar[int] = API_VERSION

    @staticmethod
    def decode(body: BytesIO) -> Metadata:
        return read(body)


class MetadataRequest:
    """Asks for the named topics; for all of them when `topics` is None."""

    API_KEY: ClassVar[int] = API_KEY
    API_VERSION: ClassVar[int] = API_VERSION
    RESPONSE_TYPE: ClassVar[type[_Body]] = _Body

    def __init__(self, topics: Sequence[str] | None) -> None:
        self._topics = topics

    def prepare(self, versions: Mapping[int, tuple[int, int]]) -> "MetadataRequest":
        """Return what is to be sent. Raise Unspoken when the broker does not know this version."""
        low, high = versions.get(API_KEY, (0, 0))
        if not low <= API_VERSION <= high:
            raise Unspoken(f"the broker speaks metadata {low} to {high}")
        return self

    def build_request_header(self, correlation_id: int, client_id: str) -> _Header:
        """Return the header of a flexible request."""
        name = client_id.encode()
        fixed = struct.pack(">hhih", API_KEY, API_VERSION, correlation_id, len(name))
        return _Header(fixed + name + _NO_TAGS)

    def parse_response_header(self, answer: BytesIO) -> _Answered:
        """Read the header of a flexible answer."""
        (correlation_id,) = struct.unpack(">i", answer.read(4))
        _skip_tags(answer)
        return _Answered(correlation_id)

    def encode(self) -> bytes:
        """Return the body: the topics, no creation, no lists of what is permitted."""
        if self._topics is None:
            named = _varint(0)
        else:
            named = _varint(len(self._topics) + 1) + b"".join(
                bytes(16) + _compact(topic) + _NO_TAGS for topic in self._topics
            )
        return named + b"\x00\x00" + _NO_TAGS


def read(body: BytesIO) -> Metadata:
    """Read the body of an answer."""
    body.read(4)  # throttle time
    nodes = {}
    for _ in range(_length(body)):
        (node,) = struct.unpack(">i", body.read(4))
        host = _string(body)
        (port,) = struct.unpack(">i", body.read(4))
        _string(body)  # rack
        _skip_tags(body)
        nodes[node] = Node(node, host, port)
    cluster = _string(body)
    body.read(4)  # controller
    topics = {}
    for _ in range(_length(body)):
        topic = _read_topic(body)
        topics[topic.name] = topic
    return Metadata(cluster, nodes, topics)


def _read_topic(body: BytesIO) -> Topic:
    (error,) = struct.unpack(">h", body.read(2))
    name = _string(body)
    identity = uuid.UUID(bytes=body.read(16))
    internal = body.read(1) != b"\x00"
    leaders = {}
    for _ in range(_length(body)):
        _, partition, leader, _ = struct.unpack(">hiii", body.read(14))
        for _ in range(3):  # replicas, replicas in sync, replicas offline
            body.read(4 * _length(body))
        _skip_tags(body)
        leaders[partition] = leader
    body.read(4)  # what is permitted
    _skip_tags(body)
    return Topic(name, str(identity) if identity.int else "", error, leaders, internal)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(body: BytesIO) -> int:
    value = shift = 0
    while True:
        byte = body.read(1)[0]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value
        shift += 7


def _compact(text: str) -> bytes:
    raw = text.encode()
    return _varint(len(raw) + 1) + raw


def _length(body: BytesIO) -> int:
    """Read the length of a compact array; a null one is empty."""
    return max(_read_varint(body) - 1, 0)


def _string(body: BytesIO) -> str:
    """Read a compact string; a null one is empty."""
    return body.read(max(_read_varint(body) - 1, 0)).decode("utf-8")


def _skip_tags(body: BytesIO) -> None:
    for _ in range(_read_varint(body)):
        _read_varint(body)
        body.read(_read_varint(body))

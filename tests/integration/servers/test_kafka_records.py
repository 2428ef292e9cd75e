"""What stands in a Kafka log becomes messages, or rejects with their bytes; a partition always goes on."""

import struct
from typing import Any

import pytest
from aiokafka import codec as aiokafka_codec
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from tests.integration.servers.kafka_runs import Runs, eventually, idle
from tests.servers import unique
from tests.servers.kafka_room import KafkaRoom


@pytest.fixture
async def runs(kafka, kafka_topic) -> Runs:
    return Runs(KafkaRoom(kafka.bootstrap), await kafka_topic(prefix="records"))


async def test_a_record_carries_what_the_transport_knew(runs: Runs) -> None:
    await runs.room.produce(
        runs.topic,
        [b'{"n": 1}'],
        key=b"k-1",
        headers=[("trace", b"a"), ("trace", b"b"), ("raw", b"\xff\x00"), ("api-key", b"secret")],
        timestamp=1_700_000_000_123,
    )
    async with runs.run():
        await runs.values(1)
    (message,) = runs.emitted.messages
    async with runs.room.cluster() as cluster:
        identity = (await cluster.metadata([runs.topic])).cluster
    assert message.id == f"{identity}/{runs.topic}/0/0"
    assert message.source == "/sources/orders"
    assert message.type == "kafka.record"
    assert message.time == "2023-11-14T22:13:20.123Z"
    assert message.format == "json"
    assert message.datacontenttype == "application/json"
    assert message.meta == {
        "kind": "kafka",
        "topic": runs.topic,
        "partition": 0,
        "offset": 0,
        "timestamp": 1_700_000_000_123,
        "key": "k-1",
        "headers": {"trace": ["a", "b"], "raw": {"base64": "/wA="}},
    }


async def test_tombstones_null_keys_binary_keys_and_large_records_become_messages(runs: Runs) -> None:
    large = b"x" * 900 * 1024
    await runs.room.produce(runs.topic, [None], key=b"\xfe\xff")
    await runs.room.produce(runs.topic, [large], key=None, max_request_size=2**21)
    await runs.room.produce(runs.topic, [b""])
    await runs.room.produce(runs.topic, [b"\x80\x81"])
    await runs.room.produce(runs.topic, [b"after"])
    await runs.read(5)
    tombstone, big, empty, binary, after = runs.emitted.messages
    assert (tombstone.data, tombstone.format, tombstone.meta["tombstone"]) == (None, "none", True)
    assert tombstone.meta["key"] == {"base64": "/v8="}
    assert (big.data, big.format) == (large, "text")
    assert "key" not in big.meta
    assert (empty.data, empty.format, "tombstone" in empty.meta) == (None, "none", False)
    assert (binary.data, binary.format) == (b"\x80\x81", "binary")
    assert after.data == b"after"


async def test_cloudevents_keep_their_attributes_in_both_modes(runs: Runs) -> None:
    attributes = {
        "id": "e-1",
        "source": "/shop",
        "type": "order.paid",
        "specversion": "1.0",
        "traceparent": "00-x",
    }
    binary = [(f"ce_{name}", text.encode()) for name, text in attributes.items()]
    await runs.room.produce(
        runs.topic, [b'{"a": 1}'], headers=[*binary, ("content-type", b"application/json"), ("x", b"y")]
    )
    structured = b'{"specversion":"1.0","id":"e-2","source":"/shop","type":"order.paid","data":{"a":1.10}}'
    await runs.room.produce(
        runs.topic, [structured], headers=[("content-type", b"application/cloudevents+json; charset=UTF-8")]
    )
    await runs.room.produce(
        runs.topic, [b'{"specversion":"1.0"}'], headers=[("content-type", b"application/cloudevents+json")]
    )
    await runs.read(2)
    first, second = runs.emitted.messages
    assert (first.id, first.source, first.type, first.extensions) == (
        "e-1",
        "/shop",
        "order.paid",
        {"traceparent": "00-x"},
    )
    assert first.meta["headers"] == {"content-type": "application/json", "x": "y"}
    assert (second.id, second.data) == ("e-2", b'{"a":1.10}')
    (reject,) = runs.emitted.rejects
    assert (reject.reason, reject.data) == ("invalid-cloudevent", b'{"specversion":"1.0"}')


async def test_what_was_aborted_is_not_read_and_markers_leave_nothing_pending(runs: Runs) -> None:
    async with runs.room.producer(transactional_id=unique("tx")) as producer:
        async with producer.transaction():
            await producer.send_and_wait(runs.topic, b"kept")
        await producer.begin_transaction()
        await producer.send_and_wait(runs.topic, b"aborted")
        await producer.abort_transaction()
    async with runs.run() as running:
        assert await runs.values(1) == [b"kept"]
        progress = await idle(running)  # the position has moved over three markers and an aborted record
        assert progress.position == f"{runs.topic}/0=4"
        await eventually(lambda: runs.room.committed(runs.group, runs.topic), lambda at: at == 4)
    assert len(runs.emitted.messages) == 1


async def test_gzip_batches_are_read(runs: Runs) -> None:
    await runs.room.produce(runs.topic, [b"a" * 1000, b"b"], compression_type="gzip", linger_ms=50)
    assert await runs.read(2) == [b"a" * 1000, b"b"]


async def test_a_batch_of_a_codec_that_is_not_there_becomes_a_reject_and_the_partition_goes_on(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aiokafka_codec, "cramjam", None)  # as where it is not installed
    await runs.room.produce(runs.topic, [b"before"])
    await produce_raw(runs, compressed(batch([b"one", b"two"])))
    await runs.room.produce(runs.topic, [b"after"])
    assert await runs.read(2) == [b"before", b"after"]
    (reject,) = runs.emitted.rejects
    assert reject.reason == "unreadable-batch"
    assert reject.meta["codec"] == "snappy"
    assert (reject.meta["offset"], reject.meta["last_offset"]) == (1, 2)
    assert b"one" in reject.data
    assert b"two" in reject.data


async def test_a_batch_that_is_damaged_inside_becomes_a_reject_and_the_partition_goes_on(runs: Runs) -> None:
    await runs.room.produce(runs.topic, [b"before"])
    await produce_raw(runs, batch([b"odd"], damaged=True))  # the name of a header is not UTF-8
    await runs.room.produce(runs.topic, [b"after"])
    assert await runs.read(2) == [b"before", b"after"]
    (reject,) = runs.emitted.rejects
    assert (reject.reason, reject.meta["offset"]) == ("unreadable-batch", 1)
    assert b"odd" in reject.data


async def test_damage_in_one_partition_costs_the_others_nothing(kafka, kafka_topic) -> None:
    runs = Runs(KafkaRoom(kafka.bootstrap), await kafka_topic(prefix="records", partitions=3))
    for partition in range(3):
        await runs.room.produce(
            runs.topic, [b"%d-%d" % (partition, n) for n in range(50)], partition=partition
        )
    await produce_raw(runs, batch([b"odd"], damaged=True), partition=1)
    for partition in range(3):
        await runs.room.produce(runs.topic, [b"%d-last" % partition], partition=partition)
    values = await runs.read(153, batch=7)
    assert len(values) == len(set(values)) == 153
    assert len(runs.emitted.rejects) == 1


# -- batches by hand


def batch(values: list[bytes], *, damaged: bool = False) -> bytes:
    """Return a record batch; a damaged one has a header whose name is not UTF-8."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
    headers = [("é", b"")] if damaged else []
    for offset, value in enumerate(values):
        assert builder.append(offset, 1_700_000_000_000, None, value, headers) is not None
    built = bytes(builder.build())
    return sealed(bytearray(built.replace("é".encode(), b"\xff\xfe") if damaged else built))


def compressed(plain: bytes) -> bytes:
    """Return a batch as snappy, all of it one literal: what every broker can open and not every client."""
    body = plain[61:]
    assert len(body) <= 60
    block = bytes([len(body)]) + bytes([(len(body) - 1) << 2]) + body
    stream = b"\x82SNAPPY\x00" + struct.pack(">iii", 1, 1, len(block)) + block
    made = bytearray(plain[:61] + stream)
    made[21:23] = struct.pack(">h", 2)
    return sealed(made)


def sealed(made: bytearray) -> bytes:
    """Set the length and the checksum of a batch."""
    struct.pack_into(">i", made, 8, len(made) - 12)
    struct.pack_into(">I", made, 17, calc_crc32c(bytes(made[21:])))
    return bytes(made)


async def produce_raw(runs: Runs, made: bytes, partition: int = 0) -> None:
    """Send a batch as it is."""
    async with runs.room.producer() as producer:
        client: Any = producer.client
        await client.fetch_all_metadata()
        node = next(iter(client.cluster.brokers())).nodeId
        request = ProduceRequest(None, -1, 5000, [(runs.topic, [(partition, made)])])
        answer = await client.send(node, request)
    ((_, ((_, code, *_),)),) = answer.topics
    assert code == 0, f"the broker refuses the batch: {code}"

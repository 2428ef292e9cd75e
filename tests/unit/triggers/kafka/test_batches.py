"""The frame of a record batch tells what offsets it stands for."""

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from tests.tables import every_row
from triggers.kafka.batches import Batch, batch_at


def batch(first: int, count: int, codec: int = 0) -> bytes:
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 1 << 20)
    for offset in range(count):
        assert builder.append(offset, 1, None, b"value", []) is not None
    made = bytearray(builder.build())
    made[:8] = first.to_bytes(8, "big")
    return bytes(made)


def test_the_batch_that_holds_an_offset_is_found_whole() -> None:
    one, two = batch(10, 3), batch(13, 2, codec=1)
    assert batch_at(one + two, 10) == batch_at(one + two, 12) == Batch(10, 12, "none", one)
    assert batch_at(one + two, 13) == batch_at(one + two, 14) == Batch(13, 14, "gzip", two)
    assert batch_at(one + two, 15) is None
    assert batch_at(two, 11) == Batch(13, 14, "gzip", two), "what was between is gone from the log"


def test_a_codec_without_a_name_is_numbered() -> None:
    made = bytearray(batch(0, 1))
    made[22] = 5
    found = batch_at(bytes(made), 0)
    assert found is not None
    assert found.codec == "codec 5"


def test_messages_of_old_brokers_stand_for_one_offset() -> None:
    builder = LegacyRecordBatchBuilder(1, 0, 1 << 16)
    builder.append(0, timestamp=1, key=None, value=b"value")
    made = bytes(builder.build())
    assert batch_at(made, 0) == Batch(0, 0, "none", made)


@every_row("cut", [0, 1, 12, 26, 40])
def test_a_batch_that_is_not_whole_is_not_found(cut: int) -> None:
    assert batch_at(batch(0, 3)[:cut], 0) is None


@given(st.binary(max_size=120), st.integers(0, 10))
def test_bytes_of_any_kind_are_looked_at_and_end(fetched: bytes, offset: int) -> None:
    found = batch_at(fetched, offset)
    assert found is None or found.data in fetched

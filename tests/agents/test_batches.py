"""Batches that aiokafka would stop at, or expand without a bound."""

import logging
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.record._crecords import default_records

from agents.batches import GuardedBatch, GuardedRecords, guard_batches, why_unreadable
from schemas.errors import UnreadableRecord
from tests.agents.factories import FakeRecord
from tests.hostile.raw_batches import Compression, Message, RawBatch

LARGEST = 1_000_000
COMPRESSIONS: list[Compression] = ["gzip", "snappy", "lz4", "zstd"]
NOT_UTF8 = {b"HEADER": b"\xff\xfe\xfd\xfcAB"}


@pytest.fixture(autouse=True)
def _guarded() -> Iterator[None]:
    names = {name: getattr(default_records, name) for name in dir(default_records) if name.endswith("_decode")}
    before = fetcher.MemoryRecords
    guard_batches(LARGEST)
    yield
    fetcher.MemoryRecords = before
    for name, function in names.items():
        setattr(default_records, name, function)


def fetched(*batches: RawBatch) -> list[Any]:
    """What a consumer hands out of a fetch, as aiokafka's own code reads it."""
    data, offset = b"", 0
    for batch in batches:
        data += offset.to_bytes(8, "big") + batch.bytes_()[8:]
        offset += len(batch.messages)
    part = fetcher.PartitionRecords(
        TopicPartition("t", 0), fetcher.MemoryRecords(data), [], 0, None, None, True, fetcher.READ_COMMITTED
    )
    return list(part)


@pytest.mark.parametrize("compression", ["none", *COMPRESSIONS])
def test_good_batches_are_read_as_before(compression: Compression) -> None:
    messages = [Message(b"v%d" % n, headers=[("a", b"1"), ("b", None)]) for n in range(3)]
    found = fetched(RawBatch(messages, compression), RawBatch(messages))
    assert [(r.offset, r.value, r.headers) for r in found] == [
        (n, b"v%d" % (n % 3), (("a", b"1"), ("b", None))) for n in range(6)
    ]
    assert not any(map(why_unreadable, found))


def test_a_header_whose_name_is_no_utf8_costs_its_batch_the_rest_and_no_other_batch() -> None:
    broken = RawBatch([Message(b"1"), Message(b"2", headers=[("HEADER", b"x")]), Message(b"3")], replaced=NOT_UTF8)
    found = fetched(RawBatch([Message(b"0")]), broken, RawBatch([Message(b"4")]))
    assert [(r.offset, r.value) for r in found] == [(0, b"0"), (1, b"1"), (2, None), (3, None), (4, b"4")]
    assert [type(why_unreadable(r)) for r in found[2:4]] == [UnreadableRecord] * 2


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_batch_that_expands_enormously_takes_no_memory(compression: Compression) -> None:
    n_bytes = 20 * LARGEST
    bomb = RawBatch([Message(b"0" * n_bytes)], compression)
    data = bomb.bytes_()
    tracemalloc.start()
    records = list(GuardedRecords(data, budget=4 * LARGEST).next_batch())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [record.value for record in records] == [None]
    assert "expands to more than 4000000 bytes" in str(why_unreadable(records[0]))
    assert peak < 10 * LARGEST


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_compressed_batch_that_is_cut_off_is_unreadable(compression: Compression) -> None:
    (record,) = fetched(RawBatch([Message(b"some text " * 20)], compression, cut=9))
    assert record.value is None
    assert isinstance(why_unreadable(record), UnreadableRecord)


def test_a_fetch_hands_out_a_few_large_batches_and_leaves_the_rest_for_the_next() -> None:
    batches = [RawBatch([Message(b"0" * LARGEST)], "zstd") for _ in range(10)]
    found = fetched(*batches)
    assert [record.offset for record in found] == [0, 1, 2, 3]


@dataclass
class Batch:
    """Three good records, of which something may be in the way of the last."""

    problem: Exception | None = None
    base_offset: int = 7
    next_offset: int = 10
    max_timestamp: int = 0
    timestamp_type: int = 0

    def __iter__(self) -> Iterator[FakeRecord]:
        yield FakeRecord(offset=7)
        yield FakeRecord(offset=8)
        if self.problem:
            raise self.problem
        yield FakeRecord(offset=9)


def test_a_moment_without_memory_leaves_no_good_record_without_its_content() -> None:
    with pytest.raises(MemoryError):
        list(GuardedBatch(Batch(MemoryError()), spend=lambda _: None))


def test_a_mistake_of_ours_leaves_no_good_record_without_its_content() -> None:
    def mistaken(n_bytes: int) -> None:
        raise ValueError(n_bytes)

    with pytest.raises(ValueError, match="105"):
        list(GuardedBatch(Batch(), spend=mistaken))


def test_what_is_said_of_an_unreadable_batch_does_not_quote_it(caplog: pytest.LogCaptureFixture) -> None:
    broken = RawBatch(
        [Message(b"secret", key=b"secret", headers=[("HEADER", b"secret"), ("secret", b"")])], replaced=NOT_UTF8
    )
    with caplog.at_level(logging.DEBUG):
        (record,) = fetched(broken)
    why = str(why_unreadable(record))
    assert "UnicodeDecodeError" in why
    assert "secret" not in caplog.text + why
    assert "\\xff" not in caplog.text + why

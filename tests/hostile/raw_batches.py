"""Kafka's record batches made by hand: what no ordinary client would send, but a broker takes."""

import asyncio
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import cramjam
from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.util import calc_crc32c

HEADER_BYTES: Final = 61
_LENGTH, _CRC, _ATTRIBUTES = slice(8, 12), slice(17, 21), slice(21, 23)
Compression = Literal["none", "gzip", "snappy", "lz4", "zstd"]
_CODECS: Final[Sequence[Compression]] = ("none", "gzip", "snappy", "lz4", "zstd")
Headers = Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True)
class Message:
    value: bytes | None
    key: bytes | None = b"key"
    headers: Headers = ()


@dataclass(frozen=True)
class RawBatch:
    """Messages as one batch; each of ``replaced`` is replaced by something else of the same length.

    ``cut`` bytes are missing at its end.
    """

    messages: Sequence[Message]
    compression: Compression = "none"
    replaced: Mapping[bytes, bytes] = field(default_factory=dict)
    cut: int = 0

    def bytes_(self) -> bytes:
        """Return the batch as it goes to the broker and comes back."""
        builder = BatchBuilder(2**31 - 1, 0)
        for message in self.messages:
            builder.append(timestamp=1, key=message.key, value=message.value, headers=list(message.headers))
        plain = bytes(builder._build())
        body = plain[HEADER_BYTES:]
        for old, new in self.replaced.items():
            assert len(old) == len(new)
            assert old in body
            body = body.replace(old, new)
        batch = bytearray(plain[:HEADER_BYTES]) + compressed(body, self.compression)
        del batch[len(batch) - self.cut :]
        batch[_LENGTH] = (len(batch) - 12).to_bytes(4, "big")
        batch[_ATTRIBUTES] = _CODECS.index(self.compression).to_bytes(2, "big")
        batch[_CRC] = calc_crc32c(bytes(batch[21:])).to_bytes(4, "big")
        return bytes(batch)


def compressed(body: bytes, how: Compression) -> bytes:
    match how:
        case "gzip":
            packer = zlib.compressobj(wbits=31)
            return packer.compress(body) + packer.flush()
        case "snappy":
            return bytes(cramjam.snappy.compress_raw(body))
        case "lz4":
            packing = cramjam.lz4.Compressor(level=1, content_checksum=False, block_linked=False)
            packing.compress(body)
            return bytes(packing.finish())
        case "zstd":
            return bytes(cramjam.zstd.compress(body))
    return body


def send_raw(brokers: str, topic: str, batches: Sequence[tuple[int, RawBatch]]) -> None:
    """Send each of ``batches`` to its partition."""

    async def send() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=brokers, request_timeout_ms=60_000)
        await producer.start()
        try:
            for partition, batch in batches:
                builder: Any = producer.create_batch()
                builder._buffer, builder._closed = batch.bytes_(), True
                builder._relative_offset = len(batch.messages)
                await (await producer.send_batch(builder, topic, partition=partition))
        finally:
            await producer.stop()

    asyncio.run(send())

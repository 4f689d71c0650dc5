"""What the lanes' benchmark waits for."""

from collections.abc import Mapping, Sequence

from aiokafka import TopicPartition

from benchmarks.lanes import answered


class Slow:
    """Gives so many answers in each poll."""

    def __init__(self, *counts: int) -> None:
        self.counts = list(counts)

    async def getmany(self, *, timeout_ms: int) -> Mapping[TopicPartition, Sequence[object]]:
        assert timeout_ms > 0
        return {TopicPartition("out", at): ["answer"] for at in range(self.counts.pop(0))}


async def test_it_goes_on_only_when_everything_was_answered() -> None:
    reader = Slow(0, 0, 1, 2, 5)
    await answered(reader, 3)
    assert reader.counts == [5]

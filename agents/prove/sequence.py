"""What a reader saw of one partition, so that two readers can be compared."""

import zlib


class Sequence:
    """How many messages, and a sum of their bytes in their order."""

    __slots__ = ("n_messages", "sum")

    def __init__(self) -> None:
        self.n_messages = self.sum = 0

    def add(self, value: bytes | None) -> None:
        """Take one more message."""
        self.n_messages += 1
        self.sum = zlib.crc32(value or b"", self.sum)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and (self.n_messages, self.sum) == (other.n_messages, other.sum)

    __hash__ = None  # type: ignore[assignment]  # it changes

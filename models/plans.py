"""How an encoder runs on a machine: which backend, how many micro-batches at a time, of what size."""

from typing import Annotated

from pydantic import Field

from schemas.base import Message

DEFAULT_PADDED_TOKENS = 1024


class Plan(Message):
    """How an encoder runs.

    Attributes:
        backend: A name in ``models.engine.backend.BACKENDS``.
        streams: Micro-batches that run at the same time.
        threads: Of each of them.
        max_padded_tokens: The largest micro-batch, padding included.
    """

    backend: str
    streams: Annotated[int, Field(ge=1)] = 1
    threads: Annotated[int, Field(ge=1)] = 1
    max_padded_tokens: Annotated[int, Field(ge=16)] = DEFAULT_PADDED_TOKENS

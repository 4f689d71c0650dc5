"""Deleting from the model store what nothing names any more."""

import logging
from collections.abc import Callable
from typing import Protocol

from agents.control.decision import Garbage
from schemas.errors import LexstreamError

logger = logging.getLogger(__name__)


class Blobs(Protocol):
    """What of the model store is used."""

    def get(self, digest: str) -> bytes:
        """Return a blob."""

    def delete_blob(self, digest: str) -> None:
        """Delete a blob that no model names."""

    def delete_model(self, digest: str) -> None:
        """Delete a model and the blobs that no other has."""


def delete_garbage(store: Blobs, garbage: Garbage) -> None:
    """Delete what nothing names any more. What cannot be deleted stays, and is logged: it does no harm."""
    deletions: list[tuple[Callable[[str], None], str]] = [(store.delete_model, digest) for digest in garbage.models]
    deletions += [(store.delete_blob, digest) for digest in garbage.blobs]
    for delete, digest in deletions:
        try:
            delete(digest)
        except LexstreamError as error:
            logger.warning("%s stays in the store: %s", digest, error, extra={"action": "garbage"})

"""Trying again in a trainer: as long as Kafka or the store is away, and a while where this machine refuses."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from aiokafka.errors import KafkaError

from agents.trainer.child import Ended, Failed
from agents.trainer.work import Cancelled
from schemas.errors import Fenced, NoSpace, Unavailable

logger = logging.getLogger(__name__)

T = TypeVar("T")
_LONGEST_PAUSE_S: Final = 10.0
_MOST_OS_ERRORS: Final = 10
"""Half a minute of them: a full disk does not empty itself."""
_MOST_FULL: Final = 3
_FULL_PAUSE_S: Final = 10.0
"""Between trainings that found a disk full."""


async def trained(train: Callable[[], Awaitable[Ended | Cancelled]], lost: asyncio.Event) -> Ended | Cancelled:
    """Return how a training ended; one that this machine has no room for has failed.

    Raises:
        Fenced: If another trainer has the job.
    """
    try:
        return await retried(train, lost, most_os_errors=_MOST_OS_ERRORS)
    except NoSpace as error:
        return Failed([f"{error}; then train again"])
    except OSError as error:
        return Failed([f"the trainer could not prepare or start it: {error.strerror or type(error).__name__}"])


async def retried(work: Callable[[], Awaitable[T]], lost: asyncio.Event, *, most_os_errors: int | None = None) -> T:
    """Return what ``work`` gives, trying again for as long as Kafka or the store is away and the job is ours.

    Raises:
        Fenced: If ``lost`` is set: to try again would take the job from whoever has it now.
        OSError: If the machine itself refused as often as ``most_os_errors``.
        NoSpace: If a training found a disk full so often; each time it may have taken minutes to find out.
    """
    pause_s, left, left_full = 0.1, most_os_errors, _MOST_FULL
    while not lost.is_set():
        try:
            return await work()
        except NoSpace as error:
            left_full -= 1
            if left_full == 0:
                raise
            pause_s = _FULL_PAUSE_S
            logger.warning("the job waits: %s", str(error) or repr(error), extra={"action": "trainer_retry"})
        except (KafkaError, ConnectionError, TimeoutError, Unavailable) as error:
            logger.warning("the job waits: %s", str(error) or repr(error), extra={"action": "trainer_retry"})
        except OSError as error:
            left = None if left is None else left - 1
            if left == 0:
                raise
            logger.warning("the job waits: %s", str(error) or repr(error), extra={"action": "trainer_retry"})
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
    raise Fenced("another trainer has the partition of the job")

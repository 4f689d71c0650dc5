"""How a process ends: the exit codes, and the one way out when nothing may be committed any more."""

import logging
import os
import sys
import traceback
from typing import Final, NoReturn

from schemas.errors import DeadLetterLimitExceeded, InvalidInput, LexstreamError, Unavailable

logger = logging.getLogger(__name__)

OK: Final = 0
BAD_SETTINGS: Final = 2
"""The settings, the topics or the port: somebody has to change something."""
CRASHED: Final = 3
"""Something unexpected, or another process took over: start again."""
NO_BROKER: Final = 4
"""Kafka did not answer when we started."""
TOO_MANY_DEAD_LETTERS: Final = 5
"""Nearly every event became a dead letter: look at them before starting again."""


def exit_code(error: BaseException) -> int:
    """Return the exit code that says what ``error`` means."""
    match error:
        case InvalidInput():
            return BAD_SETTINGS
        case Unavailable():
            return NO_BROKER
        case DeadLetterLimitExceeded():
            return TOO_MANY_DEAD_LETTERS
        case _:
            return CRASHED


def say(error: BaseException) -> None:
    """Log why the process ends: one line for what was foreseen, with frames for what was not.

    Of errors that are not ours only the classes are told: their messages may quote documents.
    """
    if isinstance(error, InvalidInput):
        for problem in error.problems:
            logger.error("%s", problem, extra={"action": "leave"})
    elif exit_code(error) == CRASHED:
        frames = "".join(traceback.format_tb(error.__traceback__)).rstrip()
        logger.critical("leaving: %s\n%s", _what(error), frames, extra={"action": "leave"})
    else:
        logger.critical("leaving: %s", error, extra={"action": "leave"})


def _what(error: BaseException) -> str:
    name = type(error).__name__
    said = f"{name}: {error}" if isinstance(error, LexstreamError) else name
    because = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return f"{said} (because of {type(because).__name__})" if because else said


def leave(error: BaseException) -> NoReturn:
    """End the process at once: no shutdown, no commit. The log in Kafka is intact."""
    say(error)
    end(exit_code(error))


def end(code: int) -> NoReturn:
    """End the process without taking the interpreter apart: with torch loaded that alone takes seconds."""
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)

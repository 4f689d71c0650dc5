"""Errors as people should see them: one line that says what to do; a list only where there is a list of problems."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Iterator

INTERRUPTED = 130
BROKEN_PIPE = 141


def describe(error: BaseException) -> list[str] | None:
    """Return the lines that explain ``error``, or ``None`` for one that is our own mistake."""
    from schemas.errors import InvalidInput, LexstreamError

    if isinstance(error, InvalidInput):
        return _problems(error.problems)
    if isinstance(error, LexstreamError):
        return [one_line(str(error))]
    if isinstance(error, UnicodeDecodeError):
        return [f"expected text in UTF-8: {one_line(str(error))}"]
    if isinstance(error, OSError):
        return [_file_problem(error)]
    if _is_of_kafka(error):
        return [f"Kafka: {one_line(str(error))}; see `lexstream topics check` and the broker's log"]
    return None


def one_line(text: str) -> str:
    """Return ``text`` with every run of white space as one space."""
    return " ".join(text.split())


def _problems(problems: list[str]) -> list[str]:
    if len(problems) == 1:
        return [one_line(problems[0])]
    return [f"{len(problems)} problems:", *(f"  {one_line(problem)}" for problem in problems)]


def _file_problem(error: OSError) -> str:
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"no such file: {error.filename}"
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror or one_line(str(error))}"


def _is_of_kafka(error: BaseException) -> bool:
    return any(kind.__module__.startswith("aiokafka") for kind in type(error).__mro__)


def show_error(lines: list[str]) -> None:
    """Write an explanation to stderr."""
    sys.stderr.write("".join(f"{line}\n" for line in [f"lexstream: {lines[0]}", *lines[1:]]))


@contextlib.contextmanager
def exit_codes() -> Iterator[None]:
    """Turn what a command raises into one line and an exit code.

    Raises:
        SystemExit: With 1 after an error that can be explained, 130 after Ctrl-C.
    """
    try:
        yield
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.stderr.write("\n")
        raise SystemExit(INTERRUPTED) from None
    except BrokenPipeError:
        _forget_stdout()
        raise SystemExit(BROKEN_PIPE) from None
    except Exception as error:
        if os.environ.get("LEXSTREAM_LOG_LEVEL") == "DEBUG":
            raise
        show_error(describe(error) or _unexpected(error))
        raise SystemExit(1) from None


def _unexpected(error: Exception) -> list[str]:
    return [f"{type(error).__name__}: {one_line(str(error))} (unexpected; LEXSTREAM_LOG_LEVEL=DEBUG shows where)"]


def _forget_stdout() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

"""Errors as people should see them: one line that says what to do; a list only where there is a list of problems."""

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

INTERRUPTED = 130
BROKEN_PIPE = 141
BAD_USAGE = 2
"""Wrong settings, as a process of ours ends with them, and wrong options, as click has it."""


def describe(error: BaseException) -> list[str] | None:
    """Return the lines that explain ``error``, or ``None`` for one that is our own mistake."""
    from schemas.errors import InvalidInput, LexstreamError

    match error:
        case InvalidInput():
            return _problems(error.problems)
        case LexstreamError():
            found = str(error)
        case UnicodeDecodeError():
            found = f"expected text in UTF-8: {error}"
        case OSError():
            found = _file_problem(error)
        case _:
            return _of_libraries(error)
    return [one_line(found)]


def explained(error: BaseException) -> list[str]:
    """Return the lines that explain ``error``, also of one that is our own mistake."""
    found = f"{type(error).__name__}: {one_line(str(error))}"
    return describe(error) or [f"{found} (unexpected; LEXSTREAM_LOG_LEVEL=DEBUG shows where)"]


def _of_libraries(error: BaseException) -> list[str] | None:
    """Explain errors whose classes we do not import here: they would cost what the command line has to save."""
    if hasattr(error, "format_message"):
        # A wrong option or argument. Typer takes these exceptions from click or, lately, has its own.
        return [f"{one_line(_wrong_value(error) or error.format_message()).rstrip('.')}; see --help"]
    if type(error).__name__ == "ValidationError":
        return _problems(_fields(error))
    if type(error).__name__.endswith(("AuthorizationFailedError", "AuthorizationFailed")):
        return [f"Kafka does not let us use {_names(error)}; docs/security.md shows the ACLs of each role"]
    if any(kind.__module__.startswith("aiokafka") for kind in type(error).__mro__):
        return [f"Kafka: {one_line(str(error))}; see `lexstream topics check` and the broker's log"]
    return None


def _wrong_value(error: BaseException) -> str | None:
    """Say which value was got where Typer had pydantic look at it; its own message leaves that out."""
    parameter, cause = getattr(error, "param", None), error.__cause__
    if parameter is None or type(cause).__name__ != "ValidationError":
        return None
    from schemas.codecs.validation import shown_problem

    is_option = parameter.param_type_name == "option"
    name = max(parameter.opts, key=len) if is_option else parameter.human_readable_name
    return f"{name}: {shown_problem(cause.errors(include_url=False)[0], ())}"  # type: ignore[union-attr] # as above


def _names(error: BaseException) -> str:
    names = [name for each in error.args for name in (each if isinstance(each, list | tuple | set) else [each])]
    return ", ".join(sorted(map(str, names))) or "something"


def one_line(text: str) -> str:
    """Return ``text`` with every run of white space as one space."""
    return " ".join(text.split())


def _problems(problems: list[str]) -> list[str]:
    if len(problems) == 1:
        return [one_line(problems[0])]
    return [f"{len(problems)} problems:", *(f"  {one_line(problem)}" for problem in problems)]


def _fields(error: BaseException) -> list[str]:
    """Name what is wrong with the fields of a command."""
    from schemas.codecs.validation import shown_problems

    return shown_problems(error)  # type: ignore[arg-type]  # its class would cost the import of pydantic


def missing(name: str) -> str:
    """Say that a file is not there, or not even its folder."""
    folder = Path(name).parent
    return f"no such file: {name}" if folder.is_dir() else f"no such folder: {folder}"


def _file_problem(error: OSError) -> str:
    from schemas.errors import DISK_FULL

    if isinstance(error, FileNotFoundError) and error.filename:
        return missing(error.filename)
    place = f"{error.filename}: " if error.filename else ""
    what_to_do = "; free some and try again" if error.errno in DISK_FULL else ""
    return f"{place}{error.strerror or one_line(str(error))}{what_to_do}"


def show_error(lines: list[str]) -> None:
    """Write an explanation to stderr."""
    sys.stderr.write("".join(f"{line}\n" for line in [f"lexstream: {lines[0]}", *lines[1:]]))


@contextlib.contextmanager
def exit_codes() -> Iterator[None]:
    """Turn what a command raises into one line and an exit code.

    Raises:
        SystemExit: With 1 after an error that can be explained, 2 after wrong settings or options, 130 after Ctrl-C,
            141 if nobody reads our output any more.
    """
    try:
        yield
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # click and rich leave with 1 then
            _leave_broken_pipe()
        raise
    except KeyboardInterrupt:
        sys.stderr.write("\nlexstream: stopped\n")
        raise SystemExit(INTERRUPTED) from None
    except BrokenPipeError:
        _leave_broken_pipe()
    except BaseException as error:  # also a cancellation that comes out of a library
        if os.environ.get("LEXSTREAM_LOG_LEVEL") == "DEBUG":
            traceback.print_exc()
        if type(error).__name__ != "NoArgsIsHelpError":
            show_error(explained(error))
        raise SystemExit(_exit_code(error)) from None


def _exit_code(error: BaseException) -> int:
    from schemas.errors import InvalidSettings

    # Click's errors, and those of Typer in its place, know their own.
    return BAD_USAGE if isinstance(error, InvalidSettings) else getattr(error, "exit_code", 1)


def _leave_broken_pipe() -> NoReturn:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still to be flushed
    raise SystemExit(BROKEN_PIPE) from None

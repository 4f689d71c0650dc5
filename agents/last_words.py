"""What a process of ours said at its end, from the tail of its standard error: JSON, text or plain lines. Pure."""

import re
from collections.abc import Iterable

import orjson

_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
_TEXT_LINE = re.compile(r"\d\d:\d\d:\d\d (error|critical)\s+[\w.]+: (.*)")
_MOST = 5


def last_words(tail: str) -> str:
    """Return the problems that ``tail`` tells, in one line; its last line if it tells none; nothing if it is empty."""
    lines = [line for line in _ESCAPES.sub("", tail).splitlines() if line.strip()]
    problems = list(_problems(lines))[-_MOST:] or lines[-1:]
    return "; ".join(" ".join(problem.split()) for problem in problems)


def _problems(lines: Iterable[str]) -> Iterable[str]:
    listing = False
    for line in lines:
        if listing and line.startswith("  "):
            yield line
            continue
        listing = line.startswith("lexstream: ") and line.endswith(" problems:")
        if not listing and (problem := _problem(line)):
            yield problem


def _problem(line: str) -> str | None:
    if line.startswith("lexstream: "):
        return line.removeprefix("lexstream: ")
    if found := _TEXT_LINE.match(line):
        return found.group(2)
    try:
        read = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    is_problem = isinstance(read, dict) and read.get("level") in {"error", "critical"}
    return str(read.get("message", "")) if is_problem else None

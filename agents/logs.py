"""Logs: readable on a terminal, JSON lines elsewhere, and quiet when a client says the same thing over and over."""

import logging
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import orjson

Format = Literal["auto", "text", "json"]

CLIENTS = ("aiokafka", "faust", "mode", "kafka", "httpx", "httpcore")
EVERY_S = 5.0
PATIENCE_S = 10.0
QUIET_S = 60.0
_MAX_TEMPLATES = 1000
_NO_COORDINATOR = ("Group Coordinator Request failed: [Error 15]", "Marking the coordinator dead")
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_COLOURS = {logging.WARNING: "\x1b[33m", logging.ERROR: "\x1b[31m", logging.CRITICAL: "\x1b[1;31m"}


class RateLimit(logging.Filter):
    """Lets each message template of the client libraries through once in five seconds, with what was left out.

    While a broker is away each client writes about fifty lines a second.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether to write ``record``."""
        if record.name.partition(".")[0] not in CLIENTS:
            return True
        template = record.name, str(record.msg)
        now = self._clock()
        last, left_out = self._seen.get(template, (-EVERY_S, 0))
        if now - last < EVERY_S:
            self._seen[template] = last, left_out + 1
            return False
        if len(self._seen) >= _MAX_TEMPLATES:
            self._seen.clear()
        self._seen[template] = now, 0
        if left_out:
            record.msg, record.args = f"{record.getMessage()} ({left_out} more like this were left out)", None
        return True


class Patience(logging.Filter):
    """Holds back for a moment that Kafka has no coordinator: it makes the topic of groups when the first one comes.

    A fresh broker takes seconds for that, a restarted one to read it; its clients ask again until it has. What lasts
    longer is written, and so is what comes again and again: it is over only after a minute without.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._since = self._last = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether to write ``record``."""
        if not record.name.startswith("aiokafka") or not record.getMessage().startswith(_NO_COORDINATOR):
            return True
        now = self._clock()
        if now - self._last > QUIET_S:
            self._since = now
        self._last = now
        return now - self._since > PATIENCE_S


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "at": _moment(record).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _OWN}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


class Text(logging.Formatter):
    """For people: the time, how bad it is, where, and what."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        moment = _moment(record).astimezone().strftime("%H:%M:%S")
        colour = _COLOURS.get(record.levelno, "")
        level = f"{colour}{record.levelname.lower():<8}{colour and chr(27) + '[0m'}"
        line = f"{moment} {level} {record.name.removeprefix('agents.')}: {record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def setup_logs(level: str, format: Format, stream: TextIO | None = None) -> None:  # noqa: A002 - the setting's name
    """Send all logs of this process to ``stream``, by default standard error.

    The client libraries never write below WARNING: at DEBUG they write keys and values, and headers with passwords.
    """
    out = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(out)
    text = format == "text" or (format == "auto" and out.isatty())
    handler.setFormatter(Text() if text else JsonLines())
    handler.addFilter(Patience())
    handler.addFilter(RateLimit())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in CLIENTS:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level)))


def _moment(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)

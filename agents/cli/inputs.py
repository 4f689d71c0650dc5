"""Documents to publish: text files, JSON lines, folders and stdin, checked before anything is sent."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from agents.client import Outgoing
from schemas.codecs.validation import sentences
from schemas.documents import DocumentEvent, Task
from schemas.errors import InvalidInput
from schemas.label_texts import decode_text

STDIN = "-"
_MAX_PROBLEMS = 20
_JSON_LINES = {".jsonl", ".ndjson"}
_TEXT = {".txt", ".md", ".text"}


@dataclass(frozen=True, slots=True)
class Defaults:
    """What documents get that do not say it themselves. ``key`` goes to all; default: each document's id."""

    tasks: tuple[Task, ...] = ()
    language: str | None = None
    key: str | None = None


@dataclass(slots=True)
class Source:
    """A file, or stdin, which is kept since it can be read only once."""

    name: str
    path: Path | None = None
    kept: str = field(default="", repr=False)

    def documents(self) -> Iterator[tuple[str, dict[str, Any] | str]]:
        """Yield each document with its place; as text what is no JSON object."""
        if self.path and self.path.suffix not in _JSON_LINES:
            yield self.name, {"id": self.name, "text": decode_text(self.path.read_bytes())}
        elif not self.path and not self.kept.lstrip().startswith("{"):
            yield self.name, {"id": self.name, "text": self.kept}
        else:
            yield from self._lines()

    def _lines(self) -> Iterator[tuple[str, dict[str, Any] | str]]:
        stem = self.path.stem if self.path else self.name
        for number, line in enumerate(self._raw_lines(), 1):
            if not line.strip():
                continue
            try:
                found = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                yield f"{self.name}:{number}", f"expected a JSON object: {error}"
                continue
            if isinstance(found, dict):
                yield f"{self.name}:{number}", {"id": f"{stem}-{number}", **found}
            else:
                yield f"{self.name}:{number}", f"expected a JSON object, got {type(found).__name__}"

    def _raw_lines(self) -> Iterator[str | bytes]:
        if self.path is None:
            yield from self.kept.splitlines()
        else:
            with self.path.open("rb") as file:
                yield from file


def find_sources(names: Sequence[str]) -> list[Source]:
    """Return the files that ``names`` mean; of a folder all text and JSON-lines files in it.

    Raises:
        InvalidInput: If something is not there, or a folder holds no documents.
    """
    problems: list[str] = []
    found: list[Source] = []
    for name in names:
        path = Path(name)
        if name == STDIN:
            found.append(Source("stdin", kept=decode_text(sys.stdin.buffer.read())))
        elif path.is_dir():
            inside = _in_folder(path)
            found += inside
            problems += [] if inside else [f"{name}: expected .txt, .md, .jsonl or .ndjson files in this folder"]
        elif path.exists():
            found.append(Source(path.name, path))
        else:
            problems.append(f"no such file: {name}")
    if problems:
        raise InvalidInput(problems)
    return found


def _in_folder(folder: Path) -> list[Source]:
    files = (path for path in sorted(folder.rglob("*")) if path.suffix in _JSON_LINES | _TEXT and path.is_file())
    return [Source(path.relative_to(folder).as_posix(), path) for path in files]


def check(sources: Iterable[Source], defaults: Defaults) -> int:
    """Return how many documents there are.

    Raises:
        InvalidInput: With every document that is not one, and where it stands.
    """
    problems: list[str] = []
    count = 0
    for source in sources:
        try:
            for place, document in source.documents():
                count += 1
                problems += [f"{place}: {problem}" for problem in _problems(document, defaults)]
        except UnicodeDecodeError as error:
            problems.append(f"{source.name}: expected text in UTF-8: {error}")
    if problems:
        more = [f"and {len(problems) - _MAX_PROBLEMS} more"] if len(problems) > _MAX_PROBLEMS else []
        raise InvalidInput(problems[:_MAX_PROBLEMS] + more)
    return count


def _problems(document: dict[str, Any] | str, defaults: Defaults) -> list[str]:
    if isinstance(document, str):
        return [document]
    try:
        DocumentEvent.model_validate(_complete(document, defaults))
    except ValidationError as error:
        return sentences(error)
    return []


def _complete(document: dict[str, Any], defaults: Defaults) -> dict[str, Any]:
    completed = dict(document)
    if defaults.tasks and not completed.get("tasks"):
        completed["tasks"] = [task.payload() for task in defaults.tasks]
    if defaults.language and not completed.get("language"):
        completed["language"] = defaults.language
    return completed


def messages(sources: Iterable[Source], defaults: Defaults) -> Iterator[Outgoing]:
    """Yield what is sent: fields that we do not know go along."""
    for source in sources:
        for _, document in source.documents():
            if isinstance(document, dict):
                key = defaults.key or document["id"]
                yield Outgoing(orjson.dumps(_complete(document, defaults)), key.encode())


def read_tasks(texts: Sequence[str]) -> tuple[Task, ...]:
    """Read ``PROJECT/DEPLOYMENT`` each.

    Raises:
        InvalidInput: With all that are something else.
    """
    from agents.lanes import parse_task

    problems: list[str] = []
    tasks: list[Task] = []
    for text in texts:
        try:
            tasks.append(parse_task(text))
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise InvalidInput(problems)
    return tuple(tasks)

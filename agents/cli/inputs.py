"""Documents to publish: text files, JSON lines, folders and stdin, checked before anything is sent."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from secrets import token_hex
from typing import Any, Self

import orjson
from pydantic import ValidationError

from agents.cli.errors import missing
from agents.client import Outgoing
from agents.registry import Registry
from agents.settings import Settings
from schemas.codecs.validation import sentences
from schemas.documents import DocumentEvent, Task
from schemas.errors import InvalidInput
from schemas.label_texts import decode_text
from schemas.records import DeploymentRecord

STDIN = "-"
STDIN_NAME = "stdin"
_MAX_PROBLEMS = 20
_SMALL_BYTES = 4096
_JSON_LINES = {".jsonl", ".ndjson"}
_TEXT = {".txt", ".md", ".text"}
_ENDING = "that ends with .txt, .md, .text, .jsonl or .ndjson"


@dataclass(frozen=True, slots=True)
class Defaults:
    """What documents get that do not say it themselves. ``key`` goes to all; default: each document's id."""

    tasks: tuple[Task, ...] = ()
    language: str | None = None
    key: str | None = None


@dataclass(slots=True)
class Source:
    """A file, or stdin, which is kept since it can be read only once.

    Attributes:
        name: What it is called where something is wrong with it.
        path: The file.
        kept: All that came from stdin.
        prefix: What ids begin with that documents do not bring themselves.
        gave_ids: Whether a document was called after it, as far as it was read.
    """

    name: str
    path: Path | None = None
    kept: str = field(default="", repr=False)
    prefix: str = ""
    gave_ids: bool = False

    @classmethod
    def stdin(cls, text: str) -> Self:
        """Return ``text`` from stdin. It has no name that tells it from the last one, so each run gives it another."""
        return cls(STDIN_NAME, kept=text, prefix=f"{STDIN_NAME}-{token_hex(4)}")

    @property
    def stem(self) -> str:
        """What the ids begin with that it gives: below a folder its path there, so that they differ."""
        if self.path is None:
            return self.prefix
        return PurePosixPath(self.name).with_suffix("").as_posix() if self.is_lines else self.name

    @property
    def is_lines(self) -> bool:
        """Whether it is a file of JSON lines: their ids have a number after the stem, a text's is the stem itself."""
        return self.path is not None and self.path.suffix in _JSON_LINES

    def documents(self) -> Iterator[tuple[str, dict[str, Any] | str]]:
        """Yield each document with its place; as text what is no JSON object."""
        if self.path and not self.is_lines:
            self.gave_ids = True
            yield self.name, {"id": self.name, "text": decode_text(self.path.read_bytes())}
        elif not self.path and not self.kept.lstrip().startswith("{"):
            yield self.name, {"id": self.prefix, "text": self.kept}
        else:
            yield from self._lines()

    def _lines(self) -> Iterator[tuple[str, dict[str, Any] | str]]:
        stem = self.stem
        for number, line in enumerate(self._raw_lines(), 1):
            if not line.strip():
                continue
            try:
                found = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                yield f"{self.name}:{number}", f"expected a JSON object: {error}"
                continue
            if isinstance(found, dict):
                self.gave_ids |= "id" not in found
                yield f"{self.name}:{number}", {"id": f"{stem}-{number}", **found}
            else:
                yield f"{self.name}:{number}", f"expected a JSON object, got {type(found).__name__}"

    def _raw_lines(self) -> Iterator[str | bytes]:
        if self.path is None:
            yield from self.kept.splitlines()
        else:
            with self.path.open("rb") as file:
                yield from file


@dataclass(frozen=True, slots=True)
class Found:
    """What there is to publish, and the files of folders that are left out, with the reason."""

    sources: list[Source]
    skipped: dict[str, str]


@dataclass(frozen=True, slots=True)
class Checked:
    """How many documents there are, how many of them ask nobody, and all tasks that the others ask."""

    count: int
    n_without_tasks: int
    tasks: frozenset[Task]


def find_sources(names: Sequence[str]) -> Found:
    """Return the files that ``names`` mean; of a folder all text and JSON-lines files in it that are not empty.

    Raises:
        InvalidInput: If something is not there, or a folder holds no documents.
    """
    problems: list[str] = []
    found: list[Source] = []
    skipped: dict[str, str] = {}
    for name in names:
        path = Path(name)
        if name == STDIN:
            found.append(Source.stdin(decode_text(sys.stdin.buffer.read())))
        elif path.is_dir():
            inside = _in_folder(path)
            found += inside.sources
            skipped |= inside.skipped
            problems += [] if inside.sources else [f"{name}: expected a file with text in this folder {_ENDING}"]
        elif path.exists():
            found.append(Source(path.name, path))
        else:
            problems.append(missing(name))
    if problems:
        raise InvalidInput(problems)
    return Found(found, skipped)


def _in_folder(folder: Path) -> Found:
    found = Found([], {})
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.suffix not in _JSON_LINES | _TEXT:
            found.skipped[str(path)] = f"expected a file {_ENDING}"
        elif _is_blank(path):
            found.skipped[str(path)] = "it is empty"
        else:
            found.sources.append(Source(path.relative_to(folder).as_posix(), path))
    return found


def _is_blank(path: Path) -> bool:
    return path.stat().st_size < _SMALL_BYTES and not path.read_bytes().strip()


def check(sources: Sequence[Source], defaults: Defaults) -> Checked:
    """Return how many documents there are, and what they ask.

    Raises:
        InvalidInput: With every document that is not one, and where it stands.
    """
    problems: list[str] = []
    count = n_without_tasks = 0
    tasks: set[Task] = set()
    for source in sources:
        try:
            for place, document in source.documents():
                count += 1
                event = _event(document, defaults)
                if isinstance(event, DocumentEvent):
                    tasks.update(event.tasks)
                    n_without_tasks += not event.tasks
                else:
                    problems += [f"{place}: {problem}" for problem in event]
        except UnicodeDecodeError as error:
            problems.append(f"{source.name}: expected text in UTF-8: {error}")
    problems += _same_ids(sources)
    if problems:
        more = [f"and {len(problems) - _MAX_PROBLEMS} more"] if len(problems) > _MAX_PROBLEMS else []
        raise InvalidInput(problems[:_MAX_PROBLEMS] + more)
    return Checked(count, n_without_tasks, frozenset(tasks))


def _same_ids(sources: Iterable[Source]) -> list[str]:
    first: dict[tuple[bool, str], Path] = {}
    clashes = []
    for source in sources:
        if source.path is None or not source.gave_ids:
            continue
        other = first.setdefault((source.is_lines, source.stem), source.path)
        if not other.samefile(source.path):
            clashes.append(
                f"{other} and {source.path} would give their documents the same ids, expected ids that differ: publish "
                "a folder that holds both, or JSON lines with an id each"
            )
    return clashes


def nobody_asked(checked: Checked, settings: Settings, topic: str) -> list[str]:
    """Return a sentence if documents ask nobody, in a topic of ours whose default tasks nobody set here either."""
    ours = topic in {lane.input for lane in settings.all_lanes}
    if not checked.n_without_tasks or not ours or settings.tasks_of(topic):
        return []
    some = f"{checked.n_without_tasks:,} of {checked.count:,} documents name no task"
    then = f"unless the workers' default_tasks name one for {topic}, they become dead letters"
    return [f"{some}; {then}: give --task PROJECT/DEPLOYMENT"]


def unknown_tasks(tasks: Iterable[Task], registry: Registry) -> list[str]:
    """Return a sentence for each task that nobody would answer: its documents would become dead letters."""
    there = registry.all(DeploymentRecord)
    names = ", ".join(f"{each.project}/{each.name}" for each in there) or "none yet"
    return [
        f"task {task.project}/{task.deployment}: there is no such deployment; expected one of: {names}"
        for task in sorted(tasks, key=lambda task: (task.project, task.deployment))
        if registry.deployment(task.project, task.deployment) is None
    ]


def _event(document: dict[str, Any] | str, defaults: Defaults) -> DocumentEvent | list[str]:
    if isinstance(document, str):
        return [document]
    try:
        return DocumentEvent.model_validate(_complete(document, defaults))
    except ValidationError as error:
        return sentences(error)


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
        BadParameter: With all that are something else.
    """
    import typer

    from agents.lanes import parse_task

    problems: list[str] = []
    tasks: list[Task] = []
    for text in texts:
        try:
            tasks.append(parse_task(text))
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise typer.BadParameter("; ".join(problems))
    return tuple(tasks)

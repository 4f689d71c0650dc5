"""The same documents through Lexstream and its peers, one after another on one broker.

    python -m benchmarks.peers.run [--documents 3200] [--rounds 3] [--only quix,bytewax] [--out FILE.json]

Each peer runs in a virtual environment of its own, made the first time in the folder ``--work``. Ours always runs.
The table is printed, and the file written, after each round.
"""

import argparse
import json
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from platformdirs import user_cache_path
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from agents.bench.documents import mixed
from agents.broker import LocalBroker
from agents.broker.address import free_port
from agents.interrupts import terminated_like_interrupted
from benchmarks.peers.catalogue import peers
from benchmarks.peers.environments import NotInstalled
from benchmarks.peers.judging import Span
from benchmarks.peers.measure import Load, Measurement, measure
from benchmarks.peers.model import Served, make_served
from benchmarks.peers.ours import AUTO, Ours
from benchmarks.peers.programs.common import BATCH_SIZE, Setup
from benchmarks.peers.reference import expected_spans
from benchmarks.peers.report import Row, as_json, print_table
from benchmarks.peers.stream import PARTITIONS
from benchmarks.peers.subject import Document, Subject

_BLOCK = 800
"""Every hundred documents have the same lengths, and a peer's batches take 32 of one shard: this divides by both."""
_CACHE = user_cache_path("lexstream")
_TABLE_WIDTH = 136
_WARM_UP = BATCH_SIZE * PARTITIONS


def main() -> None:
    """Measure and print."""
    options = _parse()
    console = Console()
    options.work.mkdir(parents=True, exist_ok=True)
    with (
        terminated_like_interrupted(),
        _home(options.work) as home,
        _broker(options.brokers, home) as brokers,
        _bars(console) as bars,
    ):
        for rows in _Bench(options, brokers=brokers, home=home, bars=bars).rounds():
            bars.stop()  # a table of another width would be written into them
            print_table(rows, console if console.width >= _TABLE_WIDTH else Console(width=_TABLE_WIDTH))
            bars.start()
            if options.out:
                options.out.write_text(json.dumps(as_json(rows), indent=2) + "\n", "utf-8")


class _Bench:
    """One run of this script: the model, the documents and the subjects."""

    def __init__(self, options: argparse.Namespace, *, brokers: str, home: Path, bars: Progress) -> None:
        self._options = options
        self._brokers = brokers
        self._home = home
        self._bars = bars
        self._served = self._made(home)
        wanted = [peer for peer in peers(options.work) if not options.only or peer.name in options.only]
        ours = [
            Ours(self._served.manifest, store=self._served.store, backend=backend)
            for backend in (AUTO, "openvino-fp32")
        ]
        self._subjects: list[Subject] = [*ours, *wanted]
        self._warm_up = documents_of(_WARM_UP, seed=2)
        self._documents = documents_of(options.documents, seed=1)

    def rounds(self) -> Iterator[list[Row]]:
        """Install, then measure round by round; after each, one row a subject with all that was measured until then."""
        rows = {subject.name: self._installed(subject) for subject in self._subjects}
        expected = self._expected()
        for number in range(1, self._options.rounds + 1):
            for subject in self._subjects:
                row = rows[subject.name]
                if not row.problem:
                    done = self._measured(subject, expected, title=f"{subject.name}, round {number}")
                    rows[subject.name] = replace(row, measurements=(*row.measurements, done))
            yield list(rows.values())

    def _made(self, home: Path) -> Served:
        task = self._bars.add_task("the model and its fastest plan here", total=None)
        served = make_served(home)
        self._bars.remove_task(task)
        return served

    def _installed(self, subject: Subject) -> Row:
        task = self._bars.add_task(f"{subject.name}: environment", total=None)
        try:
            subject.install()
        except NotInstalled as error:
            return Row(subject.name, subject.version(), subject.guarantee, problem=f"cannot be installed: {error}")
        finally:
            self._bars.remove_task(task)
        return Row(subject.name, subject.version(), subject.guarantee)

    def _expected(self) -> dict[str, frozenset[Span]]:
        task = self._bars.add_task("FP32 reference", total=len(self._documents))
        found = expected_spans(
            self._documents,
            model=self._served.folder,
            cache=self._options.work,
            on_progress=lambda done: self._bars.update(task, completed=done),
        )
        self._bars.remove_task(task)
        return found

    def _measured(self, subject: Subject, expected: dict[str, frozenset[Span]], *, title: str) -> Measurement:
        documents = self._documents[: share_of(len(self._documents), subject.share)]
        load = Load(
            self._warm_up,
            documents,
            {document.id: expected[document.id] for document in documents},
            self._options.timeout,
        )
        task = self._bars.add_task(title, total=len(documents))
        done = measure(
            subject,
            load,
            setup=self._setup(subject),
            on_progress=lambda n_answered: self._bars.update(task, completed=n_answered),
        )
        self._bars.update(task, description=f"{title}: {done.documents_per_s:.1f} docs/s")
        return done

    def _setup(self, subject: Subject) -> Setup:
        prefix = f"{subject.name.replace(', ', '-')}-{uuid.uuid4().hex[:6]}"
        state = self._home / prefix
        state.mkdir()
        documents, answers = subject.topics(prefix)
        return Setup(self._brokers, documents, answers, prefix, str(self._served.folder), str(state))


def documents_of(n: int, *, seed: int) -> list[Document]:
    """Return documents in runs of a batch for each shard in turn, so that no batch of a shard is left half full."""
    return [
        Document(each.id, each.text, shard=number // BATCH_SIZE % PARTITIONS)
        for number, each in enumerate(mixed(n, seed=seed))
    ]


def share_of(n_documents: int, share: float) -> int:
    """Return that share in whole blocks, at least one."""
    return max(1, round(n_documents * share / _BLOCK)) * _BLOCK


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--documents", type=int, default=4 * _BLOCK, help="for ours, rounded to 800s; slow peers get fewer"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", type=_names, default=[], help="names of peers, parted by commas")
    parser.add_argument("--brokers", default="", help="a running Kafka; default: a local one for this run")
    parser.add_argument("--work", type=Path, default=_CACHE / "peers", help="environments and expected answers")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds for the documents of one measurement")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    options = parser.parse_args()
    options.documents = share_of(options.documents, 1.0)
    return options


def _names(words: str) -> list[str]:
    names, known = words.split(","), [peer.name for peer in peers(Path())]
    if unknown := set(names) - set(known):
        raise argparse.ArgumentTypeError(f"got {', '.join(sorted(unknown))}, expected of {', '.join(known)}")
    return names


@contextmanager
def _home(work: Path) -> Iterator[Path]:
    """Give a folder for this run alone."""
    home = work / f"run-{uuid.uuid4().hex[:8]}"
    home.mkdir()
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _broker(brokers: str, home: Path) -> Iterator[str]:
    """Give the addresses of a broker: that one, or a local one that is stopped in the end."""
    if brokers:
        yield brokers
        return
    local = LocalBroker(home, f"127.0.0.1:{free_port()}", cache=_CACHE / "jars")
    try:
        yield local.start().address
    finally:
        local.stop()


def _bars(console: Console) -> Progress:
    columns: Sequence[TextColumn | BarColumn | MofNCompleteColumn | TimeElapsedColumn] = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=console)


if __name__ == "__main__":
    main()

"""One run: everything started, measured in turns, and taken down again."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import orjson

from agents.bench.child import Child
from agents.bench.documents import BenchDocument, mixed, tickets
from agents.bench.findings import MIX, TICKETS, Findings, Latency, Pass
from agents.bench.others import busy_s, share_of_others
from agents.bench.stats import Spans, how_many, round_order
from agents.bench.subject import Spec
from agents.bench.timetable import (
    KAFKA_SUBJECTS,
    LATENCY_SUBJECTS,
    MIXED_SUBJECTS,
    SLOW,
    START,
    TICKET_SUBJECTS,
    TITLES,
    OnStep,
    Sizes,
    Step,
    latency_step,
    mixed_step,
    ticket_step,
)
from agents.bench.traffic import BenchTopics, Line, Passage, spans_of
from agents.child_settings import child_settings
from agents.settings import Settings
from models.plans import Tuning

LOAD: Final = 0.7
"""The share of a subject's own speed at which its latency is measured."""
_WARM_DOCUMENTS: Final = 200
_BLOCK: Final = 100
"""So many documents have the same mix of lengths each time."""
_SEED: Final = 1
_ECHO_TEXTS: Final = 2_000


async def measure(settings: Settings, *, sizes: Sizes, folder: Path, on_step: OnStep) -> Findings:
    """Measure all subjects against the Kafka of ``settings``.

    Args:
        settings: Where Kafka is.
        sizes: How much is measured.
        folder: For the model, logs and results between processes; it may be thrown away afterwards.
        on_step: Told what is being done.

    Raises:
        LexstreamError: A subject ended or stopped answering.
    """
    started = time.perf_counter()
    spec, tuning = await _prepared(sizes, folder, on_step)
    async with _stage(settings, spec, folder, on_step) as stage:
        findings = Findings(tuning)
        measuring = _Measuring(stage, sizes, findings, on_step)
        await measuring.run()
        findings.n_leftovers = sum(line.leftovers() for line in stage.lines.values())
        on_step(Step("cleaning up", 3))
    findings.seconds = time.perf_counter() - started
    return findings


async def _prepared(sizes: Sizes, folder: Path, on_step: OnStep) -> tuple[Spec, Tuning]:
    spec = Spec("model", store=(folder / "store").as_uri(), folder=str(folder / "transformers"))
    on_step(Step("training the model that is measured", 12))
    child = await Child.start(spec, log=folder / "model.log")
    try:
        on_step(Step("looking for the fastest plan", sizes.tuning_s + 4))
        answer = await child.ask("plan", seconds=sizes.tuning_s)
    finally:
        await child.stop()
    tuning = Tuning.model_validate(answer["tuning"])
    return replace(spec, digest=answer["digest"], plan=answer["plan"]), tuning


class _Stage:
    """The subjects, and the lines of those that read Kafka."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.children: dict[str, Child] = {}
        self.lines: dict[str, Line] = {}

    async def start(self, spec: Spec, own: Mapping[str, Settings]) -> None:
        """Start all subjects at the same time. Whatever comes between, ``stop`` ends those that are ready."""
        specs = [replace(spec, kind=name, settings=child_settings(own[name]) if name in own else {}) for name in TITLES]
        results = await asyncio.gather(*map(self._start, specs), return_exceptions=True)
        for result in results:
            if result is not None:
                raise result

    async def _start(self, spec: Spec) -> None:
        self.children[spec.kind] = await Child.start(spec, log=self.folder / f"{spec.kind}.log")

    async def retire(self, *names: str) -> None:
        """End subjects that are done: waiting for their turn, they take some of the processors from the others."""
        await asyncio.gather(*(self.children[name].stop() for name in names))
        for name in names:
            del self.children[name]

    async def stop(self) -> None:
        """End the subjects that are left, all at the same time."""
        await asyncio.gather(*(child.stop() for child in self.children.values()))


@asynccontextmanager
async def _stage(settings: Settings, spec: Spec, folder: Path, on_step: OnStep) -> AsyncIterator[_Stage]:
    """Start everything; whatever happens, take all of it down again."""
    own = _own_settings(settings)
    stage = _Stage(folder)
    async with AsyncExitStack() as stack:
        topics = BenchTopics(list(own.values()))
        stack.push_async_callback(topics.delete)
        await topics.create()
        on_step(START)
        stack.push_async_callback(stage.stop)
        await stage.start(spec, own)
        for name in KAFKA_SUBJECTS:
            line = stage.lines[name] = Line(own[name], check=stage.children[name].check)
            stack.callback(line.close)
            line.open()
        yield stage


def _own_settings(settings: Settings) -> dict[str, Settings]:
    """Return the settings of each subject: namespaces that nobody else has."""
    run = secrets.token_hex(4)
    ours = {
        "group_instance_id": None,
        "lanes": [],
        "default_tasks": ["bench/production"],
        "output_format": "json",
        "include_text": True,
    }
    names = {name: f"lexstream-bench-{run}-{name}" for name in KAFKA_SUBJECTS}
    # Not as a copy: settings remember what was made of the namespace they had.
    return {
        name: Settings(**child_settings(settings) | ours | {"namespace": own, "group": own})
        for name, own in names.items()
    }


class _Measuring:
    """The rounds."""

    def __init__(self, stage: _Stage, sizes: Sizes, findings: Findings, on_step: OnStep) -> None:
        self._stage, self._sizes, self._findings, self._on_step = stage, sizes, findings, on_step
        self._documents: dict[str, list[BenchDocument]] = {}
        self._counts: dict[tuple[str, str], int] = {}
        self._number = 0

    async def run(self) -> None:
        """Measure everything."""
        sizes = self._sizes
        await self._calibrate(MIX, MIXED_SUBJECTS)
        for number in range(sizes.rounds):
            for name in round_order(MIXED_SUBJECTS, number):
                self._on_step(mixed_step(sizes, name, number))
                await self._measure(name, MIX)
        await self._calibrate(TICKETS, TICKET_SUBJECTS)
        for number in range(sizes.ticket_rounds):
            for name in round_order(TICKET_SUBJECTS, number):
                self._on_step(ticket_step(sizes, name, number))
                await self._measure(name, TICKETS)
        await self._stage.retire("bare", "torch", "at-least-once")
        for name in LATENCY_SUBJECTS:
            self._on_step(latency_step(sizes, name))
            await self._latency(name)
            await self._stage.retire(name)
        self._on_step(Step(TITLES["echo"], sizes.n_echo / 5000 + 1))
        await self._echo()

    async def _calibrate(self, kind: str, subjects: Sequence[str]) -> None:
        """Warm every subject up, and find out how many documents it should get."""
        make = mixed if kind == MIX else tickets
        warm = await asyncio.to_thread(make, _WARM_DOCUMENTS, seed=_SEED + 1)
        speeds: dict[str, float] = {}
        for name in subjects:
            self._on_step(Step(f"warming up {TITLES[name]}", 2.5))
            count = _WARM_DOCUMENTS // (1 if name not in SLOW else 4)
            speeds[name] = (await self._pass(name, kind, warm[:count])).documents_per_s
        for name in subjects:
            # The first window of a subject takes long, so what Kafka is read with is expected to be as fast as without.
            fast = speeds["bare"] if name in ("exactly-once", "at-least-once") else speeds[name]
            self._counts[name, kind] = how_many(fast, self._sizes.seconds(name), block=_BLOCK)
        most = max(self._counts[name, kind] for name in subjects)
        self._documents[kind] = await asyncio.to_thread(make, most, seed=_SEED)

    async def _measure(self, name: str, kind: str) -> None:
        documents = self._documents[kind][: self._counts[name, kind]]
        self._findings.passes.append(await self._pass(name, kind, documents))

    async def _pass(self, name: str, kind: str, documents: Sequence[BenchDocument]) -> Pass:
        if name in self._stage.lines:
            return await self._through_kafka(name, kind, documents)
        return await self._without_kafka(name, kind, documents)

    async def _without_kafka(self, name: str, kind: str, documents: Sequence[BenchDocument]) -> Pass:
        texts, entities = (self._stage.folder / f"{name}.{what}.json" for what in ("texts", "entities"))
        texts.write_bytes(orjson.dumps([document.text for document in documents]))
        before_s, started = busy_s(), time.perf_counter()
        answer = await self._stage.children[name].ask("run", texts=texts, entities=entities)
        after_s, seconds = busy_s(), time.perf_counter() - started
        found = orjson.loads(entities.read_bytes())
        return Pass(
            name,
            kind,
            n_documents=len(documents),
            n_tokens=_n_tokens(documents),
            seconds=answer["seconds"],
            cpu_s=answer["spent_cpu_s"],
            rss_mb=answer["rss_mb"],
            spans={document.id: spans_of(each) for document, each in zip(documents, found, strict=True)},
            others=share_of_others(before_s, after_s, ours_s=answer["spent_cpu_s"], seconds=seconds),
        )

    async def _through_kafka(self, name: str, kind: str, documents: Sequence[BenchDocument]) -> Pass:
        child = self._stage.children[name]
        before = await child.ask("stages")
        passage = await self._stage.lines[name].run(documents, tag=self._tag())
        after = await child.ask("stages")
        return Pass(
            name,
            kind,
            n_documents=len(documents),
            n_tokens=_n_tokens(documents),
            seconds=passage.seconds,
            cpu_s=after["cpu_s"] - before["cpu_s"],
            rss_mb=after["rss_mb"],
            spans=_spans(passage),
            lost=passage.lost,
            extra=passage.extra,
            stages=_difference(after.get("stages", {}), before.get("stages", {})),
        )

    async def _latency(self, name: str) -> None:
        per_s = LOAD * max(each.documents_per_s for each in self._findings.of(name, TICKETS))
        # In two passages: what queued up while the JVM was compiling is answered before the clock starts.
        for seconds, seed in ((self._sizes.latency_warm_s, _SEED + 3), (self._sizes.latency_s, _SEED + 2)):
            documents = await asyncio.to_thread(tickets, max(20, int(per_s * seconds)), seed=seed)
            passage = await self._stage.lines[name].run(documents, tag=self._tag(), per_s=per_s)
        self._findings.latencies.append(Latency(name, per_s, passage.latencies()))

    async def _echo(self) -> None:
        few = await asyncio.to_thread(mixed, _ECHO_TEXTS, seed=_SEED)
        many = [
            replace(few[at % len(few)], id=f"{few[at % len(few)].id}-{at // len(few)}")
            for at in range(self._sizes.n_echo)
        ]
        await self._through_kafka("echo", MIX, few)
        self._findings.passes.append(await self._through_kafka("echo", MIX, many))

    def _tag(self) -> str:
        self._number += 1
        return f"{self._number:04d}"


def _n_tokens(documents: Sequence[BenchDocument]) -> int:
    return sum(document.n_tokens for document in documents)


def _spans(passage: Passage) -> dict[str, Spans]:
    return {arrival.document.partition("/")[2]: arrival.spans for arrival in passage.arrivals}


def _difference(after: dict[str, float], before: dict[str, float]) -> dict[str, float]:
    return {name: seconds - before.get(name, 0.0) for name, seconds in after.items()}

"""One job's training: its folder, its child process, and what makes it stop early."""

import asyncio
import logging
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

from agents.labels import ProjectLabels, read_labels
from agents.registry import Registry, RegistryFollower
from agents.settings import Settings
from agents.trainer.child import COMMAND, Crashed, Ended, Failed, Report, run_child
from agents.trainer.outcome import is_cancelled
from schemas.errors import Disposition, Fenced, LexstreamError
from schemas.labels import LabelledDocument
from schemas.records import JobRecord

logger = logging.getLogger(__name__)

_ATTEMPTS = 2
T = TypeVar("T")


class Cancelled:
    """A training was stopped before its end, as somebody wished."""


class Workshop:
    """Trains one job at a time, in a child process."""

    def __init__(self, settings: Settings, registry: RegistryFollower, *, command: Sequence[str] = COMMAND) -> None:
        """Make a workshop whose children are started by ``command``."""
        self._settings = settings
        self._registry = registry
        self._command = command

    async def train(
        self, job: JobRecord, on_progress: Callable[[Report], Awaitable[None]], *, lost: asyncio.Event
    ) -> Ended | Cancelled:
        """Return how the training of ``job`` ended. The child is gone when this returns, raises or is cancelled.

        Args:
            job: What to do.
            on_progress: Called with each report of progress.
            lost: Set when another trainer has the job now.

        Raises:
            Fenced: If ``lost`` was set.
            KafkaError: If Kafka does not tell where the registry ends.
            Unavailable: If Kafka does not answer when the labels are read.
        """
        async with AsyncExitStack() as stack:
            training = _task(stack, self._train(job, on_progress), name="training")
            cancelled = _task(
                stack, self._registry.wait_for(lambda registry: is_cancelled(registry, job.id)), name="cancelled"
            )
            losing = _task(stack, lost.wait(), name="lost")
            done, _ = await asyncio.wait({training, cancelled, losing}, return_when=asyncio.FIRST_COMPLETED)
            if losing in done:
                raise Fenced(f"another trainer has the job {job.id}")
            return training.result() if training in done else Cancelled()

    async def _train(self, job: JobRecord, on_progress: Callable[[Report], Awaitable[None]]) -> Ended:
        with tempfile.TemporaryDirectory(prefix="lexstream-job-") as name:
            try:
                await self._prepare(job, Path(name))
            except LexstreamError as error:
                if error.disposition is not Disposition.REJECT:
                    raise
                return Failed([str(error)])
            how: Ended = Crashed("it was never started")
            for attempt in range(1, _ATTEMPTS + 1):
                how = await run_child(Path(name), on_progress, command=self._command)
                if not isinstance(how, Crashed):
                    break
                logger.warning(
                    "job %s, attempt %d of %d: %s", job.id, attempt, _ATTEMPTS, how.reason, extra={"action": "training"}
                )
            return how

    async def _prepare(self, job: JobRecord, folder: Path) -> None:
        registry, labels = await self._present(job.project)
        labels.require_all()
        extra = {"action": "training_data", "offsets": labels.offsets, "digest": labels.digest}
        logger.info("job %s has %d documents", job.id, len(labels.documents), extra=extra)
        await asyncio.to_thread(_write, folder, registry, job, list(labels.documents), self._settings.store_url)

    async def _present(self, project: str) -> tuple[Registry, ProjectLabels]:
        """Return the registry and the labels of one moment: an import writes categories to the one, with the others."""
        before = await self._registry.catch_up()
        while True:
            labels = await read_labels(self._settings, project)
            registry = await self._registry.catch_up()
            if registry.project(project) == before.project(project):
                return registry, labels
            before = registry


def _write(folder: Path, registry: Registry, job: JobRecord, documents: list[LabelledDocument], store: str) -> None:
    from models.training.job import TrainingJob, write_job

    project = registry.project(job.project)
    model = registry.model(job.project, job.evaluate.model_label) if job.evaluate else None
    if project is None or (job.evaluate and model is None):
        raise LexstreamError("the project or the model was deleted; expected both to be there until the job has ended")
    task = TrainingJob(
        job_id=job.id,
        project=job.project,
        kind=project.kind,
        categories=project.categories,
        language=project.language,
        multilingual=project.multilingual,
        confidence_threshold=project.confidence_threshold,
        type=job.type,
        train=job.train,
        model=model.digest if model else None,
        store=store,
    )
    write_job(folder, task, documents)


def _task(stack: AsyncExitStack, work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
    task = asyncio.create_task(work, name=name)
    stack.push_async_callback(_cancelled, task)
    return task


async def _cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled() and (error := task.exception()):
        logger.debug("%s ended with %r", task.get_name(), error)

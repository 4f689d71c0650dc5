"""Which micro-batch runs next: several windows at a time, the urgent ones first, and none starves."""

import threading
from collections import deque
from concurrent.futures import Future
from enum import IntEnum

from models.engine.calls import CallThread
from models.engine.reading import Answer, MicroBatch, Reading

FAIR_EVERY = 4
"""Every so many micro-batches, the urgency that has waited longest has its turn."""


class Urgency(IntEnum):
    """How soon a window is wanted; the lowest number first. A lane's long documents come after its windows."""

    INTERACTIVE = 0
    INTERACTIVE_LONG = 1
    BULK = 2
    BULK_LONG = 3


LONG = frozenset({Urgency.INTERACTIVE_LONG, Urgency.BULK_LONG})
"""Urgencies whose windows take turns: none should wait until a document of megabytes is through."""


class Fairness:
    """Who is next among those that wait."""

    def __init__(self) -> None:
        self._turn = 0
        self._served = dict.fromkeys(Urgency, 0)

    def order(self, waiting: list[Urgency]) -> list[Urgency]:
        """Return the urgencies in the order in which they should be asked for work."""
        if self._turn % FAIR_EVERY == FAIR_EVERY - 1:
            return sorted(waiting, key=lambda urgency: (self._served[urgency], urgency))
        return sorted(waiting)

    def serve(self, urgency: Urgency) -> None:
        """Note who was served."""
        self._turn += 1
        self._served[urgency] = self._turn


class _Job:
    """A window between being handed in and being answered."""

    def __init__(self, reading: Reading, urgency: Urgency) -> None:
        self.reading = reading
        self.urgency = urgency
        self.future: Future[list[Answer]] = Future()
        self.running = 0

    def answer(self) -> None:
        """Hand out the answers, or what nobody foresaw, unless nobody wants to know any more."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            self.future.set_result(self.reading.answers())
        except BaseException as error:
            self.future.set_exception(error)

    def fail(self, error: BaseException) -> None:
        """Hand out what went wrong."""
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)


class Scheduler:
    """Threads that take readings through the models.

    One thread tokenises, so that the next window is ready when this one is through; another tokenises long documents,
    so that nobody waits for them. The others run micro-batches.
    """

    def __init__(self, n_threads: int) -> None:
        """Start ``n_threads`` for micro-batches, and the two that tokenise."""
        self._changed = threading.Condition()
        self._waiting: dict[Urgency, deque[_Job]] = {urgency: deque() for urgency in Urgency}
        self._fairness = Fairness()
        self._closed = False
        self._tokenising = CallThread("tokenise")
        self._tokenising_long = CallThread("tokenise-long")
        for number in range(n_threads):
            threading.Thread(target=self._work, name=f"model-{number}", daemon=True).start()

    def submit(self, reading: Reading, urgency: Urgency) -> "Future[list[Answer]]":
        """Take a reading through the models; cancelling the future ends it between two micro-batches."""
        job = _Job(reading, urgency)
        thread = self._tokenising_long if urgency in LONG else self._tokenising
        thread.submit(lambda: self._prepare(job))
        return job.future

    def waiting(self, urgency: Urgency) -> int:
        """Return how many windows have micro-batches that wait."""
        with self._changed:
            return len(self._waiting[urgency])

    def close(self) -> None:
        """Let the threads end after what they do now."""
        self._tokenising.stop()
        self._tokenising_long.stop()
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _prepare(self, job: _Job) -> None:
        if job.future.cancelled():
            return
        try:
            job.reading.prepare()
        except BaseException as error:
            job.fail(error)
            return
        if not job.reading.batches:
            job.answer()
            return
        with self._changed:
            self._waiting[job.urgency].append(job)
            self._changed.notify_all()

    def _work(self) -> None:
        while picked := self._picked():
            job, batch = picked
            try:
                job.reading.run(batch, freed=self._freed)
            finally:
                self._ran(job)
            del picked, job, batch  # an idle thread must not hold a window

    def _picked(self) -> tuple[_Job, MicroBatch] | None:
        with self._changed:
            while True:
                if self._closed:
                    return None
                if picked := self._pick():
                    return picked
                self._changed.wait()

    def _pick(self) -> tuple[_Job, MicroBatch] | None:
        """Return the most urgent micro-batch whose encoder has a stream to spare, which is then taken."""
        for urgency in self._fairness.order([urgency for urgency, jobs in self._waiting.items() if jobs]):
            jobs = self._waiting[urgency]
            for job in [job for job in jobs if job.future.cancelled()]:
                jobs.remove(job)
            for job in jobs:
                if job.reading.batches[0].model.permits.acquire(blocking=False):
                    self._fairness.serve(urgency)
                    return job, self._taken(job)
        return None

    def _taken(self, job: _Job) -> MicroBatch:
        job.running += 1
        jobs, batch = self._waiting[job.urgency], job.reading.batches.popleft()
        if not job.reading.batches:
            jobs.remove(job)
        elif job.urgency in LONG:
            jobs.remove(job)
            jobs.append(job)
        return batch

    def _freed(self) -> None:
        """Tell those who wait that an encoder has a stream to spare."""
        with self._changed:
            self._changed.notify_all()

    def _ran(self, job: _Job) -> None:
        with self._changed:
            job.running -= 1
            done = not job.running and not job.reading.batches
            self._changed.notify_all()
        if done:
            job.answer()

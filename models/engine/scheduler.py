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
    """How soon a window is wanted; the lowest number first."""

    INTERACTIVE = 0
    BULK = 1
    LONG = 2


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
        thread = self._tokenising_long if urgency is Urgency.LONG else self._tokenising
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
                job.reading.run(batch)
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
        for urgency in self._fairness.order([urgency for urgency, jobs in self._waiting.items() if jobs]):
            jobs = self._waiting[urgency]
            while jobs and jobs[0].future.cancelled():
                jobs.popleft()
            if jobs:
                self._fairness.serve(urgency)
                job = jobs[0]
                job.running += 1
                batch = job.reading.batches.popleft()
                if not job.reading.batches:
                    jobs.popleft()
                return job, batch
        return None

    def _ran(self, job: _Job) -> None:
        with self._changed:
            job.running -= 1
            done = not job.running and not job.reading.batches
        if done:
            job.answer()

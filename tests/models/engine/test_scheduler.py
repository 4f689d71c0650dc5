import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.engine.backend import Backend, Floats, Ints
from models.engine.engine import Engine, LoadedModel, Request, Urgency
from models.engine.reading import Reading
from models.engine.scheduler import FAIR_EVERY, Fairness, Scheduler
from models.plans import Plan
from models.store import Store
from tests.models.artefacts import make_manifest

WAIT_S = 20
LETTERS = "abcdefgh"


class Gated:
    """A backend that says what it is asked, and waits for leave to answer."""

    def __init__(self, inner: Backend, *, streams: int = 1) -> None:
        self._inner = inner
        self.plan = Plan(backend="gated", streams=streams, max_padded_tokens=16)  # one text a micro-batch
        self.nbytes = inner.nbytes
        self.permits = threading.Semaphore(streams)
        self.asked: list[int] = []
        self.leave = threading.Semaphore(0)
        self.arrived = threading.Semaphore(0)

    def encode(self, ids: Ints, mask: Ints) -> Floats:
        self.asked.append(int(ids[0, 1]))
        self.arrived.release()
        assert self.leave.acquire(timeout=WAIT_S)
        return self._inner.encode(ids, mask)

    def wait_for(self, n_calls: int) -> None:
        for _ in range(n_calls):
            assert self.arrived.acquire(timeout=WAIT_S)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    store = Store(f"file://{tmp_path_factory.mktemp('store')}")
    return Engine(store).load(store.save_manifest(make_manifest(store)))


@pytest.fixture
def gated(model: LoadedModel) -> Gated:
    return Gated(model.backend)


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    made = Scheduler(2)
    yield made
    made.close()


def reading(model: LoadedModel, backend: Gated, texts: str) -> Reading:
    asked = replace(model, backend=backend, permits=backend.permits)
    return Reading([Request(f"{letter} " * 12, (asked,)) for letter in texts], observe=lambda _stage, _seconds: None)


def ids_of(model: LoadedModel, texts: str) -> list[int]:
    return [int(tokens.ids[0]) for tokens in model.tokenizer.encode(list(texts))]


def test_what_is_submitted_is_answered_as_by_predict(tmp_path_factory: pytest.TempPathFactory) -> None:
    store = Store(f"file://{tmp_path_factory.mktemp('store')}")
    texts = ["On 5 May Mr. Smith took a loan. " * n for n in (1, 0, 7, 90, 3)]
    with Engine(store) as engine:
        model = engine.load(store.save_manifest(make_manifest(store)))
        requests = [Request(text, (model,)) for text in texts]
        futures = [engine.submit(requests, urgency) for urgency in Urgency]
        assert [future.result(WAIT_S) for future in futures] == [engine.predict(requests)] * len(Urgency)


def test_an_interactive_window_overtakes_a_bulk_window(scheduler: Scheduler, model: LoadedModel, gated: Gated) -> None:
    bulk = scheduler.submit(reading(model, gated, LETTERS), Urgency.BULK)
    gated.wait_for(1)
    urgent = scheduler.submit(reading(model, gated, "z"), Urgency.INTERACTIVE)
    while not scheduler.waiting(Urgency.INTERACTIVE):
        time.sleep(0.001)
    gated.leave.release(len(LETTERS) + 1)
    assert len(urgent.result(WAIT_S)) == 1
    assert len(bulk.result(WAIT_S)) == len(LETTERS)
    assert gated.asked.index(*ids_of(model, "z")) == 1  # after the one that was on its way


def test_a_long_document_lets_others_through(scheduler: Scheduler, model: LoadedModel, gated: Gated) -> None:
    long = scheduler.submit(reading(model, gated, LETTERS), Urgency.BULK_LONG)
    gated.wait_for(1)
    bulk = scheduler.submit(reading(model, gated, "z"), Urgency.BULK)
    while not scheduler.waiting(Urgency.BULK):
        time.sleep(0.001)
    gated.leave.release(3)
    bulk.result(WAIT_S)
    assert not long.done()
    gated.leave.release(len(LETTERS))
    assert len(long.result(WAIT_S)) == len(LETTERS)


def test_long_documents_take_turns(scheduler: Scheduler, model: LoadedModel, gated: Gated) -> None:
    book = scheduler.submit(reading(model, gated, LETTERS), Urgency.BULK_LONG)
    gated.wait_for(1)
    letter = scheduler.submit(reading(model, gated, "xyz"), Urgency.BULK_LONG)
    while scheduler.waiting(Urgency.BULK_LONG) < 2:
        time.sleep(0.001)
    gated.leave.release(7)
    letter.result(WAIT_S)
    assert not book.done()
    gated.leave.release(len(LETTERS))
    assert len(book.result(WAIT_S)) == len(LETTERS)


def test_nobody_waits_for_another_encoder(scheduler: Scheduler, model: LoadedModel, gated: Gated) -> None:
    busy = scheduler.submit(reading(model, gated, LETTERS), Urgency.INTERACTIVE)
    gated.wait_for(1)
    free = Gated(model.backend)
    free.leave.release()
    scheduler.submit(reading(model, free, "z"), Urgency.BULK).result(WAIT_S)
    assert not busy.done()
    gated.leave.release(len(LETTERS))
    busy.result(WAIT_S)


def test_as_many_micro_batches_at_a_time_as_the_plan_has_streams(scheduler: Scheduler, model: LoadedModel) -> None:
    both = Gated(model.backend, streams=2)
    future = scheduler.submit(reading(model, both, "ab"), Urgency.BULK)
    both.wait_for(2)
    both.leave.release(2)
    future.result(WAIT_S)
    single = Gated(model.backend)
    future = scheduler.submit(reading(model, single, "ab"), Urgency.BULK)
    single.wait_for(1)
    assert not single.arrived.acquire(timeout=0.05)
    single.leave.release(2)
    future.result(WAIT_S)


def test_a_cancelled_window_is_given_up_between_micro_batches(
    scheduler: Scheduler, model: LoadedModel, gated: Gated
) -> None:
    future = scheduler.submit(reading(model, gated, LETTERS), Urgency.BULK)
    gated.wait_for(1)
    assert future.cancel()
    gated.leave.release(len(LETTERS) + 1)
    with pytest.raises(CancelledError):
        future.result(WAIT_S)
    assert len(scheduler.submit(reading(model, gated, "z"), Urgency.BULK).result(WAIT_S)) == 1
    assert len(gated.asked) <= 3


def test_what_nobody_foresaw_reaches_the_caller(scheduler: Scheduler, model: LoadedModel, gated: Gated) -> None:
    class Broken(Reading):
        def prepare(self) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        scheduler.submit(Broken([], observe=lambda _stage, _seconds: None), Urgency.BULK).result(WAIT_S)


@given(present=st.sets(st.sampled_from(Urgency), min_size=1))
def test_the_urgent_go_first_and_none_starves(present: set[Urgency]) -> None:
    fairness, served = Fairness(), []
    for _ in range(FAIR_EVERY * len(Urgency) * 2):
        served.append(fairness.order(list(present))[0])
        fairness.serve(served[-1])
    assert set(served) == present
    assert served.count(min(present)) >= len(served) * (FAIR_EVERY - 1) // FAIR_EVERY

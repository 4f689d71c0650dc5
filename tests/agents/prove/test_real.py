"""The engine that obeys, around one that would not; and models found in a store."""

from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from agents.inference import Answer, Request, Urgency
from agents.prove.echo import SLOW_S
from agents.prove.events import BREAKS
from agents.prove.real import TroubledEngine, find_model
from models.store import Store
from schemas.errors import InvalidInput, ModelError


class FakeEngine:
    """Answers with the length of each text, when it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[str], Future[list[Answer]]]] = []

    def load(self, digest: str) -> Any:
        return digest

    def unload(self, _digest: str) -> None:
        """Nothing is loaded."""

    def loaded_bytes(self) -> int:
        return 7

    def submit(self, requests: Sequence[Request], _urgency: Urgency) -> "Future[list[Answer]]":
        future: Future[list[Answer]] = Future()
        self.asked.append(([request.text for request in requests], future))
        return future

    def answer(self) -> None:
        texts, future = self.asked.pop()
        if future.set_running_or_notify_cancel():
            future.set_result([[{"entities": [], "classes": []}] for _ in texts])


def requests(*texts: str) -> list[Request]:
    return [Request(text, ()) for text in texts]


def test_the_model_breaks_on_a_word_and_its_neighbours_are_answered_in_their_places() -> None:
    inner = FakeEngine()
    asked = TroubledEngine(inner).submit(requests("a", f"this {BREAKS}", "b"), Urgency.BULK)
    assert inner.asked[0][0] == ["a", "b"]
    inner.answer()
    assert [isinstance(answer, ModelError) for answer in asked.result(1)] == [False, True, False]


def test_what_is_given_up_is_given_up_inside_and_an_error_comes_out() -> None:
    inner = FakeEngine()
    engine = TroubledEngine(inner)
    assert engine.submit(requests("a"), Urgency.BULK).cancel()
    assert inner.asked.pop()[1].cancelled()
    asked = engine.submit(requests("a"), Urgency.BULK)
    inner.asked.pop()[1].set_exception(ZeroDivisionError("boom"))
    with pytest.raises(ZeroDivisionError):
        asked.result(1)


def test_told_to_be_slow_it_answers_later(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    class Timer:
        def __init__(self, seconds: float, call: Any) -> None:
            waited.append(seconds)
            self.start = call

    monkeypatch.setattr("agents.prove.real.threading.Timer", Timer)
    inner = FakeEngine()
    engine = TroubledEngine(inner)
    engine.slow_down()
    asked, answered = engine.submit(requests("a"), Urgency.BULK), Event()
    asked.add_done_callback(lambda _: answered.set())
    inner.answer()
    assert answered.is_set()
    assert waited == [SLOW_S]


def test_a_model_that_is_not_in_the_store_is_named_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="expected one of: none is there"):
        find_model(Store(tmp_path.as_uri()), "loans/v1")

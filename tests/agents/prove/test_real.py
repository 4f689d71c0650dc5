"""The engine that obeys, around one that would not; and models found in a store."""

from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from pydantic import TypeAdapter

from agents.inference import Answer, Request, Urgency
from agents.prove.echo import SLOW_S
from agents.prove.events import BREAKS
from agents.prove.real import N_MODELS, TroubledEngine, comparable, copies, find_model, thresholds
from models.decoding import NO_CLASS
from models.manifest import EncoderManifest, Manifest
from models.plans import Plan
from models.store import Store
from schemas.errors import InvalidInput, ModelError
from schemas.names import Kind, Name


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


def manifest(kind: Kind, **given: Any) -> Manifest:
    digest = f"sha256:{0:064x}"
    files: Any = {"model.safetensors": digest, "config.json": digest, "tokenizer.json": digest}
    encoder = EncoderManifest(name="tiny", hidden_size=32, max_tokens=128, files=files)
    told = {"project": "p", "label": "x" * 50, "kind": kind, "categories": ["a", "b"], "language": "en"}
    return Manifest(**told | given, encoder=encoder, head=digest, plan=Plan(backend="torch-fp32"))


def test_copies_are_other_models_whose_labels_fit_whatever_the_label_of_the_model() -> None:
    made = copies(manifest(Kind.ENTITIES))
    assert len({each.digest for each in made}) == N_MODELS
    assert [TypeAdapter(Name).validate_python(each.label) for each in made] == ["x" * 50, "copy-2", "copy-3", "copy-4"]


@pytest.mark.parametrize(
    ("backend", "serves"),
    [("onnx-int8", "onnx-fp32"), ("openvino-int8", "openvino-int8"), ("torch-bf16", "torch-bf16")],
)
def test_a_backend_whose_answers_depend_on_what_is_read_beside_gives_way_to_fp32(backend: str, serves: str) -> None:
    plan = Plan(backend=backend, streams=2, max_padded_tokens=512)
    made = comparable(plan, ["torch-fp32", "onnx-fp32", "onnx-int8"])
    assert made == plan.model_copy(update={"backend": serves})
    assert comparable(Plan(backend="onnx-int8"), ["onnx-int8", "torch-fp32"]).backend == "torch-fp32"


def test_a_threshold_of_a_class_is_where_answers_may_change_by_moving_a_little() -> None:
    assert thresholds(manifest(Kind.ENTITIES)) == thresholds(manifest(Kind.SINGLE_LABEL)) == {}
    single = manifest(Kind.SINGLE_LABEL, confidence_threshold=0.9)
    assert thresholds(single) == {"a": 0.9, "b": 0.9, NO_CLASS: 0.9}
    assert thresholds(manifest(Kind.MULTI_LABEL, thresholds={"a": 0.7})) == {"a": 0.7, "b": 0.5}

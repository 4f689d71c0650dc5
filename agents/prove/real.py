"""A real model: put into the run's own store, asked once by the bare engine, and served by an engine that obeys.

``python -m agents.prove.real`` with the settings, the model's name, and the run's store and corpus file as JSON on
stdin: a process of its own, since what runs models takes memory and threads.
"""

import json
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final

from agents.inference import Answer, Engine, LoadedModel, Request, Urgency
from agents.leaving import exit_code
from agents.prove.echo import SLOW_FOR_S, SLOW_S
from agents.prove.events import BREAKS
from agents.prove.expected import BY_COMPANY
from agents.settings import Settings
from models.decoding import DEFAULT_THRESHOLD, NO_CLASS
from models.engine.engine import Engine as RealEngine
from models.engine.loading import possible_backends
from models.manifest import Manifest
from models.plans import Plan
from models.store import Store
from models.tuning.machine import this_machine
from models.tuning.search import Limits
from models.tuning.tuner import Tuner
from schemas.errors import InvalidInput, LexstreamError, ModelError
from schemas.names import Kind

N_MODELS: Final = 4
"""The model and copies of it under other labels: other digests, the same answers."""
_FP32: Final = ("onnx-fp32", "torch-fp32")
_N_TEXTS: Final = 300
_N_LONG: Final = 4
_LONG_CHARS: Final = 20_000
_SEED: Final = 23


class TroubledEngine:
    """A real engine that breaks on a word, and is slow when told to."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._slow_until = 0.0

    def load(self, digest: str) -> LoadedModel:
        """Return the model."""
        return self._engine.load(digest)

    def unload(self, digest: str) -> None:
        """Forget the model."""
        self._engine.unload(digest)

    def loaded_bytes(self) -> int:
        """Return the memory of all models."""
        return self._engine.loaded_bytes()

    def slow_down(self) -> None:
        """Take its time for a while."""
        self._slow_until = time.monotonic() + SLOW_FOR_S

    def submit(self, requests: Sequence[Request], urgency: Urgency) -> "Future[list[Answer]]":
        """Return what will be the answers; the model breaks where it is told to."""
        good = [request for request in requests if BREAKS not in request.text]
        asked, answered = self._engine.submit(good, urgency), Future[list[Answer]]()

        def finish() -> None:
            if not answered.set_running_or_notify_cancel():
                return
            if error := asked.exception():
                answered.set_exception(error)
                return
            answers = iter(asked.result())
            answered.set_result([_broken() if BREAKS in each.text else next(answers) for each in requests])

        def arrived(_: object) -> None:
            if asked.cancelled():
                answered.cancel()
                answered.set_running_or_notify_cancel()
            elif time.monotonic() < self._slow_until:
                threading.Timer(SLOW_S, finish).start()
            else:
                finish()

        answered.add_done_callback(lambda future: asked.cancel() if future.cancelled() else None)
        asked.add_done_callback(arrived)
        return answered


def real_engine(settings: Settings, plan: Mapping[str, Any]) -> TroubledEngine:
    """Return an engine on the run's store; every model runs by the same plan."""
    chosen = Plan.model_validate(plan)
    return TroubledEngine(RealEngine(Store(settings.store_url), plan_of=lambda _: chosen))


def find_model(store: Store, name: str) -> Manifest:
    """Return the manifest of a model by its digest, or by ``PROJECT/LABEL``.

    Raises:
        InvalidInput: There is none in the store, or several.
        ArtefactError: There is no such digest.
    """
    if name.startswith("sha256:"):
        return store.load_manifest(name)
    manifests = [store.load_manifest(digest) for digest in store.models()]
    found = [each for each in manifests if f"{each.project}/{each.label}" == name]
    if len(found) == 1:
        return found[0]
    if found:
        digests = ", ".join(each.digest for each in found)
        raise InvalidInput(
            [f"{len(found)} models of {store.url} are {name}; expected one: name its digest ({digests})"]
        )
    known = sorted({f"{each.project}/{each.label}" for each in manifests})
    raise InvalidInput([f"got no model {name} in {store.url}, expected one of: {', '.join(known) or 'none is there'}"])


def main() -> None:
    """Copy the model, ask it, and write the corpus."""
    given = json.loads(sys.stdin.read())
    settings = Settings(**given["settings"])
    try:
        corpus = _prepared(settings, given["model"], Store(given["store"]))
    except LexstreamError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(exit_code(error))
    Path(given["corpus"]).write_text(json.dumps(corpus), "utf-8")


def _prepared(settings: Settings, name: str, own: Store) -> dict[str, Any]:
    source = Store(settings.store_url)
    manifest = find_model(source, name)
    for blob in manifest.blobs:
        own.put(source.get(blob))
    models = [(copy.label, own.save_manifest(copy)) for copy in copies(manifest)]
    tuner = Tuner(
        source,
        backend=settings.backend,
        machine=this_machine(settings.threads or None),
        limits=Limits(budget_s=settings.tuning_s),
    )
    plan = comparable(tuner.plan_of(manifest), possible_backends(manifest))
    texts, long = _texts(manifest)
    bounds = thresholds(manifest)
    with RealEngine(own, plan_of=lambda _: plan) as engine:
        model = engine.load(models[0][1])
        answers = engine.predict([Request(text, (model,)) for text in [*texts, *long]])
    return {
        "texts": texts,
        "long": long,
        "answers": {text: _answer(answer) for text, answer in zip([*texts, *long], answers, strict=True)},
        "kind": manifest.kind,
        "models": models,
        "plan": plan.payload(),
        "categories": sorted({*manifest.categories, *bounds}),
        "thresholds": bounds,
    }


def copies(manifest: Manifest) -> list[Manifest]:
    """Return the model and what differs from it in nothing but the label, which says nothing of the model's own."""
    return [manifest, *(manifest.model_copy(update={"label": f"copy-{n}"}) for n in range(2, N_MODELS + 1))]


def comparable(plan: Plan, backends: Sequence[str]) -> Plan:
    """Return the plan, with FP32 in the place of a backend that answers otherwise in other company.

    Args:
        plan: How a worker would run the model.
        backends: That the model can run on here.
    """
    if plan.backend != BY_COMPANY:
        return plan
    return plan.model_copy(update={"backend": next(each for each in _FP32 if each in backends)})


def thresholds(manifest: Manifest) -> dict[str, float]:
    """Return from which confidence on the model names a category, if not from any."""
    if manifest.kind is Kind.MULTI_LABEL:
        return {each: manifest.thresholds.get(each, DEFAULT_THRESHOLD) for each in manifest.categories}
    if manifest.kind is Kind.SINGLE_LABEL and manifest.confidence_threshold is not None:
        return dict.fromkeys([*manifest.categories, NO_CLASS], manifest.confidence_threshold)
    return {}


def _texts(manifest: Manifest) -> tuple[list[str], list[str]]:
    """Return the texts of the model's own self-test and the benchmark's, and long ones made of them."""
    from agents.bench.documents import mixed

    own = [test.text for test in manifest.self_test if len(test.text) < _LONG_CHARS // 4]
    texts = list(dict.fromkeys([*own, *(document.text for document in mixed(_N_TEXTS, seed=_SEED))]))
    long = []
    for number in range(_N_LONG):
        turned = " ".join(texts[number:])
        long.append(f"{number + 1}. {turned}"[:_LONG_CHARS])
    return texts, long


def _answer(answer: Answer) -> Mapping[str, Any]:
    if isinstance(answer, ModelError):
        raise answer
    return dict(answer[0])


def _broken() -> ModelError:
    return ModelError("the model was told to break")


if __name__ == "__main__":
    main()

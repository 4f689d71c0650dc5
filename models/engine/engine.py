"""The engine: loads models, and answers windows of documents with them."""

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Lock, Semaphore
from types import TracebackType
from typing import Self

from threadpoolctl import threadpool_limits

from models.engine.backend import Backend
from models.engine.cpus import available_cpus
from models.engine.inspection import TOKENIZER_BYTES, check_files
from models.engine.loading import (
    LoadedModel,
    Shared,
    check_backend,
    check_lengths,
    load_backend,
    load_head,
    parts_of,
)
from models.engine.readers import Prediction
from models.engine.reading import Answer, Observe, Reading, Request
from models.engine.scheduler import Scheduler, Urgency
from models.engine.selftest import check_self_test
from models.manifest import TOKENIZER, Manifest
from models.plans import Plan
from models.store import Store
from models.tokenization import Tokenizer
from schemas.errors import ArtefactError, LexstreamError, ModelError, SelfTestFailed, Unavailable

__all__ = ["Answer", "Engine", "LoadedModel", "Prediction", "Request", "Urgency"]

logger = logging.getLogger(__name__)

_WARM_TEXTS = ("Warm.", "Warm the model up before it serves. " * 40)
_FEWEST_THREADS = 2
"""While one thread has the encoder, another hands out what the encoder said before."""

PlanOf = Callable[[Manifest], Plan]


def own_plan(manifest: Manifest) -> Plan:
    """Return a plan of the backend that a manifest names: one micro-batch at a time, on all processors."""
    return Plan(backend=manifest.backend, threads=available_cpus())


def _unobserved(_stage: str, _seconds: float) -> None:
    """Nobody asked for the time of stages."""


class Engine:
    """Loaded models, and what they share. All methods may be called from any thread.

    Use it as a context manager, or ``close`` it, once ``submit`` was called.
    """

    def __init__(self, store: Store, *, plan_of: PlanOf = own_plan, observe: Observe = _unobserved) -> None:
        """Make an engine without models. NumPy's BLAS has one thread in this process from then on.

        Args:
            store: Where artefacts come from.
            plan_of: Says how a model's encoder runs; called when a model is loaded, and may take long.
            observe: Called with each stage of a window (tokenise, segment, forward, head, decode) and its seconds.
        """
        # The heads' products are so small that waking a second BLAS thread, on cores that are busy with the forward
        # pass or another process, costs many times what it does: 15 ms a segment against 0.5 under load.
        threadpool_limits(limits=1, user_api="blas")
        self._store = store
        self._plan_of = plan_of
        self._observe = observe
        self._lock = Lock()
        self._models: dict[str, LoadedModel] = {}
        self._encoders: Shared[_Encoder] = Shared()
        self._tokenizers: Shared[Tokenizer] = Shared()
        self._starting = Lock()  # not the other one: that is held while a model loads
        self._scheduler: Scheduler | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def load(self, digest: str) -> LoadedModel:
        """Load, verify, test and warm a model; one that is loaded already is returned as it is. Blocks for seconds.

        Raises:
            ArtefactError: It is not in the store, is damaged, does not fit this version, or fails its self-test.
            Unavailable: The store does not answer.
        """
        with self._lock:
            if digest not in self._models:
                with _enough_memory(f"model {digest}"):
                    self._models[digest] = self._prepared(self._store.load_manifest(digest))
            return self._models[digest]

    def load_draft(self, manifest: Manifest) -> LoadedModel:
        """Load a model whose manifest is not stored yet, as a training does before it knows the self-test.

        Raises:
            As ``load``.
        """
        with self._lock:
            if manifest.digest not in self._models:
                with _enough_memory(f"model {manifest.label}"):
                    self._models[manifest.digest] = self._prepared(manifest)
            return self._models[manifest.digest]

    def unload(self, digest: str) -> None:
        """Drop a model, and what nobody else shares with it; one that is not loaded is no error."""
        with self._lock:
            model = self._models.pop(digest, None)
            if model is not None:
                self._give_back(model)

    def loaded_bytes(self) -> int:
        """Return the memory of all loaded models; what they share counts once."""
        models = list(self._models.values())
        return sum(backend.nbytes for backend, _ in self._encoders.held()) + sum(model.own_nbytes for model in models)

    def submit(self, requests: Sequence[Request], urgency: Urgency = Urgency.BULK) -> "Future[list[Answer]]":
        """Ask the models of documents, and go on; cancelling the future gives up what was not read yet.

        Windows are read at the same time as far as the plans have streams, and tokenised while others are read.

        Returns:
            What will be as ``predict`` says.
        """
        with self._starting:
            if self._scheduler is None:
                self._scheduler = Scheduler(max(_FEWEST_THREADS, available_cpus()))
        return self._scheduler.submit(Reading(requests, observe=self._observe), urgency)

    def predict(self, requests: Sequence[Request]) -> list[Answer]:
        """Return what the models say of each document, in the order of the requests. Blocks.

        A document on which a model breaks gives a ``ModelError``; its neighbours are answered. A text may
        have any length.

        Returns:
            As many answers as requests: predictions in the order of the request's models, or the error.
        """
        return _read(requests, observe=self._observe)

    def close(self) -> None:
        """End the threads. What is not answered yet never will be."""
        with self._starting:
            if self._scheduler is not None:
                self._scheduler.close()

    def _prepared(self, manifest: Manifest) -> LoadedModel:
        """Assemble and test a model; whatever breaks on the way comes out as one of the two errors that ``load`` names.

        A file that cannot be read now may be readable later; a model that breaks a library does so every time.
        """
        try:
            model = self._assembled(manifest)
            try:
                self._tested(model)
            except BaseException:
                self._give_back(model)
                raise
        except (LexstreamError, MemoryError):
            raise
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise Unavailable(f"got {reason!r} from a file of model {manifest.label}, expected its content") from error
        except Exception as error:
            raise ArtefactError(f"got {type(error).__name__} from loading model {manifest.label}: {error}") from error
        logger.info("loaded %s on %s", model.digest, model.backend.plan.backend, extra={"action": "load"})
        return model

    def _assembled(self, manifest: Manifest) -> LoadedModel:
        check_lengths(manifest)
        check_files(manifest, store=self._store)
        plan = self._plan_of(manifest)
        check_backend(manifest, plan.backend)
        parts = parts_of(manifest, plan)
        head = load_head(manifest, store=self._store)
        tokenizer = self._tokenizers.take(
            parts.tokenizer,
            lambda: Tokenizer(self._store.get(manifest.encoder.files[TOKENIZER], most_bytes=TOKENIZER_BYTES)),
        )
        try:
            backend, permits = self._encoders.take(
                parts.encoder,
                lambda: (load_backend(manifest, store=self._store, plan=plan), Semaphore(plan.streams)),
            )
        except BaseException:
            self._tokenizers.give_back(parts.tokenizer)
            raise
        nbytes = backend.nbytes + head.weight.nbytes + head.bias.nbytes
        return LoadedModel(manifest.digest, manifest, head, tokenizer, backend, permits, parts, nbytes)

    def _tested(self, model: LoadedModel) -> None:
        """Warm the model up, and see that it says what it should."""
        tests = model.manifest.self_test
        _answered(model, _WARM_TEXTS)
        found = _answered(model, [test.text for test in tests])
        check_self_test(tests, found, label=model.manifest.label)

    def _give_back(self, model: LoadedModel) -> None:
        self._encoders.give_back(model.parts.encoder)
        self._tokenizers.give_back(model.parts.tokenizer)


_Encoder = tuple[Backend, Semaphore]
"""An encoder, and as many permits as it has streams."""


def _read(requests: Sequence[Request], *, observe: Observe) -> list[Answer]:
    reading = Reading(requests, observe=observe)
    reading.prepare()
    for batch in reading.batches:
        reading.run(batch)
    return reading.answers()


@contextmanager
def _enough_memory(what: str) -> Iterator[None]:
    """Refuse what there is no memory for: whatever serves already goes on."""
    try:
        yield
    except MemoryError as error:
        raise ArtefactError(
            f"got no memory to load {what}, expected some: give the worker more, or lower its setting models_mb"
        ) from error


def _answered(model: LoadedModel, texts: Sequence[str]) -> list[Prediction]:
    predictions = []
    for answer in _read([Request(text, (model,)) for text in texts], observe=_unobserved):
        if isinstance(answer, ModelError):
            cause = type(answer.__cause__ or answer).__name__
            if isinstance(answer.__cause__, MemoryError):
                raise answer.__cause__
            raise SelfTestFailed(f"model {model.manifest.label} broke on a text with {cause}") from answer
        predictions += answer
    return predictions

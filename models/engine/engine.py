"""The engine: loads models, and answers windows of documents with them."""

import logging
from collections.abc import Sequence
from threading import Lock

from threadpoolctl import threadpool_limits

from models.engine.backend import Backend
from models.engine.cpus import available_cpus
from models.engine.loading import (
    LoadedModel,
    Shared,
    backend_name,
    check_lengths,
    load_backend,
    load_head,
    parts_of,
)
from models.engine.readers import Prediction
from models.engine.selftest import check_self_test
from models.engine.window import Observe, Request, answer
from models.manifest import TOKENIZER, Manifest
from models.store import Store
from models.tokenization import Tokenizer
from schemas.errors import ArtefactError, LexstreamError, ModelError, SelfTestFailed, Unavailable

__all__ = ["Engine", "LoadedModel", "Prediction", "Request"]

logger = logging.getLogger(__name__)

_WARM_TEXTS = ("Warm.", "Warm the model up before it serves. " * 40)


def _unobserved(_stage: str, _seconds: float) -> None:
    """Nobody asked for the time of stages."""


class Engine:
    """Loaded models, and what they share.

    ``load`` and ``unload`` may be called from other threads while one thread predicts.
    """

    def __init__(
        self,
        store: Store,
        *,
        backend: str = "auto",
        threads: int | None = None,
        max_padded_tokens: int = 1024,
        observe: Observe = _unobserved,
    ) -> None:
        """Make an engine without models. NumPy's BLAS has one thread in this process from then on.

        Args:
            store: Where artefacts come from.
            backend: "auto" for the one that a model's manifest names, or a name in ``BACKENDS``.
            threads: Of one forward pass; by default as many as there are processors for us.
            max_padded_tokens: The largest micro-batch, padding included.
            observe: Called with each stage of a window (tokenise, segment, forward, head, decode) and its seconds.
        """
        # The heads' products are so small that waking a second BLAS thread, on cores that are busy with the forward
        # pass or another process, costs many times what it does: 15 ms a segment against 0.5 under load.
        threadpool_limits(limits=1, user_api="blas")
        self._store = store
        self._wanted = backend
        self._threads = threads or available_cpus()
        self._max_padded_tokens = max_padded_tokens
        self._observe = observe
        self._lock = Lock()
        self._models: dict[str, LoadedModel] = {}
        self._backends: Shared[Backend] = Shared()
        self._tokenizers: Shared[Tokenizer] = Shared()

    def load(self, digest: str) -> LoadedModel:
        """Load, verify, test and warm a model; one that is loaded already is returned as it is. Blocks for seconds.

        Raises:
            ArtefactError: It is not in the store, is damaged, does not fit this version, or fails its self-test.
            Unavailable: The store does not answer.
        """
        with self._lock:
            if digest not in self._models:
                self._models[digest] = self._prepared(self._store.load_manifest(digest))
            return self._models[digest]

    def load_draft(self, manifest: Manifest) -> LoadedModel:
        """Load a model whose manifest is not stored yet, as a training does before it knows the self-test.

        Raises:
            As ``load``.
        """
        with self._lock:
            if manifest.digest not in self._models:
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
        return sum(backend.nbytes for backend in self._backends.held()) + sum(model.own_nbytes for model in models)

    def predict(self, requests: Sequence[Request]) -> list[list[Prediction] | ModelError]:
        """Return what the models say of each document, in the order of the requests.

        A document on which a model breaks gives a ``ModelError``; its neighbours are answered. A text may
        have any length.

        Returns:
            As many results as requests: predictions in the order of the request's models, or the error.
        """
        if not requests:
            return []
        try:
            return list(answer(requests, max_padded_tokens=self._max_padded_tokens, observe=self._observe))
        except Exception as error:
            if len(requests) == 1:
                return [_refused(error)]
            middle = len(requests) // 2
            return [*self.predict(requests[:middle]), *self.predict(requests[middle:])]

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
        except LexstreamError:
            raise
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise Unavailable(f"got {reason!r} from a file of model {manifest.label}, expected its content") from error
        except Exception as error:
            raise ArtefactError(f"got {type(error).__name__} from loading model {manifest.label}: {error}") from error
        logger.info("loaded %s on %s", model.digest, model.backend.name, extra={"action": "load"})
        return model

    def _assembled(self, manifest: Manifest) -> LoadedModel:
        check_lengths(manifest)
        name = backend_name(manifest, wanted=self._wanted)
        parts = parts_of(manifest, backend=name)
        head = load_head(manifest, store=self._store)
        tokenizer = self._tokenizers.take(
            parts.tokenizer, lambda: Tokenizer(self._store.get(manifest.encoder.files[TOKENIZER]))
        )
        try:
            backend = self._backends.take(
                parts.encoder,
                lambda: load_backend(manifest, store=self._store, name=name, threads=self._threads),
            )
        except BaseException:
            self._tokenizers.give_back(parts.tokenizer)
            raise
        nbytes = backend.nbytes + head.weight.nbytes + head.bias.nbytes
        return LoadedModel(manifest.digest, manifest, head, tokenizer, backend, parts, nbytes)

    def _tested(self, model: LoadedModel) -> None:
        """Warm the model up, and see that it says what it should."""
        tests = model.manifest.self_test
        try:
            self._answered(model, _WARM_TEXTS)
            found = self._answered(model, [test.text for test in tests])
        except LexstreamError:
            raise
        except Exception as error:
            problem = f"model {model.manifest.label} broke on a text with {type(error).__name__}"
            raise SelfTestFailed(problem) from error
        check_self_test(tests, found, label=model.manifest.label)

    def _answered(self, model: LoadedModel, texts: Sequence[str]) -> list[Prediction]:
        requests = [Request(text, (model,)) for text in texts]
        answers = answer(requests, max_padded_tokens=self._max_padded_tokens, observe=_unobserved)
        return [prediction for (prediction,) in answers]

    def _give_back(self, model: LoadedModel) -> None:
        self._backends.give_back(model.parts.encoder)
        self._tokenizers.give_back(model.parts.tokenizer)


def _refused(error: Exception) -> ModelError:
    """Say what broke, but not the library's own words: they may quote the document."""
    if isinstance(error, ModelError):
        return error
    refusal = ModelError(f"the model broke on this document with {type(error).__name__}, expected an answer")
    refusal.__cause__ = error
    return refusal

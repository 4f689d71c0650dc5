"""The plan of each model on this machine: as was set, as is known, or else measured now."""

import logging
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Final

from models.engine.loading import possible_backends
from models.engine.readers import Prediction
from models.manifest import WEIGHTS, Manifest
from models.plans import Machine, Plan, Tuning
from models.store import Store
from models.tuning.candidates import Space, first_plan, space_of
from models.tuning.choose import Quality, good_backends, is_exact, trusted
from models.tuning.examples import Examples, load_examples, n_labels, quality_of
from models.tuning.known import read_tuning
from models.tuning.machine import this_machine
from models.tuning.measure import CPU_WINDOW, GPU_WINDOW, Bench, Round
from models.tuning.search import Limits, Search
from schemas.errors import Unavailable

logger = logging.getLogger(__name__)

AUTO: Final = "auto"
_TUNE: Final = {"action": "tune"}


@dataclass(frozen=True)
class Reference:
    """What was measured of FP32 while it answered the held-out documents."""

    plan: Plan
    found: Round


class Tuner:
    """Knows or finds out how each model runs best here. All methods may be called from any thread.

    What is known comes from the manifest, where it was tuned on such a machine; else from the store, where a worker
    of such a machine left it. Models that share an encoder share what is known of its speed, and so their plan.
    """

    def __init__(
        self, store: Store, *, backend: str = AUTO, machine: Machine | None = None, limits: Limits | None = None
    ) -> None:  # fmt: skip
        """Make a tuner.

        Args:
            store: Where models and what was measured of them are.
            backend: A name in ``BACKENDS`` that all models run on, or "auto" for the best of each.
            machine: This machine, with as many processors as models may use; found out if not given.
            limits: How long measuring may take; without time for it, what is not known is not measured, and the
                backend of the training serves.
        """
        self.machine = machine or this_machine()
        self._store = store
        self._backend = backend
        self._limits = limits or Limits()
        self._lock = Lock()
        self._known: dict[str, Tuning] = {}
        self._used: dict[str, dict[str, Plan]] = {}
        self._serving = False

    def begin_to_serve(self) -> None:
        """Measure nothing from now on.

        Measuring would take the processors from the documents, which in turn would spoil what is measured, and keep
        other models from being loaded for a minute. What is not known by now runs in a likely way until a next start.
        """
        self._serving = True

    def plan_of(self, manifest: Manifest) -> Plan:
        """Return the plan that a model is to be served with. Blocks while it is measured, for a minute at most.

        Once this process serves nothing is measured: see ``begin_to_serve``.

        Models that share an encoder share its plan, if that is good for both: otherwise it would be loaded twice, and
        a document that asks both would be read twice. So the first that was asked for decides the shape.

        Raises:
            Unavailable: The store does not answer.
        """
        known = self.tuning_of(manifest)
        if self._backend != AUTO:
            return self._shared(self._shaped(self._backend, manifest, known), manifest, others=())
        if known is None and self._limits.budget_s > 0 and manifest.tuning_set is not None:
            known = None if self._serving else self._tuned(manifest)
            if known is None:
                logger.info("%s runs in a likely way: nothing was measured of it here", manifest.label, extra=_TUNE)
        plan = known.plan if known else self._shaped(self._fitting(manifest), manifest, None)
        return self._shared(plan, manifest, others=good_backends(known.trials) if known else ())

    def tuning_of(self, manifest: Manifest) -> Tuning | None:
        """Return what is known of a model on such a machine; nothing is measured. Blocks while the store is asked."""
        found = self.known(manifest) or self._stored(manifest.digest)
        if found is not None:
            self._remember(manifest, found)
        return found

    def known(self, manifest: Manifest) -> Tuning | None:
        """Return what is known of a model here without asking the store. Never blocks: an event loop may call it.

        For a model whose plan was asked for, this is all that there is.
        """
        digest = manifest.digest
        with self._lock:
            found = self._known.get(digest)
        if found is not None:
            return found
        return manifest.tuning if manifest.tuning is not None and self._is_here(manifest.tuning) else None

    def measure(
        self,
        manifest: Manifest,
        examples: Examples,
        *,
        reference: Reference | None = None,
        limits: Limits | None = None,
        on_progress: Callable[[float], None] = lambda _done: None,
    ) -> Tuning:
        """Measure plans of a model whose manifest need not be stored, and return the table and the best of them.

        Args:
            manifest: The model.
            examples: Held-out documents with FP32's answers.
            reference: What was measured of FP32 already.
            limits: How long to measure, if not as long as this tuner does.
            on_progress: Told how much of the time has passed, from 0 to 1.

        Raises:
            Unavailable: The store does not answer.
        """
        search = self._search(manifest, examples, limits or self._limits)
        if before := self._stored(manifest.encoder.files[WEIGHTS]):
            search.know(before.trials)
        if reference is not None:
            quality = _judged(manifest, examples, backend=reference.plan.backend, answers=reference.found.answers)
            search.note(reference.plan, reference.found, quality)
        plan = search.run(on_progress=on_progress) or self._shaped(self._fitting(manifest), manifest, None)
        tuning = search.tuning(plan, n_labels=n_labels(examples))
        self._keep(manifest.encoder.files[WEIGHTS], tuning)
        return tuning

    def _tuned(self, manifest: Manifest) -> Tuning | None:
        """Measure and remember; whatever breaks on the way is no reason not to serve."""
        try:
            examples = load_examples(self._store.get(manifest.tuning_set or ""))
            tuning = self.measure(manifest, examples)
        except Unavailable:
            raise
        except Exception as error:  # such as a library that is not there, or not as it should be
            reason = f"{type(error).__name__}: {error}"
            logger.warning("%s is not tuned: %s", manifest.label, reason, extra=_TUNE)
            return None
        digest = manifest.digest
        self._remember(manifest, tuning)
        self._keep(digest, tuning)
        told = (digest, tuning.plan.backend, tuning.plan.streams, tuning.plan.threads, tuning.seconds)
        logger.info("tuned %s: %s, %d x %d, in %.1f s", *told, extra=_TUNE)
        return tuning

    def _fitting(self, manifest: Manifest) -> str:
        """The backend for a model that is not measured here.

        The training's, if this machine runs it without torch being loaded for it; else another that was good in the
        training; else FP32, which needs no proof.
        """
        trained = manifest.plan.backend
        try:
            space = self._space(manifest)
        except Exception:  # such as a library that is not there; whatever loads the model says so
            return trained
        good = good_backends(manifest.tuning.trials) if manifest.tuning else frozenset()
        wanted = (lambda name: name == trained, good.__contains__, is_exact)
        fitting = (name for wants in wanted for name in space.backends if wants(name))
        return next(fitting, trained if trained in space.last else next(iter(space.last), trained))

    def _remember(self, manifest: Manifest, tuning: Tuning) -> None:
        with self._lock:
            self._known[manifest.digest] = tuning

    def _search(self, manifest: Manifest, examples: Examples, limits: Limits) -> Search:
        texts = [example.document.text for example in examples]
        window = GPU_WINDOW if self.machine.gpu else CPU_WINDOW

        def judge(backend: str, answers: Sequence[Prediction]) -> Quality:
            return _judged(manifest, examples, backend=backend, answers=answers)

        return Search(
            self._space(manifest),
            open_plan=lambda plan: Bench(manifest, plan, texts, store=self._store, window_tokens=window),
            judge=judge,
            n_documents=len(examples),
            limits=limits,
        )

    def _space(self, manifest: Manifest) -> Space:
        return space_of(self.machine, possible_backends(manifest), torch_is_loaded="torch" in sys.modules)

    def _shaped(self, backend: str, manifest: Manifest, known: Tuning | None) -> Plan:
        """The plan of a certain backend: the fastest known of this encoder, else a likely one."""
        tunings = (known, self._stored(manifest.encoder.files[WEIGHTS]))
        trials = (tuning.fastest(backend) for tuning in tunings if tuning is not None)
        trial = next((trial for trial in trials if trial is not None), None)
        return trial.plan if trial else first_plan(backend, self.machine)

    def _shared(self, plan: Plan, manifest: Manifest, *, others: Collection[str]) -> Plan:
        """The plan that the model's encoder runs by already, on the plan's backend or else on one of ``others``."""
        with self._lock:
            used = self._used.setdefault(manifest.encoder.files[WEIGHTS], {})
            if plan.backend not in used:
                plan = next((each for each in used.values() if each.backend in others), plan)
            return used.setdefault(plan.backend, plan)

    def _is_here(self, tuning: Tuning) -> bool:
        return tuning.machine.key == self.machine.key

    def _stored(self, digest: str) -> Tuning | None:
        """What was measured of a model or an encoder here; what cannot be read is as good as nothing.

        A store may refuse to say that something is missing: S3 does so to who may read but not list.
        """
        try:
            data = self._store.get_tuning(digest, machine=self.machine.key)
        except Unavailable as error:
            logger.warning("what was measured cannot be read: %s", error, extra=_TUNE)
            return None
        return None if data is None else read_tuning(data)

    def _keep(self, digest: str, tuning: Tuning) -> None:
        try:
            self._store.put_tuning(digest, tuning.model_dump_json(by_alias=True).encode(), machine=self.machine.key)
        except Unavailable as error:
            logger.warning("what was measured is not kept: %s", error, extra=_TUNE)


def _judged(manifest: Manifest, examples: Examples, *, backend: str, answers: Sequence[Prediction]) -> Quality:
    return trusted(quality_of(manifest, examples, answers), backend=backend, trained_on=manifest.plan.backend)

"""Which plan serves: the fastest whose answers are as good as those of FP32. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from models.plans import SPEED_FROM_BEFORE, Plan, Trial, Verdict

TOLERATED_LOSS: Final = 0.003
"""How much of FP32's score a faster backend may lose: 0.3 points."""
TELLING_LABELS: Final = 400
"""Fewer labels than these cannot show so small a loss; then a backend must give almost the same answers."""
SAME: Final = 0.99
FEWEST_FINDINGS: Final = 20
"""Fewer entities or classes of FP32's than these show nothing, unless there are no more documents to ask about."""
_FP32: Final = "-fp32"
_TOO_LITTLE: Final = "too little was asked to see whether it answers as FP32 does"
_UNMEASURED: Final = "not measured here; its backend was good where the model was trained"
_UNASKED: Final = "no time was left to see whether it answers as FP32 does"


@dataclass(frozen=True)
class Quality:
    """How good a backend's answers are.

    Attributes:
        score: Micro F1 against the labels.
        reference: The same of FP32's answers.
        agreement: Micro F1 of its answers against FP32's.
        n_labels: On how many labels scores were measured, those in documents that the model has seen left out.
        telling: Whether enough was asked to see a difference from FP32, or none is to be expected.
    """

    score: float
    reference: float
    agreement: float
    n_labels: int
    telling: bool = True

    @property
    def loses(self) -> bool:
        """Whether the score is too far below that of FP32."""
        return self.score < self.reference - TOLERATED_LOSS

    @property
    def good(self) -> bool:
        """Whether the backend may serve."""
        return self.telling and not self.loses and (self.n_labels >= TELLING_LABELS or self.agreement >= SAME)


@dataclass(frozen=True)
class Attempt:
    """A plan and its speed: the best of ``rounds``. ``error`` says why it could not run.

    ``from_before`` tells of a speed that was not measured now, but for another model of the same encoder.
    """

    plan: Plan
    tokens_per_s: float = 0.0
    documents_per_s: float = 0.0
    rounds: int = 0
    error: str = ""
    from_before: bool = False

    def after(self, *, tokens_per_s: float, documents_per_s: float) -> "Attempt":
        """Return what is known after one more round."""
        if tokens_per_s <= self.tokens_per_s:
            return replace(self, rounds=self.rounds + 1)
        faster = replace(self, tokens_per_s=tokens_per_s, documents_per_s=documents_per_s, from_before=False)
        return replace(faster, rounds=self.rounds + 1)


Qualities = Mapping[str, Quality]
"""By backend: how many streams there are, or how large a micro-batch may be, is no matter of quality."""


def is_telling(*, n_findings: int, complete: bool) -> bool:
    """Return whether answers show how good a backend is.

    Args:
        n_findings: Entities or classes that FP32 found in the documents that were asked about.
        complete: Whether these are all the documents that there are.
    """
    return n_findings >= FEWEST_FINDINGS or (complete and n_findings > 0)


def is_exact(backend: str) -> bool:
    """Whether a backend computes in FP32."""
    return backend.endswith(_FP32)


def trusted(quality: Quality, *, backend: str, trained_on: str) -> Quality:
    """Return the quality as it counts for a backend.

    FP32 is FP32 in every library, and the backend that the training chose was judged there: both need no proof.
    """
    needs_none = is_exact(backend) or backend == trained_on
    return replace(quality, telling=True) if needs_none else quality


def best(attempts: Iterable[Attempt], qualities: Qualities) -> Attempt | None:
    """Return the fastest attempt that may serve, or nothing."""
    good = [each for each in attempts if not each.error and _is_good(each, qualities)]
    return max(good, key=lambda attempt: attempt.tokens_per_s, default=None)


def trials_of(
    attempts: Iterable[Attempt], qualities: Qualities, *, served: Plan, skipped: Mapping[Plan, str]
) -> list[Trial]:
    """Return the table of a tuning: what serves, then the fastest first.

    Args:
        attempts: What was measured.
        qualities: Of the backends whose answers were looked at.
        served: The plan that was chosen; if it was not measured, it is that of the training.
        skipped: Plans that were not tried for this model, and why.
    """
    known = list(attempts)
    fastest = max((each.tokens_per_s for each in known if each.plan == served), default=float("inf"))
    trials = [
        _skipped(attempt, reason)
        if (reason := skipped.get(attempt.plan) or _unasked(attempt, qualities, fastest)) and attempt.plan != served
        else _trial(attempt, qualities.get(attempt.plan.backend), served)
        for attempt in known
    ]
    trials.sort(key=lambda trial: (trial.verdict is not Verdict.SERVED, -trial.tokens_per_s))
    if served not in {trial.plan for trial in trials}:
        trials.insert(0, Trial(plan=served, verdict=Verdict.SERVED, reason=_UNMEASURED))
    told = {trial.plan for trial in trials}
    return trials + [_skipped(Attempt(plan), reason) for plan, reason in skipped.items() if plan not in told]


def good_backends(trials: Iterable[Trial]) -> frozenset[str]:
    """Return the backends whose answers were looked at and are good, or that serve; none that failed in any shape."""
    table = list(trials)
    failed = {trial.plan.backend for trial in table if trial.verdict is Verdict.FAILED}
    served = {trial.plan.backend for trial in table if trial.verdict is Verdict.SERVED}
    judged = {trial.plan.backend for trial in table if trial.verdict is Verdict.SLOWER and trial.agreement is not None}
    return frozenset((served | judged) - failed)


def _is_good(attempt: Attempt, qualities: Qualities) -> bool:
    quality = qualities.get(attempt.plan.backend)
    return quality is not None and quality.good


def _unasked(attempt: Attempt, qualities: Qualities, served_tokens_per_s: float) -> str:
    """Why what is faster than what serves does not serve, though nothing is wrong with it."""
    faster = not attempt.error and attempt.tokens_per_s > served_tokens_per_s
    return _UNASKED if faster and attempt.plan.backend not in qualities else ""


def _skipped(attempt: Attempt, reason: str) -> Trial:
    """What is known of its speed stays known."""
    speeds = {"tokens_per_s": round(attempt.tokens_per_s, 1), "documents_per_s": round(attempt.documents_per_s, 2)}
    return Trial(plan=attempt.plan, verdict=Verdict.SKIPPED, reason=reason, **speeds)


def _trial(attempt: Attempt, quality: Quality | None, served: Plan) -> Trial:
    return Trial(
        plan=attempt.plan,
        tokens_per_s=round(attempt.tokens_per_s, 1),
        documents_per_s=round(attempt.documents_per_s, 2),
        score=quality.score if quality else None,
        agreement=quality.agreement if quality else None,
        verdict=_verdict(attempt, quality, served),
        reason=_reason(attempt, quality),
    )


def _reason(attempt: Attempt, quality: Quality | None) -> str:
    if attempt.error:
        return attempt.error
    if quality is not None and not quality.telling:
        return _TOO_LITTLE
    return SPEED_FROM_BEFORE if attempt.from_before else ""


def _verdict(attempt: Attempt, quality: Quality | None, served: Plan) -> Verdict:
    if attempt.plan == served:
        return Verdict.SERVED
    if attempt.error:
        return Verdict.FAILED
    if quality is not None and not quality.good:
        return Verdict.WORSE if quality.loses else Verdict.DIFFERS
    return Verdict.SLOWER

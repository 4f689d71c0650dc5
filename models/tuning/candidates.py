"""Which plan to try next. Pure.

Not the product of everything: first what another model of the encoder found to be fast; then each backend once; then,
of the two best, the shapes next to their best one; then, of the winner, the micro-batch sizes next to its best one. A
search that is stopped early has tried the likely ones.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from models.engine.backend import TORCH_BACKENDS
from models.plans import Machine, Plan
from models.tuning.choose import Attempt, Qualities, best
from models.tuning.machine import has_bf16

CPU_BUDGETS: Final = (256, 512, 1024, 2048)
GPU_BUDGETS: Final = (8_192, 32_768, 131_072)
_FIRST_CPU_BUDGET: Final = 512
_FIRST_GPU_BUDGET: Final = 32_768
_FIRST_THREADS: Final = 1
"""A stream for each processor: as fast as anything with whole windows, and the fastest by far with small ones, where
tokens of one window are made while another is read."""
_BUSY: Final = 0.75
"""A shape that leaves more processors idle than this is not worth a trial."""
_NEAR: Final = 0.7
"""A backend this much slower than the best at first will not overtake it by another shape."""
_FINALISTS: Final = 2
_ROUNDS: Final = 2

T = TypeVar("T")
Shape = tuple[int, int]
"""Streams and threads of each."""


@dataclass(frozen=True)
class Space:
    """What there is to try for a model on a machine.

    Attributes:
        machine: The machine.
        backends: The likely best first.
        last: Backends that are only tried if none of the others may serve.
        skipped: Backends that are not tried, and why.
    """

    machine: Machine
    backends: Sequence[str]
    last: Sequence[str] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)

    def is_needless(self, backend: str, qualities: Qualities) -> bool:
        """Whether the same library is known to be good in a precision that this machine computes faster."""
        # What computes in BF16 is only a candidate where the processor does; any processor runs INT8, some slowly.
        fast_int8 = not _INT8.isdisjoint(self.machine.features)
        fast = (each for each in _COARSER.get(backend, ()) if "int8" not in each or fast_int8)
        return any(qualities[each].good for each in fast if each in qualities)

    def left_out(self, attempts: Iterable[Attempt], qualities: Qualities) -> dict[Plan, str]:
        """Return the plans that were not tried in the end, and why; of some the speed may be known from elsewhere."""
        known = list(attempts)
        tried = {attempt.plan.backend for attempt in known}
        left = {each.plan: _LAST for each in known if each.plan.backend in self.last and not each.error}
        unseen = {plan: reason for plan, reason in left.items() if plan.backend not in qualities}
        needless = {name: _NEEDLESS for name in self.backends if self.is_needless(name, qualities)}
        waiting = dict.fromkeys(self.backends, _LATE) | dict.fromkeys(self.last, _LAST)
        reasons = waiting | needless | dict(self.skipped)
        return unseen | {
            first_plan(backend, self.machine): reason for backend, reason in reasons.items() if backend not in tried
        }


_COARSER: Final = {
    "openvino-fp32": ("openvino-bf16", "openvino-int8"),
    "onnx-fp32": ("onnx-int8",),
    "torch-fp32": ("torch-bf16",),
}
_INT8: Final = frozenset({"avx_vnni", "avx512_vnni", "amx_int8", "asimddp", "i8mm"})
_NEEDLESS: Final = "not needed: a coarser precision of the same library is faster here, and good"
_LATE: Final = "no time was left"
_LAST: Final = "not needed: another backend answers as well without loading torch"
_NO_BF16: Final = "the processor does not compute in BF16"
_ORDER: Final = (
    "openvino-bf16",
    "openvino-int8",
    "onnx-int8",
    "openvino-fp32",
    "onnx-fp32",
    "torch-bf16",
    "torch-fp32",
)


def space_of(machine: Machine, possible: Sequence[str], *, torch_is_loaded: bool) -> Space:
    """Return what there is to try.

    Args:
        machine: The machine.
        possible: Backends that the model can run on.
        torch_is_loaded: Whether torch is here anyway, as in a training. A worker loads it, which takes seconds and
            hundreds of megabytes, only where it has a graphics processor, or where nothing else may serve.
    """
    skipped = {} if machine.gpu or has_bf16(machine) else {name: _NO_BF16 for name in possible if "bf16" in name}
    usable = sorted((name for name in possible if name not in skipped), key=lambda name: _likely(name, machine))
    if torch_is_loaded or machine.gpu:
        return Space(machine, usable, skipped=skipped)
    without = [name for name in usable if name not in TORCH_BACKENDS]
    return Space(machine, without, last=[name for name in usable if name in TORCH_BACKENDS], skipped=skipped)


def shapes(cpus: int) -> list[Shape]:
    """Return the shapes that fill the processors, from one stream of all threads to as many streams as there are."""
    threads = {cpus >> by for by in range(cpus.bit_length())} | {1, 2}
    every = [(cpus // each, each) for each in sorted(threads, reverse=True) if each <= cpus]
    return [(streams, each) for streams, each in every if streams * each >= _BUSY * cpus]


def first_plan(backend: str, machine: Machine) -> Plan:
    """Return the plan of a backend that is likely to be good on a machine, for when nothing was measured."""
    if _on_gpu(backend, machine):
        return Plan(backend=backend, threads=machine.cpus, max_padded_tokens=_FIRST_GPU_BUDGET)
    streams, threads = next(shape for shape in shapes(machine.cpus) if shape[1] <= _FIRST_THREADS)
    return Plan(backend=backend, streams=streams, threads=threads, max_padded_tokens=_FIRST_CPU_BUDGET)


def next_plan(space: Space, attempts: Mapping[Plan, Attempt], qualities: Qualities) -> Plan | None:
    """Return the plan to measure next, which may be one that needs another round, or nothing when all is known.

    Args:
        space: What there is to try.
        attempts: What was measured, on this machine, of this encoder; perhaps for another model.
        qualities: Of the backends whose answers for this model were looked at.
    """
    if unjudged := _unjudged(attempts, qualities, among=space.backends):
        return unjudged
    tried = {plan.backend for plan in attempts}
    untried = (each for each in space.backends if each not in tried and not space.is_needless(each, qualities))
    if (backend := next(untried, None)) is not None:
        return first_plan(backend, space.machine)
    winner = best(attempts.values(), qualities)
    if winner is None:
        last = (first_plan(backend, space.machine) for backend in space.last if backend not in tried)
        return _unjudged(attempts, qualities, among=space.last) or next(last, None)
    finalists = _finalists(winner, attempts, qualities)
    again = (each.plan for each in finalists if each.rounds < _ROUNDS)
    shaped = (plan for each in finalists for plan in _other_shapes(each.plan, space.machine, attempts))
    sized = (plan for plan in _other_budgets(winner.plan, space.machine) if plan not in attempts)
    return next((plan for plans in (again, shaped, sized) for plan in plans), None)


def _unjudged(attempts: Mapping[Plan, Attempt], qualities: Qualities, *, among: Collection[str]) -> Plan | None:
    """The fastest plan of some backends, if nobody knows yet whether its answers are good."""
    usable = set(among) - {backend for backend, quality in qualities.items() if not quality.good}
    open_to = [each for each in attempts.values() if not each.error and each.plan.backend in usable]
    fastest = max(open_to, key=lambda attempt: attempt.tokens_per_s, default=None)
    return fastest.plan if fastest and fastest.plan.backend not in qualities else None


def _finalists(winner: Attempt, attempts: Mapping[Plan, Attempt], qualities: Qualities) -> list[Attempt]:
    of_backends = [
        best((each for each in attempts.values() if each.plan.backend == backend), qualities) for backend in qualities
    ]
    near = [each for each in of_backends if each and each.tokens_per_s >= _NEAR * winner.tokens_per_s]
    return sorted(near, key=lambda attempt: -attempt.tokens_per_s)[:_FINALISTS]


def _other_shapes(plan: Plan, machine: Machine, attempts: Iterable[Plan]) -> list[Plan]:
    """The shapes next to a plan's that its backend was not tried in."""
    tried = {(each.streams, each.threads) for each in attempts if each.backend == plan.backend}
    there = [(1, machine.cpus), (2, machine.cpus)] if _on_gpu(plan.backend, machine) else shapes(machine.cpus)
    beside = _beside((plan.streams, plan.threads), there)
    return [
        plan.model_copy(update={"streams": streams, "threads": threads})
        for streams, threads in beside
        if (streams, threads) not in tried
    ]


def _other_budgets(plan: Plan, machine: Machine) -> list[Plan]:
    there = GPU_BUDGETS if _on_gpu(plan.backend, machine) else CPU_BUDGETS
    beside = _beside(plan.max_padded_tokens, there)
    return [plan.model_copy(update={"max_padded_tokens": budget}) for budget in beside]


def _beside(what: T, there: Sequence[T]) -> list[T]:
    """The neighbours of ``what``, the later one first."""
    if what not in there:
        return []
    at = there.index(what)
    return [*there[at + 1 : at + 2], *there[max(at - 1, 0) : at]]


def _on_gpu(backend: str, machine: Machine) -> bool:
    return bool(machine.gpu) and backend in TORCH_BACKENDS


def _likely(backend: str, machine: Machine) -> tuple[bool, int]:
    """Sorts backends by what to expect of them; what runs on a graphics processor comes first."""
    return not _on_gpu(backend, machine), _ORDER.index(backend) if backend in _ORDER else len(_ORDER)

import pytest

from models.plans import Machine, Plan
from models.tuning.candidates import CPU_BUDGETS, GPU_BUDGETS, Space, first_plan, next_plan, shapes, space_of
from models.tuning.choose import Attempt, Quality

GOOD = Quality(score=0.9, reference=0.9, agreement=1.0, n_labels=1)
BAD = Quality(score=0.5, reference=0.9, agreement=0.5, n_labels=1)
ALL = ["torch-fp32", "torch-bf16", "onnx-int8", "onnx-fp32", "openvino-int8", "openvino-bf16", "openvino-fp32"]


def machine(cpus: int = 16, *, gpu: str = "", features: tuple[str, ...] = ("amx_bf16",)) -> Machine:
    return Machine(processor="x", cpus=cpus, gpu=gpu, features=list(features))


@pytest.mark.parametrize(
    ("cpus", "expected"),
    [
        (1, [(1, 1)]),
        (2, [(1, 2), (2, 1)]),
        (3, [(1, 3), (3, 1)]),
        (4, [(1, 4), (2, 2), (4, 1)]),
        (6, [(1, 6), (2, 3), (3, 2), (6, 1)]),
        (16, [(1, 16), (2, 8), (4, 4), (8, 2), (16, 1)]),
    ],
)
def test_shapes_fill_the_processors(cpus: int, expected: list[tuple[int, int]]) -> None:
    assert shapes(cpus) == expected


@pytest.mark.parametrize("cpus", range(1, 130))
def test_no_shape_takes_more_processors_than_there_are(cpus: int) -> None:
    assert all(0.75 * cpus <= streams * threads <= cpus for streams, threads in shapes(cpus))
    assert (1, cpus) in shapes(cpus)
    assert (cpus, 1) in shapes(cpus)
    assert first_plan("onnx-fp32", machine(cpus)).threads <= 2


def test_torch_is_loaded_only_where_it_is_needed() -> None:
    space = space_of(machine(), ALL, torch_is_loaded=False)
    assert list(space.backends) == ["openvino-bf16", "openvino-int8", "onnx-int8", "openvino-fp32", "onnx-fp32"]
    assert list(space.last) == ["torch-bf16", "torch-fp32"]
    assert not space_of(machine(), ALL, torch_is_loaded=True).last
    on_gpu = space_of(machine(gpu="H"), ALL, torch_is_loaded=False)
    assert list(on_gpu.backends)[:2] == ["torch-bf16", "torch-fp32"]


def test_bf16_is_not_tried_where_it_would_be_imitated() -> None:
    plain = space_of(machine(features=("avx2",)), ALL, torch_is_loaded=True)
    assert set(plain.skipped) == {"torch-bf16", "openvino-bf16"}
    assert set(plain.backends) == set(ALL) - set(plain.skipped)
    assert not space_of(machine(features=(), gpu="H"), ALL, torch_is_loaded=True).skipped


class Measured:
    """Answers ``next_plan`` with figures of its own until it asks no more."""

    def __init__(self, space: Space, speed: dict[str, float], bad: tuple[str, ...] = ()) -> None:
        self.space, self.speed, self.bad = space, speed, bad
        self.attempts: dict[Plan, Attempt] = {}
        self.qualities: dict[str, Quality] = {}
        self.order: list[Plan] = []

    def of(self, plan: Plan) -> float:
        return self.speed[plan.backend]

    def run(self) -> "Measured":
        while plan := next_plan(self.space, self.attempts, self.qualities):
            assert len(self.order) < 100, "it never ends"
            self.order.append(plan)
            self.qualities.setdefault(plan.backend, BAD if plan.backend in self.bad else GOOD)
            before = self.attempts.get(plan, Attempt(plan))
            self.attempts[plan] = before.after(tokens_per_s=self.of(plan), documents_per_s=1)
        return self


class Shaped(Measured):
    """Fastest with four streams, and with the largest micro-batches."""

    def of(self, plan: Plan) -> float:
        return self.speed[plan.backend] * (20 - abs(plan.streams - 4)) * (1 + plan.max_padded_tokens / 1e6)


SPACE = Space(machine(), ["a", "b", "c"], last=["torch-fp32"])


def test_each_backend_comes_first_once() -> None:
    assert [plan.backend for plan in Measured(SPACE, {"a": 1, "b": 2, "c": 3}).run().order[:3]] == ["a", "b", "c"]


def test_the_search_climbs_to_the_best_shape_and_size_without_trying_all() -> None:
    done = Shaped(SPACE, {"a": 1, "b": 5, "c": 2}).run()
    fastest = max(done.attempts.values(), key=lambda attempt: attempt.tokens_per_s).plan
    assert fastest == Plan(backend="b", streams=4, threads=4, max_padded_tokens=CPU_BUDGETS[-1])
    assert len(done.attempts) < len(SPACE.backends) * 5 * len(CPU_BUDGETS) / 4
    assert [plan.backend for plan in done.order].count("a") == 1


def test_only_the_two_best_are_tried_in_other_shapes() -> None:
    done = Measured(SPACE, {"a": 10, "b": 9, "c": 8}).run()
    shaped = {plan.backend for plan in done.attempts if plan.streams != first_plan("a", SPACE.machine).streams}
    assert shaped == {"a", "b"}
    assert all(attempt.rounds >= 2 for attempt in done.attempts.values() if attempt.plan == first_plan("b", machine()))


def test_a_bad_backend_is_no_finalist_however_fast() -> None:
    done = Measured(SPACE, {"a": 99, "b": 1, "c": 1}, bad=("a",)).run()
    assert [plan.backend for plan in done.order].count("a") == 1
    assert "torch-fp32" not in {plan.backend for plan in done.order}


def test_torch_comes_when_nothing_else_may_serve() -> None:
    done = Measured(SPACE, {"a": 9, "b": 9, "c": 9, "torch-fp32": 1}, bad=("a", "b", "c")).run()
    assert [plan.backend for plan in done.order[:4]] == ["a", "b", "c", "torch-fp32"]


def test_what_is_known_of_the_encoder_is_only_judged_again() -> None:
    known = Shaped(SPACE, {"a": 1, "b": 5, "c": 2}).run()
    again = Shaped(SPACE, {"a": 1, "b": 5, "c": 2})
    again.attempts = dict(known.attempts)
    best = max(known.attempts.values(), key=lambda attempt: attempt.tokens_per_s).plan
    assert again.run().order == [best]


def test_when_the_known_best_is_bad_for_this_model_the_next_is_judged() -> None:
    known = Measured(SPACE, {"a": 1, "b": 5, "c": 2}).run()
    again = Measured(SPACE, {"a": 1, "b": 5, "c": 2}, bad=("b",))
    again.attempts = dict(known.attempts)
    assert [plan.backend for plan in again.run().order][:2] == ["b", "c"]


@pytest.mark.parametrize(
    ("bad", "expected"), [((), ["b"]), (("b",), ["b", "c"]), (("a", "b", "c"), ["b", "c", "a", "torch-fp32"])]
)
def test_torch_is_not_loaded_because_a_training_found_it_fast(bad: tuple[str, ...], expected: list[str]) -> None:
    speed = {"a": 1.0, "b": 5.0, "c": 4.0, "torch-fp32": 99.0}
    known = {first_plan(name, SPACE.machine): rate for name, rate in speed.items()}
    worker = Measured(SPACE, speed, bad=bad)
    worker.attempts = {plan: Attempt(plan, rate, 1, rounds=2) for plan, rate in known.items()}
    order = list(dict.fromkeys(plan.backend for plan in worker.run().order))
    assert order[: len(expected)] == expected
    assert ("torch-fp32" in order) is (expected[-1] == "torch-fp32")
    told = {plan.backend: reason for plan, reason in SPACE.left_out(worker.attempts.values(), worker.qualities).items()}
    assert ("torch-fp32" in told) is ("torch-fp32" not in order)


def test_what_failed_is_not_tried_again() -> None:
    broken = Measured(SPACE, {"a": 1, "b": 1, "c": 1})
    broken.attempts = {(plan := first_plan("a", SPACE.machine)): Attempt(plan, error="no memory")}
    assert "a" not in {plan.backend for plan in broken.run().order}


def test_a_graphics_processor_gets_large_micro_batches() -> None:
    space = space_of(machine(gpu="H"), ALL, torch_is_loaded=True)
    plan = first_plan("torch-bf16", space.machine)
    assert (plan.streams, plan.max_padded_tokens in GPU_BUDGETS) == (1, True)
    done = Measured(space, dict.fromkeys(ALL, 1.0) | {"torch-bf16": 100.0}).run()
    assert "torch-fp32" not in {plan.backend for plan in done.attempts}
    assert {plan.max_padded_tokens for plan in done.attempts if plan.backend == "torch-bf16"} == set(GPU_BUDGETS)
    assert {plan.streams for plan in done.attempts if plan.backend == "torch-bf16"} == {1, 2}


def test_what_was_left_out_has_a_reason() -> None:
    space = space_of(machine(features=()), ALL, torch_is_loaded=False)
    plan = first_plan("onnx-int8", space.machine)
    reasons = {plan.backend: reason for plan, reason in space.left_out([Attempt(plan)], {}).items()}
    assert set(reasons) == set(ALL) - {"onnx-int8"}
    assert reasons["onnx-fp32"] == "no time was left"
    assert "without loading torch" in reasons["torch-fp32"]
    assert "BF16" in reasons["torch-bf16"]


@pytest.mark.parametrize(
    ("features", "bad", "tried"),
    [
        (("amx_bf16", "avx512_vnni"), (), {"openvino-bf16", "onnx-int8"}),
        (("amx_bf16",), (), {"openvino-bf16", "onnx-int8", "onnx-fp32"}),
        (("amx_bf16", "avx512_vnni"), ("onnx-int8",), {"openvino-bf16", "onnx-int8", "onnx-fp32"}),
        (("avx512_vnni",), (), {"onnx-int8"}),
        (("avx512_vnni",), ("openvino-int8",), {"openvino-fp32", "onnx-int8"}),
    ],
)
def test_fp32_is_not_tried_where_a_coarser_precision_is_good(
    features: tuple[str, ...], bad: tuple[str, ...], tried: set[str]
) -> None:
    space = space_of(machine(features=features), ALL, torch_is_loaded=False)
    done = Measured(space, dict.fromkeys(ALL, 1.0), bad=bad).run()
    assert {plan.backend for plan in done.attempts} == tried | {"openvino-int8"}
    reasons = space.left_out(done.attempts.values(), done.qualities)
    needless = {plan.backend for plan, reason in reasons.items() if "coarser" in reason}
    assert needless == {name for name in ("openvino-fp32", "onnx-fp32") if name not in tried}

from collections.abc import Sequence

import pytest

from models.plans import SPEED_FROM_BEFORE, Machine, Plan, Trial, Verdict
from models.tuning.candidates import Space, first_plan
from models.tuning.choose import Quality
from models.tuning.measure import Round
from models.tuning.search import Limits, Search
from schemas.errors import ArtefactCorrupt, LexstreamError, ModelError, Unavailable

MACHINE = Machine(processor="x", cpus=4, features=["amx_bf16"])
SPACE = Space(MACHINE, ["a", "b", "c"])
GOOD = Quality(score=0.9, reference=0.9, agreement=1.0, n_labels=5)
BAD = Quality(score=0.9, reference=0.9, agreement=0.5, n_labels=5)
N_DOCUMENTS = 7


class Stand:
    """Where plans run: a clock, speeds by backend, and what is loaded at the moment."""

    def __init__(self, **speeds: float | LexstreamError) -> None:
        self.speeds = speeds
        self.now = 0.0
        self.open: list[Plan] = []
        self.most_open = 0
        self.judged: list[str] = []
        self.trial_s = 1.0
        self.at_most: set[float] = set()

    def clock(self) -> float:
        return self.now

    def load(self, plan: Plan) -> "Loaded":
        if isinstance(error := self.speeds[plan.backend], LexstreamError) and not isinstance(error, ModelError):
            raise error
        self.open.append(plan)
        self.most_open = max(self.most_open, len(self.open))
        return Loaded(self, plan)

    def judge(self, backend: str, answers: Sequence[object]) -> Quality:
        (answer,) = answers
        assert answer == backend
        self.judged.append(str(answer))
        return BAD if answer == "a" else GOOD

    def search(self, budget_s: float = 1000.0, space: Space = SPACE) -> Search:
        return Search(
            space,
            open_plan=self.load,
            judge=self.judge,
            n_documents=N_DOCUMENTS,
            limits=Limits(budget_s=budget_s),
            clock=self.clock,
        )


class Loaded:
    def __init__(self, stand: Stand, plan: Plan) -> None:
        self.stand, self.plan = stand, plan

    def run(self, *, n_documents: int = 0, at_least_s: float = 0.0, at_most_s: float = float("inf")) -> Round:
        assert n_documents in {0, N_DOCUMENTS}
        self.stand.now += self.stand.trial_s
        self.stand.at_most.add(at_most_s)
        speed = self.stand.speeds[self.plan.backend]
        if isinstance(speed, LexstreamError):
            raise speed
        return Round(speed * self.plan.streams, 1.0, [self.plan.backend])  # type: ignore[list-item]

    def close(self) -> None:
        self.stand.open.remove(self.plan)


def table(search: Search, plan: Plan) -> dict[str, set[Verdict]]:
    found: dict[str, set[Verdict]] = {}
    for trial in search.tuning(plan, n_labels=5).trials:
        found.setdefault(trial.plan.backend, set()).add(trial.verdict)
    return found


def test_the_fastest_good_plan_wins_and_each_backend_is_judged_once() -> None:
    stand = Stand(a=90.0, b=5.0, c=6.0)
    search = stand.search()
    plan = search.run()
    assert plan is not None
    assert (plan.backend, plan.streams, plan.threads) == ("c", 4, 1)
    assert stand.judged == ["a", "b", "c"]
    assert table(search, plan)["a"] == {Verdict.DIFFERS}
    assert table(search, plan)["c"] == {Verdict.SERVED, Verdict.SLOWER}


def test_at_most_two_plans_are_loaded_and_none_is_left() -> None:
    stand = Stand(a=1.0, b=5.0, c=6.0)
    stand.search().run()
    assert stand.most_open == 2
    assert stand.open == []


@pytest.mark.parametrize("error", [ArtefactCorrupt("no such graph\nsecond line"), ModelError("it broke")])
def test_a_plan_that_cannot_run_is_told_and_not_chosen(error: LexstreamError) -> None:
    stand = Stand(a=1.0, b=error, c=2.0)
    search = stand.search()
    plan = search.run()
    assert plan is not None
    assert plan.backend == "c"
    assert table(search, plan)["b"] == {Verdict.FAILED}
    (failed,) = [trial for trial in search.tuning(plan, n_labels=5).trials if trial.verdict is Verdict.FAILED]
    assert failed.reason == str(error).splitlines()[0]
    assert stand.open == []


class Breaking(Stand):
    """Breaks a backend for good once another plan than its first was opened."""

    def load(self, plan: Plan) -> "Loaded":
        loaded = super().load(plan)
        if len(self.judged) == 2:
            self.speeds["c"] = ModelError("it broke later")
        return loaded


def test_a_champion_that_breaks_while_it_is_compared_does_not_take_its_challenger_along() -> None:
    stand = Breaking(b=5.0, c=6.0)
    search = stand.search(space=Space(MACHINE, ["c", "b"]))
    plan = search.run()
    assert plan is not None
    assert plan.backend == "b"
    assert Verdict.FAILED in table(search, plan)["c"]
    assert Verdict.FAILED not in table(search, plan)["b"]
    assert stand.open == []


def test_a_store_that_is_away_ends_the_search() -> None:
    stand = Stand(a=1.0, b=Unavailable("the store is away"), c=2.0)
    with pytest.raises(Unavailable):
        stand.search().run()
    assert stand.open == []


def test_when_time_is_up_what_was_measured_counts_and_the_rest_is_told() -> None:
    stand = Stand(b=5.0, c=6.0)
    search = stand.search(budget_s=0.5, space=Space(MACHINE, ["b", "c"]))
    plan = search.run()
    assert plan == first_plan("b", MACHINE)
    assert stand.now == 2 * stand.trial_s
    assert table(search, plan)["c"] == {Verdict.SKIPPED}
    assert stand.at_most == {0.5 / 6}


def test_nothing_is_chosen_when_nothing_may_serve() -> None:
    stand = Stand(a=5.0)
    assert stand.search(space=Space(MACHINE, ["a"])).run() is None


def test_without_time_a_reference_that_was_measured_before_serves() -> None:
    stand = Stand(a=1.0, b=1.0, c=1.0)
    search = stand.search(budget_s=0.0)
    plan = first_plan("b", MACHINE)
    search.note(plan, Round(7.0, 1.0, []), GOOD)
    assert search.run() == plan
    assert stand.judged == []


def test_known_speeds_save_the_measuring() -> None:
    stand = Stand(a=1.0, b=5.0, c=6.0)
    first = stand.search()
    plan = first.run()
    assert plan is not None
    judged, spent = len(stand.judged), stand.now
    again = stand.search()
    again.know([*first.tuning(plan, n_labels=5).trials, Trial(plan=first_plan("x", MACHINE), verdict=Verdict.SKIPPED)])
    assert again.run() == plan
    assert stand.judged[judged:] == ["c"]
    assert stand.now == spent + 2


def test_what_failed_for_one_model_is_tried_again_for_another() -> None:
    stand = Stand(b=ModelError("it broke on a document"), c=2.0)
    space = Space(MACHINE, ["b", "c"])
    first = stand.search(space=space)
    plan = first.run()
    assert plan is not None
    stand.speeds["b"] = 5.0
    again = stand.search(space=space)
    again.know(first.tuning(plan, n_labels=5).trials)
    found = again.run()
    assert found is not None
    assert found.backend == "b"


def test_what_serves_unmeasured_is_measured_for_another_model() -> None:
    stand = Stand(a=1.0)
    space = Space(MACHINE, ["a"])
    plan = first_plan("a", MACHINE)
    first = stand.search(budget_s=0.0, space=space)
    assert first.run() is None
    again = stand.search(space=space)
    again.know(first.tuning(plan, n_labels=5).trials)
    again.run()
    assert stand.judged == ["a"]


def test_progress_is_told_and_never_falls() -> None:
    told: list[float] = []
    Stand(a=1.0, b=5.0, c=6.0).search(budget_s=20.0).run(on_progress=told.append)
    assert told == sorted(told)
    assert told[0] == 0.0
    assert 0 < told[-1] <= 1.0


def test_speeds_of_another_model_are_told_apart_from_those_measured_now() -> None:
    stand = Stand(a=1.0, b=5.0, c=6.0)
    first = stand.search()
    plan = first.run()
    assert plan is not None
    measured = first.tuning(plan, n_labels=5)
    assert all(trial.reason != SPEED_FROM_BEFORE for trial in measured.trials)
    again = stand.search()
    again.know(measured.trials)
    stand.speeds["c"] = 60.0  # faster than was known, so what is measured now counts
    assert again.run() == plan
    trials = again.tuning(plan, n_labels=5).trials
    reasons = {trial.plan: trial.reason for trial in trials if trial.verdict is not Verdict.SKIPPED}
    assert reasons.pop(plan) == ""
    assert SPEED_FROM_BEFORE in reasons.values()


def test_with_little_time_what_another_model_found_to_be_fast_is_asked_first() -> None:
    stand = Stand(b=5.0, c=6.0)
    first = stand.search(space=Space(MACHINE, ["c"]))
    plan = first.run()
    assert plan is not None
    judged = len(stand.judged)
    again = stand.search(budget_s=1.0, space=Space(MACHINE, ["b", "c"]))
    again.know(first.tuning(plan, n_labels=5).trials)
    assert again.run() == plan
    assert stand.judged[judged:] == ["c"]

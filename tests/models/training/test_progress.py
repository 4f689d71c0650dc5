from typing import Any

import pytest

from models.training.progress import Progress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_time_left_follows_the_measured_rate() -> None:
    events: list[dict[str, Any]] = []
    clock = Clock()
    progress = Progress(events.append, clock=clock)
    progress.expected_s |= {"training": 1.0, "exporting": 2.0, "tuning": 3.0, "evaluating": 5.0}
    progress.enter("training")
    for step in range(11):
        progress.report(step / 10, loss=0.5)
        clock.now += 4.0
    assert events[5]["remainingS"] == pytest.approx(5 * 4.0 + 10)
    assert events[5]["fraction"] == pytest.approx(20 / (20 + 30), abs=0.01)
    assert events[5]["loss"] == 0.5


def test_fraction_never_falls_and_reports_are_rare() -> None:
    events: list[dict[str, Any]] = []
    clock = Clock()
    progress = Progress(events.append, clock=clock)
    progress.enter("training")
    for step in range(1000):
        progress.report(min(step / 500, 1.0))
        clock.now += 0.1 if step < 400 else 1.0
    fractions = [event["fraction"] for event in events]
    assert fractions == sorted(fractions)
    assert len([event for event in events if event["fraction"]]) < 700


def test_a_resumed_stage_measures_only_its_own_part() -> None:
    events: list[dict[str, Any]] = []
    clock = Clock()
    progress = Progress(events.append, clock=clock)
    progress.expected_s |= {"training": 50.0, "exporting": 0.0, "tuning": 0.0, "evaluating": 0.0}
    progress.resume(60.0)
    progress.enter("training")
    progress.report(0.6)
    clock.now += 10
    progress.report(0.8)
    assert events[-1]["remainingS"] == pytest.approx(10)
    assert events[-1]["fraction"] == pytest.approx(70 / 80, abs=0.001)

"""How much of the machine others took: known where all processors are ours, and told from what we take ourselves."""

import os
import time

import pytest

from agents.bench import others
from agents.bench.others import busy_s, is_quiet, share_of_others


@pytest.fixture
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(others, "available_cpus", lambda: 2)


@pytest.mark.usefixtures("two_processors")
@pytest.mark.parametrize(
    ("after_s", "ours_s", "share"),
    [(120.0, 20.0, 0.0), (120.0, 10.0, 0.5), (120.0, 21.0, 0.0), (140.0, 0.0, 1.0)],
)
def test_what_is_not_ours_is_others(after_s: float, ours_s: float, share: float) -> None:
    assert share_of_others(100.0, after_s, ours_s=ours_s, seconds=10.0) == pytest.approx(share)


def test_what_cannot_be_known_is_not_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(others, "available_cpus", lambda: (os.cpu_count() or 1) + 1)
    assert busy_s() is None
    assert share_of_others(None, None, ours_s=1.0, seconds=1.0) is None
    assert is_quiet(None)


def test_work_of_this_process_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(others, "available_cpus", os.cpu_count)
    before, started = busy_s(), time.process_time()
    while time.process_time() - started < 0.5:
        pass
    after = busy_s()
    assert before is not None
    assert after is not None
    assert after - before >= 0.4


@pytest.mark.parametrize(("share", "quiet"), [(0.0, True), (0.1, True), (0.2, False)])
def test_a_tenth_of_the_processors_may_go_to_kafka_and_to_who_waits(share: float, quiet: bool) -> None:
    assert is_quiet(share) is quiet

"""What a worker says of deployments that it loads: of its start no success, unless somebody may wait for it."""

from datetime import timedelta

import pytest

from agents.client import SERVE_S
from agents.loading_news import AWAITED, LoadingNews
from schemas.control_events import EventType
from schemas.records import DeploymentRecord
from tests.agents.deployed import deployment

OLD = deployment("d1")


def news(*, after: timedelta, found: tuple[DeploymentRecord, ...] = (OLD,)) -> LoadingNews:
    made = LoadingNews("w1", clock=lambda: OLD.deployed_at + after)
    made.start(found)
    return made


def test_a_start_repeats_no_success_but_says_that_the_worker_serves() -> None:
    event = news(after=AWAITED + timedelta(seconds=1)).served(OLD, {"seconds": 0.5})
    assert (event.event, event.command_id, event.project) == (EventType.PROGRESS, None, "loans")
    assert event.details == {
        "worker": "w1",
        "deployment": "production",
        "model": {"label": "label-d1", "digest": "d1"},
        "atStart": True,
        "stage": "serves",
        "seconds": 0.5,
    }


@pytest.mark.parametrize("after_s", [0, SERVE_S, 2 * SERVE_S])  # a swap waits anew once its first deployment is served
def test_a_start_tells_who_may_still_wait_for_the_command(after_s: float) -> None:
    event = news(after=timedelta(seconds=after_s)).served(OLD, {})
    assert (event.event, event.command_id, event.details["atStart"]) == (EventType.SUCCEEDED, "c1", True)


@pytest.mark.parametrize("late", [timedelta(0), timedelta(days=9)])
def test_what_is_deployed_after_the_start_succeeds_however_long_it_takes(late: timedelta) -> None:
    changed = deployment("d1", command="c2")
    event = news(after=late).served(changed, {})
    assert (event.event, event.command_id) == (EventType.SUCCEEDED, "c2")
    assert "atStart" not in event.details


def test_a_model_that_is_refused_at_a_start_is_told_as_such() -> None:
    event = news(after=timedelta(days=9)).refused(OLD, "damaged")
    assert (event.event, event.command_id) == (EventType.REJECTED, "c1")
    assert event.details["problems"] == ["damaged"]
    assert event.details["atStart"]
    assert "atStart" not in news(after=timedelta(0), found=()).refused(OLD, "damaged").details

import pytest

from agents.prove.timeline import Timeline


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def timeline(clock: Clock) -> Timeline:
    """Outputs after 0, 1 and 3.5 seconds."""
    made = Timeline(clock)
    made.begin()
    for second in (0.0, 1.0, 3.5):
        clock.now = 100.0 + second
        made.published()
        made.came_out()
    return made


def test_silence_is_between_two_outputs(timeline: Timeline) -> None:
    assert timeline.longest_silence_s == 2.5
    assert timeline.out_per_s == [1, 1, 0, 1]


def test_a_run_that_stalled_was_silent_and_watched_to_its_end(timeline: Timeline, clock: Clock) -> None:
    clock.now = 193.5
    timeline.end(timeline.now_s, complete=False)
    assert timeline.longest_silence_s == 90.0
    assert (timeline.n_seconds, timeline.n_seconds_with_output) == (94, 3)
    assert timeline.out_per_s == [1, 1, 0, 1] + 90 * [0]


def test_a_wait_for_nothing_is_no_silence(timeline: Timeline) -> None:
    timeline.end(93.5, complete=True)
    assert (timeline.longest_silence_s, timeline.n_seconds) == (2.5, 4)


def test_what_came_after_the_end_was_given_up_takes_nothing_back(timeline: Timeline) -> None:
    timeline.end(2.0, complete=False)
    assert (timeline.longest_silence_s, timeline.out_per_s) == (2.5, [1, 1, 0, 1])

import io

import pytest
from rich.console import Console
from rich.theme import Theme

from agents.bench.progress import Pace, shown
from agents.bench.timetable import NORMAL, QUICK, Step, timetable
from agents.cli.theme import STYLES


def test_fraction_follows_the_expected_seconds_of_steps() -> None:
    pace = Pace(10.0)
    pace.begin(Step("one", 4.0), now=0.0)
    assert pace.fraction(2.0) == pytest.approx(0.2)
    pace.begin(Step("two", 6.0), now=3.0)
    assert pace.fraction(3.0) == pytest.approx(0.4)
    assert pace.left_s(6.0) == pytest.approx(3.0)


def test_a_step_that_takes_too_long_stands_still() -> None:
    pace = Pace(10.0)
    pace.begin(Step("one", 4.0), now=0.0)
    assert pace.fraction(100.0) == pytest.approx(0.4)


def test_a_whole_run_is_expected_to_take_less_than_five_minutes_and_a_quick_one_about_one() -> None:
    assert sum(step.seconds for step in timetable(NORMAL)) < 300
    assert sum(step.seconds for step in timetable(QUICK)) < 100


def test_where_nobody_watches_each_step_is_a_line() -> None:
    console = Console(file=io.StringIO(), theme=Theme(STYLES))
    with shown(console, QUICK) as on_step:
        on_step(Step("measuring", 1.0))
    output = console.file
    assert isinstance(output, io.StringIO)
    assert output.getvalue() == "measuring\n"

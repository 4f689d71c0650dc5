"""What people see while a run goes on, also in a terminal of 80 columns."""

import io

from rich.console import Console

from agents.prove.progress import shown
from agents.prove.run import Moment
from agents.prove.tables import _recovery


def test_the_bar_and_the_count_stay_where_much_is_done_at_once() -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    doing = "freeze a worker (worker-0), kill -9 a trainer (trainer-1), a worker joins (worker-2)"
    with shown(console, 6000) as on_moment:
        on_moment(Moment(1234, 6000, doing, n_murders=7))
    assert isinstance(console.file, io.StringIO)
    drawn = console.file.getvalue()
    assert "1234/6000" in drawn
    assert "0:00:0" in drawn
    assert "freeze a worker" in drawn


def test_recoveries_fit_into_80_columns() -> None:
    figures = {"times": 12, "medianS": 12.3, "worstS": 45.6}
    row = {"kind": "cut a worker's connections", "membership": "dynamic", "never": 0, "undisturbed": figures} | figures
    console = Console(file=io.StringIO(), width=80)
    console.print(_recovery({"recovery": [row, row | {"membership": "static", "never": 1}]}))
    assert isinstance(console.file, io.StringIO)
    drawn = console.file.getvalue()
    assert "…" not in drawn
    assert all(name in drawn for name in ("dynamic", "median", "never", "undisturbed"))
    assert drawn.count("worker's") == drawn.count("connections") == drawn.count("12: 12.3 s, 45.6 s") == 2

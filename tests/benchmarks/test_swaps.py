"""What the benchmark of swaps shows."""

import pytest

from agents.bench.traffic import Arrival, Passage
from benchmarks.soak.swaps import Swap
from benchmarks.swaps import Beside, show


def test_a_row_without_tickets_has_no_figures(capsys: pytest.CaptureFixture[str]) -> None:
    due = {str(at): float(at) for at in range(30)}
    arrivals = [Arrival(at + 0.25, name, b"") for name, at in due.items()]
    swaps = [Beside(Swap(0.0, "v1", 2.0), 0.0, 100.0), Beside(Swap(0.0, "v2", 1.0), 0.0, 100.0)]
    show(1.0, Passage(0.0, arrivals, due, lost=0, extra=0), swaps)
    rows = {
        cells[1].strip(): cells[2:-1]
        for line in capsys.readouterr().out.splitlines()
        if len(cells := line.split("│")) > 2
    }
    assert [cell.strip() for cell in rows["no swap"]] == ["0", "", "", ""]
    assert [cell.strip() for cell in rows["beside a swap"]] == ["14", "250", "250", "250"]

from agents.prove.chart import HEIGHT, chart
from agents.prove.report import report
from agents.prove.schedule import Kind
from tests.agents.prove.prove_kit import findings


def test_a_chart_has_a_column_a_second_and_marks_where_murders_were() -> None:
    made = report(findings())
    made["timeline"]["cameOutPerS"] = [0, 50, 100, 100]
    made["murders"] = [{"kind": Kind.KILL, "atS": 1.2}, {"kind": Kind.FREEZE, "atS": 3.0}]
    head, *bars, marks, legend = chart(made, 80)
    assert head == "events a second (highest: 100) over 4 s"
    assert len(bars) == HEIGHT
    assert [bar[0] for bar in bars] == [" "] * HEIGHT
    assert [bar[3] for bar in bars] == ["█"] * HEIGHT
    assert sum(bar[1] == "█" for bar in bars) == HEIGHT // 2
    assert marks == " k f"
    assert legend == "k kill -9 a worker  f freeze a worker"


def test_a_long_run_fits_the_width_and_different_murders_of_one_column_are_a_star() -> None:
    made = report(findings())
    made["timeline"]["cameOutPerS"] = [10] * 1000
    made["murders"] = [{"kind": Kind.KILL, "atS": 500.0}, {"kind": Kind.CUT, "atS": 501.0}]
    lines = chart(made, 40)
    assert max(map(len, lines[1:])) <= 40
    assert lines[HEIGHT + 1].strip() == "*"
    assert lines[-1] == "* several of them"


def test_without_outputs_there_is_no_chart() -> None:
    made = report(findings())
    made["timeline"]["cameOutPerS"] = []
    assert chart(made, 80) == []


def test_every_kind_has_a_mark() -> None:
    made = report(findings())
    made["murders"] = [{"kind": kind, "atS": 0.0} for kind in Kind]
    assert all(str(kind) in " ".join(chart(made, 200)) for kind in Kind)

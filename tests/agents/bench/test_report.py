import io
import xml.etree.ElementTree as ET

import orjson
import pytest
from rich.console import Console
from rich.theme import Theme

from agents.bench.plot import svg
from agents.bench.report import goals, report
from agents.bench.tables import bar, show
from agents.cli.theme import STYLES
from tests.agents.bench.bench_kit import findings, one_pass


def test_goals_say_what_is_met_and_what_is_missed() -> None:
    found = {goal.name: goal for goal in goals(findings())}
    assert found["exactly once / bare engine"].value == pytest.approx(0.95)
    assert found["exactly once / bare engine"].met
    assert found["exactly once / naive worker"].value == pytest.approx(95 / 8)
    assert found["bare engine / torch FP32 in batches of 32"].value == pytest.approx(10)
    echo = found["processor time of an event without a model"]
    assert echo.value == pytest.approx(50)
    assert echo.met
    latency = found["p99 latency of tickets at 70 % load"]
    assert latency.value == pytest.approx(30)
    assert latency.met


def test_more_than_the_goal_of_a_latency_is_missed() -> None:
    found = findings()
    found.latencies[0] = type(found.latencies[0])("exactly-once", 70.0, [0.051])
    assert [goal.met for goal in goals(found) if "p99" in goal.name] == [False]


def test_stages_share_the_time_without_those_that_contain_others() -> None:
    assert report(findings())["stages"]["exactly-once"] == {"forward": 0.9, "commit": 0.1}


def test_documents_with_other_spans_than_the_bare_engine_are_reported() -> None:
    other = one_pass("naive", spans=frozenset({("Rent", 3, 5)}))
    rows = {row["subject"]: row for row in report(findings(naive=other))["mix"]}
    assert rows["naive"]["documentsThatDiffer"] == 1
    assert rows["naive"]["agreementWithBare"] == 0
    assert rows["exactly-once"]["documentsThatDiffer"] == 0


def test_report_is_json() -> None:
    assert orjson.loads(orjson.dumps(report(findings())))["plan"]["backend"] == "openvino-bf16"


def test_lost_documents_are_said() -> None:
    assert "1 documents lost" in _shown(report(findings(exactly_once=one_pass("exactly-once", lost=1))))
    assert "0 documents lost, 0 outputs too many" in _shown(report(findings()))


def test_tables_name_subjects_ratios_and_goals() -> None:
    said = _shown(report(findings()))
    for words in ("Lexstream, exactly once", "naive worker", "0.95", "forward", "90.0%", "met", "p99 ms", "0.9960"):
        assert words in said


def test_bar_fills_with_its_share() -> None:
    assert bar(1.0, width=4) == "████"
    assert bar(0.5, width=4) == "██"
    assert bar(0.0, width=4) == ""


def test_plot_is_well_formed_and_has_a_bar_for_every_subject() -> None:
    root = ET.fromstring(svg(report(findings())))
    rectangles = [each for each in root.iter() if each.tag.endswith("rect")]
    assert len(rectangles) == 1 + 5 + 3


def _shown(found: dict[str, object]) -> str:
    console = Console(file=io.StringIO(), width=160, theme=Theme(STYLES))
    show(found, console)
    output = console.file
    assert isinstance(output, io.StringIO)
    return output.getvalue()

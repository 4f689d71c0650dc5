import io
import xml.etree.ElementTree as ET

import orjson
import pytest
from rich.console import Console
from rich.theme import Theme

from agents.bench.findings import MIX, TICKETS
from agents.bench.plot import svg
from agents.bench.report import goals, report
from agents.bench.tables import bar, show
from agents.bench.timetable import MIXED_SUBJECTS, TICKET_SUBJECTS
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


def test_a_machine_that_others_use_is_said_in_the_place_of_verdicts() -> None:
    busy = report(findings(bare=one_pass("bare", others=0.4)))
    assert (busy["others"], busy["unjudged"]) == (0.4, "not quiet")
    said = _shown(busy)
    assert "others took 40% of the processors" in said
    assert " met" not in said
    assert "not quiet" in said
    unknown = findings(bare=one_pass("bare", others=None))
    unknown.passes = [each for each in unknown.passes if each.documents == MIX]
    unknown.passes += [one_pass(name, TICKETS, others=None) for name in TICKET_SUBJECTS]
    assert report(unknown)["unjudged"] is None
    assert "cannot be known here" in _shown(report(unknown))


def test_passes_of_a_moment_are_not_judged() -> None:
    short = report(findings(exactly_once=one_pass("exactly-once", seconds=2.5)))
    assert short["unjudged"] == "too short"
    assert {goal["met"] for goal in short["goals"]} == {None}
    said = _shown(short)
    assert " met" not in said
    assert "passes of 2.5 s are too short for verdicts" in said
    assert report(findings())["unjudged"] is None


def test_the_rounds_show_how_far_a_ratio_spreads() -> None:
    found = findings()
    found.passes += [one_pass(name) for name in MIXED_SUBJECTS if name != "exactly-once"]
    found.passes.append(one_pass("exactly-once", seconds=6.25))
    said = _shown(report(found))
    assert "0.80-0.95" in said
    assert "0.88" in said


def test_latencies_are_shown_with_the_rate_that_they_were_measured_at() -> None:
    said = _shown(report(findings()))
    assert "at docs/s" in said
    assert "70" in next(line for line in said.splitlines() if "30.0" in line)


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

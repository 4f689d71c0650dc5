import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import replace

import pytest

from agents.cli.theme import make_console
from agents.prove.group import Lag
from agents.prove.murders import Deed
from agents.prove.plot import svg
from agents.prove.recovery import Stop
from agents.prove.report import Verdict, report
from agents.prove.run import Findings
from agents.prove.schedule import Kind, Murder
from agents.prove.tables import show
from tests.agents.prove.prove_kit import GOOD, answer_all, checker, findings

HARMLESS = [Deed(Murder(1.0, kind, 0.0, 0.0), "worker-0", 1.0, 1.0) for kind in (Kind.JOIN, Kind.LEAVE, Kind.SLOW)]
KILLED = Deed(Murder(1.0, Kind.KILL, 0.0, 0.0), "worker-0", 1.0, 1.0)


def lost_one() -> Findings:
    judge = checker()
    answer_all(judge, but=GOOD[-1], swap_at=20)
    return findings(judge)


def never_swapped() -> Findings:
    judge = checker()
    answer_all(judge)
    return findings(judge)


@pytest.mark.parametrize(
    ("found", "verdict", "reason"),
    [
        (findings(), Verdict.EXACTLY_ONCE, "400 events and 2 murders"),
        (lost_one(), Verdict.BROKEN, "1 lost"),
        (findings(lag=Lag(n_behind=3)), Verdict.BROKEN, "3 events not consumed"),
        (findings(lag=Lag(n_beyond=2)), Verdict.BROKEN, "2 events committed beyond the end of a partition"),
        (findings(lag=None), Verdict.BROKEN, "Kafka did not say how far the group has committed"),
        (findings(deeds=[]), Verdict.NOTHING_PROVEN, "nobody was murdered"),
        (findings(deeds=HARMLESS), Verdict.NOTHING_PROVEN, "nobody was murdered"),
        (findings(deeds=[*HARMLESS, KILLED, KILLED]), Verdict.EXACTLY_ONCE, "400 events and 2 murders"),
        (never_swapped(), Verdict.NOTHING_PROVEN, "no model was swapped"),
    ],
)
def test_the_verdict_is_good_only_where_somebody_died_and_nothing_is_wrong(
    found: Findings, verdict: Verdict, reason: str
) -> None:
    made = report(found)
    assert made["verdict"] == verdict
    assert made["reason"].startswith(reason)


def test_the_report_says_what_was_done_and_what_came_out() -> None:
    made = report(findings())
    assert made["murdersByKind"] == {"kill -9 a worker": 1, "freeze a worker": 1}
    assert made["cameOut"] == made["published"] == made["events"] == 400
    assert made["models"] == {"deployed": 2, "served": 0, "trained": 0, "answered": 2, "switchedRecords": 16}
    assert (made["notCommitted"], made["committedBeyond"]) == (0, 0)
    assert set(made["faults"].values()) == {0}


def test_processes_that_ended_by_a_mistake_of_ours_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    ends = ["exit code 3, AssertionError", "exit code 3, Fenced", "had to be killed when it was told to leave"]
    made = report(replace(findings(), ends=Counter(ends)))
    assert made["workers"]["mistakes"] == {"exit code 3, AssertionError": 1}
    assert (made["verdict"], len(made["workers"]["endedByThemselves"])) == (Verdict.EXACTLY_ONCE, len(ends))
    show(made, make_console())
    said = capsys.readouterr().out
    assert said.count("a process ended by itself by a mistake of ours: exit code") == 1
    assert said.count("a process ended by itself: ") == len(ends) - 1


def test_a_broker_is_no_member_of_a_group() -> None:
    killed = Deed(Murder(1.0, Kind.KILL_BROKER, 0.0, 0.0), "broker", 1.0, 2.0)
    made = report(findings(deeds=[KILLED, replace(KILLED, static=True), killed]))
    assert [murder["member"] for murder in made["murders"]] == ["dynamic", "static", None]


def test_in_how_many_seconds_something_came_out_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    found = findings()
    found.timeline.in_per_s[:], found.timeline.out_per_s[:] = [100, 300, 0, 0, 0], [0, 150, 0, 250]
    made = report(found)
    assert (made["secondsWithOutput"], made["secondsWatched"]) == (2, 5)
    show(made, make_console())
    assert "something came out in 2 of 5 s, longest silence" in capsys.readouterr().out


def test_the_picture_marks_every_murder() -> None:
    root = ET.fromstring(svg(report(findings())))
    titles = [element.text for element in root.iter("{http://www.w3.org/2000/svg}title")]
    assert titles == ["0.5 s: kill -9 a worker (worker-0)", "0.7 s: freeze a worker (worker-1)"]


def test_a_run_without_anything_still_has_a_picture() -> None:
    made = report(findings(deeds=[]))
    made["timeline"] = {"publishedPerS": [], "cameOutPerS": []}
    ET.fromstring(svg(made))


def test_the_tables_show_the_verdict_and_examples_of_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    show(report(lost_one()), make_console())
    said = capsys.readouterr().out
    place = GOOD[-1]
    assert "✗ not exactly once: 1 lost" in said
    assert f"/{place.partition}/{place.offset}" in said
    show(report(findings()), make_console())
    assert "✓ exactly once" in capsys.readouterr().out


def test_a_partition_that_never_moved_again_stands_in_the_table_and_beside_its_murder(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    stop = Stop(1.0, 0.0, {("n.documents", 0): 2.0, ("n.documents", 1): None}, [("n.documents", 1)])
    made = report(findings(deeds=[replace(KILLED, stop=stop)]))
    assert (made["murders"][0]["recoveredS"], made["murders"][0]["neverMoved"]) == (None, ["documents/1"])
    show(made, make_console())
    row = next(line for line in capsys.readouterr().out.splitlines() if "dynamic" in line)
    assert row.partition("dynamic")[2].split() == ["0", "-", "-", "1", "-"]

"""The pure parts of the soak: events, the count, slopes, the verdict and the picture."""

import io
import json
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import orjson
import psutil
import pytest
from rich.console import Console

from agents.prove.checker import Input, Seen
from agents.prove.events import HEADER, PARTITIONS, LaneName, Place, places
from benchmarks.soak import __main__ as soak
from benchmarks.soak.events import LONG_CHARS, Traffic
from benchmarks.soak.plot import svg, used
from benchmarks.soak.report import Findings, Verdict, judge, report
from benchmarks.soak.sampling import Reading, Sample, read
from benchmarks.soak.swaps import Swap
from benchmarks.soak.tables import show
from benchmarks.soak.tally import Tally
from benchmarks.soak.trends import long_enough, rise, slope, swap_due_s, trends, warm
from schemas.names import Kind

DIGEST = "sha256:a"
TRAFFIC = Traffic(10.0, ["Pay 900 pounds to Ann Lee.", "The printer is out of paper."])
N_EVENTS = 1300
INPUTS = {
    "in": Input(LaneName.BULK, frozenset({"out", "dead"})),
    "requests": Input(LaneName.INTERACTIVE, frozenset({"replies", "dead"})),
}
TOPICS = {LaneName.BULK: ("in", "out"), LaneName.INTERACTIVE: ("requests", "replies")}
EVENTS = list(places(N_EVENTS))
GOOD = [place for place in EVENTS if TRAFFIC.broken(place) is None]
NEXT = next(place for place in places(N_EVENTS + 100) if place not in EVENTS and TRAFFIC.broken(place) is None)
BAD = [place for place in EVENTS if TRAFFIC.broken(place) is not None]


def answer(place: Place, digest: str = DIGEST, **changed: object) -> Seen:
    topic, output = TOPICS[place.lane]
    document = {
        "id": place.id, "text": TRAFFIC.text(place), "errors": [], "source": source(place),
        "results": [result(place, digest)],
    }  # fmt: skip
    headers = [
        (HEADER, place.id.encode()),
        ("lexstream-source", f"{topic}/{place.partition}/{place.offset}".encode()),
        ("lexstream-model", f"bench/production={digest}".encode()),
    ]
    return Seen(output, place.partition, place.id.encode(), json.dumps(document | changed).encode(), headers)


def source(place: Place) -> dict[str, object]:
    at = datetime.fromtimestamp(place.number / 10, UTC).isoformat()
    return {"topic": TOPICS[place.lane][0], "partition": place.partition, "offset": place.offset, "timestamp": at}


def result(place: Place, digest: str = DIGEST, *, begins: int = 0) -> dict[str, object]:
    entity = {"text": TRAFFIC.text(place)[:3], "offset": begins, "length": 3}
    told = {"project": "bench", "deployment": "production", "kind": Kind.ENTITIES}
    return told | {"model": {"digest": digest}, "entities": [entity]}


def death(place: Place, error: str | None = None) -> Seen:
    bad = TRAFFIC.broken(place)
    facts = {
        "topic": TOPICS[place.lane][0], "partition": place.partition, "offset": place.offset,
        "exception.class.name": error or (bad.error if bad else "DecodeError"), "stage": bad.stage if bad else "decode",
    }  # fmt: skip
    headers = [(HEADER, place.id.encode())]
    headers += [(f"__connect.errors.{name}", str(fact).encode()) for name, fact in facts.items()]
    return Seen("dead", place.partition, place.id.encode(), TRAFFIC.value(place), headers)


def switched() -> list[Seen]:
    said = [
        {
            "event": "switched",
            "project": "bench",
            "details": {"topic": topic, "partition": partition, "offset": 0, "to": DIGEST},
        }
        for topic in INPUTS
        for partition in range(PARTITIONS)
    ]
    return [Seen("events", 0, None, json.dumps(each).encode(), ()) for each in said]


def new_tally(*, at_s: float = 0.0) -> Tally:
    return Tally(TRAFFIC, INPUTS, N_EVENTS, now_s=lambda: at_s, clock=lambda: 1000.0)


def hand_in(tally: Tally, message: Seen) -> None:
    (tally.dead_letter if message.topic == "dead" else tally.enriched)(message)


def tallied(*, but: Place | None = None, instead: Seen | None = None) -> Tally:
    """A tally of everything, without one event or with another output of it."""
    tally = new_tally()
    for message in switched():
        tally.control_event(message)
    for place in EVENTS:
        if place != but:
            hand_in(tally, death(place) if TRAFFIC.broken(place) else answer(place))
        elif instead is not None:
            hand_in(tally, instead)
    return tally


def published() -> dict[tuple[str, int], int]:
    return {
        (topic, partition): sum(place.lane is lane and place.partition == partition for place in EVENTS)
        for topic, lane in ((topic, each.lane) for topic, each in INPUTS.items())
        for partition in range(PARTITIONS)
    }


def reading(mb: float = 500.0, descriptors: int = 60, cpu_s: float = 0.0) -> Reading:
    return Reading(mb, mb, descriptors, 40, cpu_s)


def samples(
    minutes: float = 60,
    *,
    mb_per_hour: float = 0.0,
    fds_per_hour: float = 0.0,
    lag_per_hour: float = 0.0,
    step_mb: float = 0.0,
    step_fds: int = 0,
) -> list[Sample]:
    """A worker with a peak of memory every five minutes, and a step that stays, ten minutes before the end.

    Times are as a run has them: each a little late, and none at the very end.
    """
    made = []
    for at in range(int(minutes * 12)):
        hour, peak, stepped = at / 720, 200.0 * (at % 60 < 3), at >= (minutes - 10) * 12
        mb = 500 + mb_per_hour * hour + peak + step_mb * stepped
        worker = reading(mb, int(60 + fds_per_hour * hour) + step_fds * stepped, at * 4.0)
        made.append(Sample(at * 5.0 + 0.1, int(3 + lag_per_hour * hour + at % 5), worker, reading()))
    return made


def findings(
    tally: Tally | None = None, taken: list[Sample] | None = None, *, swaps: tuple[Swap, ...] = (), problem: str = ""
) -> Findings:
    counted = tally or tallied()
    counted.close(published())
    return Findings(
        minutes=60, seconds=3600, until_s=3600, rate=10, interrupted=False, published=N_EVENTS, tally=counted,
        samples=samples() if taken is None else taken, swaps=swaps, n_held_back=0,
        problems=[problem] if problem else [], machine="x", digests={"v1": DIGEST, "v2": "sha256:b"}, plan={},
    )  # fmt: skip


def test_every_minute_one_document_is_long_and_comes_to_the_next_partition() -> None:
    # At most every fiftieth of them is broken instead.
    found = [place for place in places(60 * 60 * 10) if TRAFFIC.is_long(place)]
    minutes = [place.number // TRAFFIC.bulk_a_minute for place in found]
    assert len(set(minutes)) == len(minutes) >= 56
    assert all(place.partition == minute % PARTITIONS for place, minute in zip(found, minutes, strict=True))
    assert len(TRAFFIC.text(found[0])) == LONG_CHARS


@pytest.mark.parametrize("rate", [0.05, 0.2, 1, 7, 60, 1000])
def test_any_rate_has_its_long_documents(rate: float) -> None:
    traffic = Traffic(rate, ["text"])
    numbers = range(10 * traffic.bulk_a_minute)
    assert sum(traffic.is_long(Place(LaneName.BULK, number)) for number in numbers) >= 8


def test_no_two_documents_are_alike_and_some_are_broken() -> None:
    assert len({TRAFFIC.value(place) for place in GOOD}) == len(GOOD)
    assert 0.01 < len(BAD) / N_EVENTS < 0.03


def test_a_run_in_which_all_came_out_once_has_no_faults() -> None:
    tally = tallied()
    tally.close(published())
    assert tally.n_seen == N_EVENTS
    assert not tally.checker.faults, tally.checker.examples
    assert tally.checker.n_enriched == len(GOOD)
    assert tally.checker.dead.total() == len(BAD)


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        (answer(GOOD[0]), "duplicate"),
        (death(BAD[0]), "duplicate"),
        (answer(NEXT), "unexpected"),
        (replace(answer(GOOD[0]), headers=[("lexstream-source", b"in/0")]), "unexpected"),
        (replace(answer(GOOD[0]), headers=[("lexstream-source", b"in/0/" + b"9" * 5000)]), "unexpected"),
        (replace(death(BAD[0]), headers=[]), "unexpected"),
    ],
)
def test_what_comes_too_often_is_found(message: Seen, fault: str) -> None:
    tally = tallied()
    hand_in(tally, message)
    tally.close(published())
    assert tally.checker.faults[fault] == 1


def test_what_comes_out_beyond_what_kafka_has_is_found() -> None:
    tally = tallied()
    tally.close(published() | {("in", 0): published()["in", 0] - 1})
    assert dict(tally.checker.faults) == {"unexpected": 1}


def test_what_is_lost_is_found() -> None:
    tally = tallied(but=GOOD[-1])
    tally.close(published())
    assert dict(tally.checker.faults) == {"lost": 1}


def test_what_nobody_waited_for_is_not_lost_but_a_gap_is() -> None:
    tally = new_tally()
    for place in [place for place in GOOD[:100] if place.partition == 0 and place.lane is LaneName.BULK][2:]:
        tally.enriched(answer(place))
    tally.close(tally.reached())
    n_of_first = max(place.offset for place in GOOD[:100] if place.partition == 0 and place.lane is LaneName.BULK) + 1
    assert tally.checker.faults["lost"] == n_of_first - tally.checker.n_enriched


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        (answer(GOOD[-1], text="another"), "wrongAnswer"),
        (answer(GOOD[-1], results=[]), "wrongAnswer"),
        (answer(GOOD[-1], results=[{}]), "wrongAnswer"),
        (answer(GOOD[-1], results=[result(GOOD[-1], begins=1)]), "wrongAnswer"),
        (answer(GOOD[-1], source=source(GOOD[-1]) | {"timestamp": "yesterday"}), "wrongAnswer"),
        (answer(GOOD[-1], ""), "wrongAnswer"),
        (replace(answer(GOOD[-1]), value=b"{"), "wrongAnswer"),
        (answer(BAD[-1]), "wrongOutcome"),
        (death(GOOD[-1]), "wrongOutcome"),
        (death(BAD[-1], "ModelError"), "wrongOutcome"),
        (answer(GOOD[-1], "sha256:b"), "wrongModel"),
    ],
)
def test_what_comes_out_wrong_is_found(message: Seen, fault: str) -> None:
    place = BAD[-1] if message.key == BAD[-1].id.encode() else GOOD[-1]
    tally = tallied(but=place, instead=message)
    tally.close(published())
    assert dict(tally.checker.faults) == {fault: 1}


@pytest.mark.parametrize("said", [b"{", b"[]", b'{"event": "switched", "project": "bench", "details": {}}'])
def test_a_control_event_that_cannot_be_read_is_a_fault(said: bytes) -> None:
    tally = tallied()
    tally.control_event(Seen("events", 0, None, said, ()))
    assert dict(tally.checker.faults) == {"command": 1}


def test_what_comes_out_late_is_out_of_order() -> None:
    tally = tallied(but=GOOD[0])
    tally.enriched(answer(GOOD[0]))
    tally.close(published())
    assert dict(tally.checker.faults) == {"reordered": 1}


def test_latencies_are_kept_by_kind_and_minute() -> None:
    tally = new_tally(at_s=70.0)
    long = next(place for place in GOOD if TRAFFIC.is_long(place))
    for place in (GOOD[0], long):
        tally.enriched(answer(place))
    assert set(tally.latencies) == {(1, "bulk"), (1, "long")}
    assert tally.latencies[1, "bulk"] == [pytest.approx(1000.0)]


def test_peaks_do_not_move_the_slope_but_growth_does() -> None:
    times = [float(at) for at in range(100)]
    assert slope(times, [5.0 + 100 * (at % 10 == 0) for at in range(100)]) == 0.0
    assert slope(times, [5.0 + 2 * at + 1000 * (at % 10 == 0) for at in range(100)]) == pytest.approx(2.0, rel=0.1)
    assert slope([1.0], [1.0]) == 0.0


def test_the_warm_up_is_ten_minutes_or_a_third_and_slopes_need_twenty_more() -> None:
    assert warm(samples(60))[0].at_s == 600.1
    assert warm(samples(9))[0].at_s == 180.1
    assert long_enough(samples(30))
    assert not long_enough(samples(29))
    assert not long_enough([])


def test_models_are_swapped_often_while_it_warms_up_and_then_as_asked() -> None:
    due = [swap_due_s(number, every_s=300.0, warm_s=600.0) for number in range(18)]
    assert due == [*(40.0 * number for number in range(15)), 600.0, 900.0, 1200.0]
    assert [swap_due_s(number, every_s=20.0, warm_s=600.0) for number in (0, 14, 15, 40)] == [0, 280, 300, 800]


@pytest.mark.parametrize(
    ("taken", "figure"),
    [
        (samples(mb_per_hour=40), "memory of its own, MB"),
        (samples(fds_per_hour=10), "file descriptors"),
        (samples(lag_per_hour=100), "lag, events"),
        (samples(step_mb=40), "memory of its own, MB was 40.0 more"),
        (samples(step_fds=2), "file descriptors was 2.0 more"),
    ],
)
def test_what_grows_is_not_steady(taken: list[Sample], figure: str) -> None:
    found = report(findings(taken=taken))
    assert found["verdict"] == Verdict.NOT_STEADY
    assert any(figure in problem for problem in found["problems"])


def test_what_stays_within_its_bounds_is_steady() -> None:
    assert report(findings(taken=samples(mb_per_hour=15)))["verdict"] == Verdict.STEADY
    assert report(findings(taken=samples(step_mb=10, step_fds=1)))["verdict"] == Verdict.STEADY


def test_the_rise_is_that_of_the_quarters_and_a_bound_holds_for_the_time_between_them() -> None:
    assert rise([0.0, 1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 100.0, 50.0, 70.0]) == 58.0
    assert rise([], []) == 0.0
    own = next(each for each in trends(samples(step_mb=40), rate=10) if each.name == "memory of its own, MB")
    assert own.per_hour == 0.0  # which is why slopes alone do not tell
    assert own.rise == 40.0
    assert own.bound == pytest.approx(25.0)
    assert own.rise_bound == pytest.approx(25.0 * 0.75 * 2995 / 3600)


def test_a_sample_without_a_reading_of_the_worker_is_no_flat_memory() -> None:
    taken = samples()
    early, late = ([*taken[:at], replace(taken[at], worker=None), *taken[at + 1 :]] for at in (10, 700))
    assert report(findings(taken=early))["problems"] == []
    assert report(findings(taken=late))["problems"] == ["worker: it could not be read for 1 of 600 samples"]


def test_a_stored_run_is_judged_again(tmp_path: Path) -> None:
    found = report(findings(tallied(but=GOOD[0]), samples(step_mb=40)))
    stale = found | {"verdict": "steady", "problems": ["1 lost", "worker: grew a little"], "trends": []}
    (tmp_path / "soak.json").write_bytes(orjson.dumps(stale))
    assert judge(tmp_path / "soak.json") == orjson.loads(orjson.dumps(found))


def test_a_short_run_is_judged_by_its_count_alone() -> None:
    short = samples(10, mb_per_hour=1000)
    assert report(findings(taken=short))["verdict"] == Verdict.TOO_SHORT
    assert report(findings(tallied(but=GOOD[0]), short))["verdict"] == Verdict.NOT_STEADY


def test_a_worker_that_ended_or_a_model_that_was_not_served_is_not_steady() -> None:
    assert report(findings(problem="the worker ended with 3"))["problems"] == ["the worker ended with 3"]
    swap = Swap(10.0, "v2", None, "no worker answers")
    assert report(findings(swaps=(swap,)))["problems"] == ["v2 was not served: no worker answers"]


def test_a_model_that_a_worker_serves_and_nothing_uses_is_not_steady() -> None:
    found = report(findings(swaps=(Swap(0.0, "v1", 2.0), Swap(300.0, "v2", 3.0), Swap(3590.0, "v2", 3.0))))
    assert found["problems"] == ["v2 was not served: no partition went on with it within 3287 s"]
    assert [each["n_partitions"] for each in found["swaps"]] == [2 * PARTITIONS, 0, 0]
    assert found["answered"] == {"v1": len(GOOD), "v2": 0}
    assert found["servedInWarmUp"] == 2


def test_a_broker_is_told_of_but_not_judged() -> None:
    found = [each for each in trends(samples(), rate=10) if each.of == "broker"]
    assert len(found) == 4
    assert all(each.bound is None and not each.problem for each in found)


def test_processor_time_is_a_share_of_what_passed() -> None:
    assert used([(0.0, 10.0), (1.0, 40.0), (1.0, 40.0)]) == [(1.0, 50.0)]


@pytest.mark.parametrize("taken", [samples(), []])
def test_the_picture_marks_the_swaps_and_the_tables_show_the_verdict(taken: list[Sample]) -> None:
    found = report(findings(taken=taken, swaps=(Swap(300.0, "v2", 2.5),)))
    titles = [each.text for each in ET.fromstring(svg(found)).iter("{http://www.w3.org/2000/svg}title")]
    assert set(titles) == {"v2 deployed"}
    said = io.StringIO()
    show(found, Console(file=said, width=160))
    assert found["verdict"] in said.getvalue()
    json.dumps(found)  # as it is written


def test_a_process_that_ended_has_no_reading() -> None:
    assert read(None) is None


def test_a_system_that_does_not_tell_what_the_soak_counts_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "LINUX", False)
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(sys, "argv", ["soak"])
    with pytest.raises(SystemExit, match=r"Linux only, .* got darwin"):
        soak.main()

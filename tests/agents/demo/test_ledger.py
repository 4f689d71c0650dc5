"""What has to add up at the end of the demo, and that its stage is left empty."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from agents.broker import LocalBroker
from agents.cli.context import Cli
from agents.demo.ledger import Ledger, Switch, answers_of, contradictions, labels_of, switches_of
from agents.demo.samples import BAD_EVENTS, SAMPLES, endless, mixed
from agents.demo.stage import Stage, open_stage
from schemas.codecs import DocumentCodec
from schemas.control_events import ControlEvent, EventType
from schemas.errors import EventError, LexstreamError


def ledger(came_in: list[tuple[int, int]], enriched: list[tuple[int, int]], dead: list[tuple[int, int]]) -> Ledger:
    made = Ledger(set(came_in))
    made.enriched.update(enriched)
    made.dead.update(dead)
    return made


def test_what_came_out_once_adds_up() -> None:
    good = ledger([(0, 0), (0, 1), (1, 0)], [(0, 0), (1, 0)], [(0, 1)])
    assert good.complete
    assert good.problems() == []


@pytest.mark.parametrize(
    ("enriched", "dead", "word"),
    [
        ([(0, 0)], [], "lost"),
        ([(0, 0), (0, 1), (5, 5)], [], "not ours"),
        ([(0, 0), (0, 1)], [(0, 1)], "more than once"),
    ],
)
def test_what_is_lost_strange_or_double_is_named(
    enriched: list[tuple[int, int]], dead: list[tuple[int, int]], word: str
) -> None:
    (problem,) = ledger([(0, 0), (0, 1)], enriched, dead).problems()
    assert word in problem


def document(partition: int, offset: int, digest: str) -> Any:
    return {
        "source": {"topic": "in", "partition": partition, "offset": offset},
        "results": [{"project": "p", "deployment": "d", "model": {"label": digest.upper(), "digest": digest}}],
    }


def test_answers_are_held_against_the_switches_of_the_log() -> None:
    details = {"deployment": "d", "topic": "in", "partition": 0}
    events = [
        ControlEvent(project="p", event=EventType.SWITCHED, details={**details, "offset": 0, "from": None, "to": "a"}),
        ControlEvent(project="p", event=EventType.SWITCHED, details={**details, "offset": 5, "from": "a", "to": "b"}),
        ControlEvent(project="q", event=EventType.SWITCHED, details={**details, "offset": 2, "from": "a", "to": "c"}),
    ]
    switches = switches_of(events, topic="in", project="p", deployment="d")
    assert switches == [Switch(0, 0, "a", None), Switch(0, 5, "b", "a")]
    right = [document(0, 4, "a"), document(0, 5, "b")]
    assert contradictions(answers_of(right, project="p"), switches) == []
    wrong = [document(0, 4, "b"), document(0, 9, "a")]
    assert contradictions(answers_of(wrong, project="p"), switches) == [(0, 4), (0, 9)]
    assert labels_of(right) == {"a": "A", "b": "B"}


def test_documents_take_turns_and_come_again_under_other_ids() -> None:
    documents = mixed()
    assert len(documents) == sum(len(sample.stream) for sample in SAMPLES)
    assert [each["tasks"][0]["project"] for each in documents[:3]] == [sample.name for sample in SAMPLES]
    again = endless(documents[:2])
    assert len({next(again)["id"] for _ in range(6)}) == 6


def test_no_bad_event_is_one_that_could_be_enriched() -> None:
    broken, incomplete, nobody = (value for _, value in BAD_EVENTS)
    for value in (broken, incomplete):
        with pytest.raises(EventError):
            DocumentCodec().decode(value)
    assert DocumentCodec().decode(nobody).tasks[0].deployment == "nowhere"


def test_the_stage_uses_nothing_of_the_users_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEXSTREAM_SECURITY_PROTOCOL", "SSL")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lexstream.toml").write_text('namespace = "mine"\n')
    with open_stage(Cli({"home": tmp_path})) as stage:
        settings = stage.cli.settings
        assert settings.namespace == "lexstream-demo"
        assert settings.security_protocol == "PLAINTEXT"
        assert settings.brokers != "localhost:9092"
        assert stage.home.is_dir()
    assert not stage.home.exists()


def test_a_process_that_ends_is_noticed_and_its_last_words_are_kept(tmp_path: Path) -> None:
    stage = Stage(Cli({"threads": -1}), LocalBroker(tmp_path), tmp_path)
    stage.start("worker")
    with pytest.raises(LexstreamError, match="the worker ended with exit code 2"):
        asyncio.run(asyncio.wait_for(stage.guard(), 60))
    ((file, tail),) = stage.tails()
    assert file.name == "worker.log"
    assert "threads: got -1, expected at least 0" in tail
    stage.stop()
    assert sys.executable in stage.processes["worker"].args  # type: ignore[operator]

import json
from asyncio import CancelledError
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agents.cli.main import run as run_program
from agents.prove import broker, run
from agents.prove.expected import Corpus
from agents.prove.run import Findings, Order
from agents.prove.schedule import Kind
from agents.prove.workers import Membership, Sabotage
from agents.settings import Settings
from schemas.errors import LexstreamError, Unavailable
from tests.agents.prove.prove_kit import GOOD, answer_all, checker, findings


@pytest.fixture
def kafkas() -> list[int]:
    """How many nodes each broker would have had."""
    return []


@pytest.fixture(autouse=True)
def orders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kafkas: list[int]) -> list[Order]:
    """Nothing is started; what was asked is noted."""
    asked: list[Order] = []

    @contextmanager
    def no_broker(settings: Any, _name: str, _folder: Path, *, nodes: int) -> Iterator[tuple[Any, None]]:
        kafkas.append(nodes)
        yield settings, None

    def proven(_settings: object, order: Order, **_more: object) -> Findings:
        asked.append(order)
        return findings()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(broker, "own_broker", no_broker)
    monkeypatch.setattr(run, "prove", proven)
    return asked


def test_a_cluster_is_had_on_request_and_only_where_it_is_ours(
    capsys: pytest.CaptureFixture[str], kafkas: list[int], orders: list[Order]
) -> None:
    assert run_program(["prove", "--json"]) == 0
    assert run_program(["prove", "--nodes", "3", "--json"]) == 0
    assert kafkas == [1, 3]
    assert run_program(["prove", "--nodes", "3", "--brokers", "there:9092"]) == 2
    assert "--nodes 3 is for a broker of our own, got the brokers there:9092" in capsys.readouterr().err
    assert len(orders) == 2


@pytest.mark.parametrize("command", [["prove"], ["broker", "start"]])
@pytest.mark.parametrize("nodes", ["0", "2", "4"])
def test_a_cluster_has_three_nodes(
    capsys: pytest.CaptureFixture[str], orders: list[Order], command: list[str], nodes: str
) -> None:
    assert run_program([*command, "--nodes", nodes]) == 2
    assert capsys.readouterr().err == f"lexstream: got --nodes {nodes}, expected 1 or 3\n"
    assert orders == []


def broken(*_given: object, **_more: object) -> Findings:
    judge = checker()
    answer_all(judge, but=GOOD[3])
    return findings(judge)


def test_help_says_what_is_done_and_that_workers_can_be_made_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_program(["prove", "--help"]) == 0
    said = capsys.readouterr().out
    for words in ("kill -9", "zombies", "read_committed", "--events", "--seed", "--out", "--json", "--brokers"):
        assert words in said
    assert "--sabotage" in said
    assert "wrong on purpose" in said


def test_what_is_proven_is_written_told_to_machines_and_no_failure(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, orders: list[Order]
) -> None:
    assert run_program(["prove", "--events", "400", "--seed", "9", "--json", "--out", str(tmp_path / "out")]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "out" / "prove.json").read_bytes())
    assert (printed["verdict"], printed["logs"]) == ("exactly once", None)
    assert (tmp_path / "out" / "prove.svg").read_text().startswith("<svg")
    assert [(order.n_events, order.seed, order.seconds, order.sabotage) for order in orders] == [(400, 9, 60.0, None)]
    assert list(tmp_path.glob("lexstream-prove-*")) == []


def test_a_folder_that_cannot_be_written_to_is_told_before_anything_is_started(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, orders: list[Order]
) -> None:
    (tmp_path / "file").touch()
    assert run_program(["prove", "--out", str(tmp_path / "file" / "out")]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert "file/out: Not a directory; expected a folder that can be written to" in said
    assert orders == []


def test_what_was_found_is_shown_also_where_it_cannot_be_written_any_more(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def proven_while_the_folder_goes(*_given: object, **_more: object) -> Findings:
        (tmp_path / "out").rmdir()
        return findings()

    monkeypatch.setattr(run, "prove", proven_while_the_folder_goes)
    assert run_program(["prove", "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr()
    assert "✓ exactly once" in said.out
    assert "no such folder" in said.err


def test_how_and_what_is_murdered_can_be_chosen(orders: list[Order]) -> None:
    words = ["--only", "kill", "--only", "trainer-freeze", "--kill-every", "12", "--members", "static"]
    assert run_program(["prove", "--json", *words]) == 0
    (order,) = orders
    assert order.kinds == {Kind.KILL, Kind.FREEZE_TRAINER}
    assert (order.kill_every_s, order.membership, order.n_events) == ((12, 12), Membership.STATIC, 100_000)


def test_a_deed_that_nobody_knows_is_refused_with_those_that_are_known(
    capsys: pytest.CaptureFixture[str], orders: list[Order]
) -> None:
    assert run_program(["prove", "--only", "poison"]) == 2
    assert "got 'poison', expected one of kill, freeze" in capsys.readouterr().err
    assert orders == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--only", "broker-kill", "--only", "join", "--brokers", "there:9092"],
            "--only broker-kill, join: the brokers there:9092 are spared, so nothing would be proven; expected one of "
            "kill, freeze, cut, trainer-kill, trainer-freeze, too",
        ),
        (
            ["--only", "slow"],
            "--only slow: that hurts nobody, so nothing would be proven; expected one of kill, freeze, cut, "
            "broker-kill, broker-freeze, broker-restart, trainer-kill, trainer-freeze, too",
        ),
        (
            ["--only", "cut", "--seconds", "10", "--seed", "11"],
            "--seconds 10: nobody would be murdered in so short a time, expected more (or another --seed than 11)",
        ),
        (["--model", " "], "--model: got ' ', expected PROJECT/LABEL or a digest"),
        (
            ["--sabotage", "one-producer", "--model", "loans/v3"],
            "--sabotage: got --model, too; workers that are wrong on purpose serve the echo",
        ),
        (
            ["--sabotage", "one-producer", "--only", "kill"],
            "--sabotage: got --only, too; only what finds that mistake is done to such workers",
        ),
    ],
)
def test_what_could_prove_nothing_is_refused_before_anything_is_started(
    capsys: pytest.CaptureFixture[str], orders: list[Order], kafkas: list[int], words: list[str], said: str
) -> None:
    assert run_program(["prove", *words]) == 2
    assert capsys.readouterr().err == f"lexstream: {said}\n"
    assert (orders, kafkas) == ([], [])


@pytest.mark.parametrize("seconds", ["86401", "inf", "nan"])
def test_events_are_published_for_a_day_at_most(
    capsys: pytest.CaptureFixture[str], orders: list[Order], seconds: str
) -> None:
    assert run_program(["prove", "--seconds", seconds]) == 2
    assert f"--seconds: got '{seconds}', expected at most 86400" in capsys.readouterr().err
    assert orders == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--events", "216000001"], "got 216000001, more than a day at 2500 a second; expected at most 216000000"),
        (
            ["--events", "2160001", "--model", "loans/v3"],
            "got 2160001, more than a day at 25 a second; expected at most 2160000",
        ),
    ],
)
def test_more_events_than_a_day_takes_are_refused_unless_it_is_said_how_fast_they_come(
    capsys: pytest.CaptureFixture[str], orders: list[Order], words: list[str], said: str
) -> None:
    assert run_program(["prove", *words]) == 2
    assert capsys.readouterr().err == f"lexstream: --events: {said}, or --seconds, too\n"
    assert orders == []
    assert run_program(["prove", "--events", "216000000", "--json"]) == 0
    assert run_program(["prove", "--events", "300000000", "--seconds", "3600", "--json"]) == 0
    assert [order.seconds for order in orders] == [86_400, 3600]


def test_help_says_how_long_events_are_published_with_a_model_and_without(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    assert run_program(["prove", "--help"]) == 0
    assert "the events / 2,500, with --model / 25; at least 60" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--only", "freeze"], "got --only freeze, too; expected --only kill among them: no worker is killed"),
        (
            ["--sabotage", "one-producer"],
            "got --sabotage one-producer, too; such workers are frozen, and none is killed",
        ),
    ],
)
def test_how_often_workers_are_killed_is_refused_where_none_is(
    capsys: pytest.CaptureFixture[str], orders: list[Order], words: list[str], said: str
) -> None:
    assert run_program(["prove", "--kill-every", "5", *words]) == 2
    assert capsys.readouterr().err == f"lexstream: --kill-every: {said}\n"
    assert orders == []
    assert run_program(["prove", "--kill-every", "5", "--sabotage", "commit-before-produce", "--json"]) == 0
    assert orders[0].kill_every_s == (5, 5)


def test_help_says_how_often_workers_are_killed_with_a_model_and_without(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    assert run_program(["prove", "--help"]) == 0
    assert "2 to 10, with --model 8 to 20; at random" in capsys.readouterr().out


def test_a_deed_that_can_be_done_is_enough(orders: list[Order]) -> None:
    assert run_program(["prove", "--only", "join", "--only", "kill", "--json"]) == 0
    assert run_program(["prove", "--sabotage", "one-producer", "--json"]) == 0
    assert [order.sabotage for order in orders] == [None, Sabotage.ONE_PRODUCER]


def test_a_real_model_gets_fewer_events_and_answers_that_are_known_before(
    monkeypatch: pytest.MonkeyPatch, orders: list[Order]
) -> None:
    corpus = Corpus(["a"], ["b"], {}, "CustomEntityRecognition", [], {}, frozenset())
    named: list[str] = []

    def asked(_settings: object, model: str, _folder: Path) -> Corpus:
        named.append(model)
        return corpus

    monkeypatch.setattr("agents.prove.asking.asked", asked)
    assert run_program(["prove", "--model", "loans/v3", "--json"]) == 0
    (order,) = orders
    assert (named, order.corpus, order.n_events) == (["loans/v3"], corpus, 3000)
    assert order.kill_every_s > (2.0, 10.0)


def test_a_model_that_is_not_in_the_store_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, orders: list[Order]
) -> None:
    assert run_program(["prove", "--model", "loans/v3", "--home", str(tmp_path / "home")]) == 1
    said = capsys.readouterr().err
    assert "got no model loans/v3" in said
    assert len(said.splitlines()) == 1
    assert orders == []


def test_a_backend_whose_answers_cannot_be_compared_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, orders: list[Order]
) -> None:
    words = ["--model", "loans/v3", "--backend", "onnx-int8", "--home", str(tmp_path / "home")]
    assert run_program(["prove", *words]) == 2
    assert "backend: got onnx-int8, whose answers depend on what is read beside" in capsys.readouterr().err
    assert orders == []


def test_more_events_take_longer(orders: list[Order]) -> None:
    assert run_program(["prove", "--events", "1000000", "--json"]) == 0
    assert 300 < orders[0].seconds < 1200


def test_what_is_broken_is_a_failure_and_keeps_the_logs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(run, "prove", broken)
    assert run_program(["prove"]) == 1
    (kept,) = tmp_path.glob("lexstream-prove-*")
    said = capsys.readouterr().out
    assert "✗ not exactly once: 1 lost" in said
    assert str(kept) in said.replace("\n", "")


def test_the_logs_of_a_worker_that_ended_by_a_mistake_of_ours_are_kept_though_nothing_came_out_wrong(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ended = replace(findings(), ends=Counter({"exit code 3, AssertionError": 1}))
    monkeypatch.setattr(run, "prove", lambda *_given, **_more: ended)
    assert run_program(["prove", "--json"]) == 0
    (kept,) = tmp_path.glob("lexstream-prove-*")
    assert json.loads(capsys.readouterr().out)["logs"] == str(kept)


def test_a_run_that_is_interrupted_says_so_and_leaves_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(*_given: object, **_more: object) -> Findings:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "prove", interrupted)
    assert run_program(["prove"]) == 130
    assert capsys.readouterr().err == "\nlexstream: stopped\n"
    assert list(tmp_path.glob("lexstream-prove-*")) == []


def test_a_run_that_could_not_be_done_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def impossible(*_given: object, folder: Path, **_more: object) -> Findings:
        (folder / "worker-0.log").touch()
        raise LexstreamError("nothing came out within 60 s")

    monkeypatch.setattr(run, "prove", impossible)
    assert run_program(["prove"]) == 1
    (kept,) = tmp_path.glob("lexstream-prove-*")
    assert capsys.readouterr().err.splitlines() == [
        f"lexstream: nothing came out within 60 s (the logs of the workers and of Kafka: {kept})"
    ]


def test_a_run_that_did_not_begin_leaves_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def impossible(*_given: object, **_more: object) -> Findings:
        raise Unavailable("no Kafka answers")

    monkeypatch.setattr(run, "prove", impossible)
    assert run_program(["prove"]) == 1
    assert capsys.readouterr().err == "lexstream: no Kafka answers\n"
    assert list(tmp_path.glob("lexstream-prove-*")) == []


@pytest.mark.parametrize(
    ("unforeseen", "said"),
    [
        (
            ZeroDivisionError("by zero"),
            "ZeroDivisionError: by zero (unexpected; LEXSTREAM_LOG_LEVEL=DEBUG shows where)",
        ),
        (OSError(28, "No space left on device"), "No space left on device; free some and try again"),
        (CancelledError(), "CancelledError: (unexpected; LEXSTREAM_LOG_LEVEL=DEBUG shows where)"),
    ],
)
def test_the_logs_of_a_run_that_ended_as_nobody_foresaw_are_kept(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    unforeseen: BaseException,
    said: str,
) -> None:
    def ended(*_given: object, folder: Path, **_more: object) -> Findings:
        (folder / "worker-0.log").touch()
        raise unforeseen

    monkeypatch.setattr(run, "prove", ended)
    assert run_program(["prove"]) == 1
    (log,) = tmp_path.glob("lexstream-prove-*/worker-0.log")
    assert capsys.readouterr().err == f"lexstream: {said} (the logs of the workers and of Kafka: {log.parent})\n"


def test_workers_get_the_settings_that_were_given_and_nothing_that_could_not_be_checked() -> None:
    given = Settings(window_documents=9, lanes=["a:b"], group_instance_id="me", output_format="avro")
    ours = broker.alone(given, "proof", brokers="here:1")
    assert (ours.window_documents, ours.brokers) == (9, "here:1")
    assert (ours.namespace, ours.group, ours.group_instance_id) == ("proof", "proof", None)
    assert (ours.topics.documents, len(ours.all_lanes), ours.output_format) == ("proof.documents", 2, "json")


@pytest.mark.parametrize(
    "setting",
    [
        {"session_timeout_s": 30.0},
        {"transaction_timeout_s": 60.0},
        {"window_tokens": 100_000},
        {"max_message_bytes": 16_384},
        {"dead_letter_limit": 0.01},
        {"string_index_type": "Utf8CodeUnit"},
        {"log_level": "ERROR"},
    ],
)
def test_what_would_make_the_proof_wrong_or_empty_is_as_it_is_by_default(setting: dict[str, Any]) -> None:
    assert broker.alone(Settings(**setting), "proof") == broker.alone(Settings(), "proof")

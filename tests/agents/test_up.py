"""``lexstream up``: which processes it runs, and at whose Kafka."""

import socket
from pathlib import Path

import pytest

import agents.kafka
from agents.broker.address import is_elsewhere
from agents.cli.context import Cli
from agents.cli.main import run
from agents.cli.up import children, local_nodes
from agents.settings import Settings
from schemas.errors import InvalidInput, Unavailable


@pytest.mark.parametrize(("workers", "trainers"), [(1, 0), (0, 1), (0, 2)])
def test_a_container_may_keep_only_the_one_or_the_other_running(workers: int, trainers: int) -> None:
    made = [child.argv[3] for child in children(Cli({}), workers=workers, trainers=trainers)]
    assert made == ["worker"] * workers + ["trainer"] * trainers


def test_nothing_to_run_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["up", "--home", str(tmp_path), "--workers", "0", "--trainers", "0"]) == 2
    said = capsys.readouterr().err
    assert said == "lexstream: got --workers 0 and --trainers 0, expected at least one process to run\n"


@pytest.mark.parametrize(
    ("address", "elsewhere"),
    [
        ("localhost:9092", False),
        ("127.0.0.2", False),
        ("[::1]:9092", False),
        ("192.0.2.1:9092", True),
        ("kafka.invalid:9092", True),
    ],
)
def test_what_is_on_another_machine_or_has_no_address_yet_is_elsewhere(address: str, elsewhere: bool) -> None:
    assert is_elsewhere(address) is elsewhere


def test_no_address_is_no_place() -> None:
    with pytest.raises(InvalidInput, match="expected host:port"):
        is_elsewhere("kafka:port")


def test_a_kafka_elsewhere_is_waited_for_and_none_is_started_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waited: list[float] = []

    async def away(settings: Settings) -> None:
        waited.append(settings.broker_wait_s)
        raise Unavailable(f"no Kafka answers at {settings.brokers}")

    monkeypatch.setattr(agents.kafka, "wait_for_broker", away)
    words = ["--home", str(tmp_path), "--brokers", "192.0.2.1:9092", "--metrics-port", "0", "--broker-wait-s", "7"]
    assert run(["up", *words]) == 1
    assert waited == [7]
    assert capsys.readouterr().err == "lexstream: no Kafka answers at 192.0.2.1:9092\n"
    assert not (tmp_path / "broker").exists()


@pytest.mark.parametrize(
    ("workers", "said"), [("1", "cannot be had for /metrics"), ("0", "no Kafka answers at 192.0.2.1:9092")]
)
def test_a_metrics_port_that_is_taken_matters_to_workers_only(
    workers: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def away(settings: Settings) -> None:
        raise Unavailable(f"no Kafka answers at {settings.brokers}")

    monkeypatch.setattr(agents.kafka, "wait_for_broker", away)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        words = ["--home", str(tmp_path), "--brokers", "192.0.2.1:9092", "--metrics-port", port]
        assert run(["up", *words, "--workers", workers]) in {1, 2}
    assert said in capsys.readouterr().err


def test_a_home_without_a_cluster_has_no_further_addresses(tmp_path: Path) -> None:
    assert local_nodes(Cli({"home": tmp_path})) == []

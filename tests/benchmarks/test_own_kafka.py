"""Benchmarks on a Kafka of their own, beside an environment that speaks of another one."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from agents.settings import Settings
from benchmarks.soak.worker import start_worker
from benchmarks.swaps import own_settings

ELSEWHERE = {
    "SECURITY_PROTOCOL": "SASL_SSL",
    "SSL_CAFILE": "elsewhere.pem",
    "SASL_MECHANISM": "SCRAM-SHA-512",
    "SASL_USERNAME": "anna",
    "NAMESPACE": "somebody",
    "GROUP": "somebody",
    "GROUP_INSTANCE_ID": "somebody",
    "LANES": "a:b",
    "OUTPUT_FORMAT": "avro",
    "SASL_PASSWORD": "secret",
}


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ELSEWHERE.items():
        monkeypatch.setenv(f"LEXSTREAM_{name}", value)


def test_swaps_are_measured_on_the_run_s_own_topics_and_protocol(tmp_path: Path) -> None:
    settings = own_settings("127.0.0.1:9", tmp_path)
    assert (settings.brokers, settings.security_protocol) == ("127.0.0.1:9", "PLAINTEXT")
    assert (settings.sasl_mechanism, settings.sasl_username, settings.sasl_password) == ("PLAIN", None, None)
    assert (settings.namespace, settings.group, settings.group_instance_id) == ("lexstream-swaps",) * 2 + (None,)
    assert (settings.lanes, settings.output_format, settings.home) == ([], "json", tmp_path)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a process was started with; none is."""
    found: dict[str, Any] = {}

    def popen(command: list[str], **options: Any) -> None:
        found.update(options, command=command)

    monkeypatch.setattr(subprocess, "Popen", popen)
    return found


def test_the_worker_has_the_settings_of_the_run_and_no_login(started: dict[str, Any], tmp_path: Path) -> None:
    start_worker(own_settings("127.0.0.1:9", tmp_path), tmp_path / "log")
    told = dict(zip(started["command"], started["command"][1:], strict=False))
    assert told["--brokers"] == "127.0.0.1:9"
    assert told["--output-format"] == "json"
    assert {"--lanes", "--group-instance-id"}.isdisjoint(told)
    assert "secret" not in " ".join(started["command"])
    assert [name for name in started["env"] if name.startswith("LEXSTREAM_")] == []
    assert started["stdin"] == subprocess.DEVNULL


def test_a_worker_beside_another_kafka_has_passwords_in_its_environment_only(
    started: dict[str, Any], tmp_path: Path
) -> None:
    start_worker(Settings(), tmp_path / "log")
    assert "secret" not in " ".join(started["command"])
    ours = {name: value for name, value in started["env"].items() if name.startswith("LEXSTREAM_")}
    assert ours == {"LEXSTREAM_SASL_PASSWORD": "secret"}

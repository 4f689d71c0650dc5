"""The container files: linted, parsed, and in step with the settings and the commands that exist."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from agents.settings import PREFIX, Settings

DOCKER = Path(__file__).parents[2] / "docker"
MANIFESTS = sorted(DOCKER.glob("kubernetes/*.yaml"))


def documents() -> dict[tuple[str, str], dict[str, Any]]:
    parsed = [one for path in MANIFESTS for one in yaml.safe_load_all(path.read_text(encoding="utf-8"))]
    return {(one["kind"], one["metadata"]["name"]): one for one in parsed}


def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
    return content


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, "--no-color", DOCKER / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_what_the_image_copies_may_be_sent_to_the_builder() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (DOCKER / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    allowed = re.findall(r"^!(.+)$", (DOCKER / "Dockerfile.dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    assert {name for line in copied for name in line.split()} == set(allowed)


@pytest.mark.parametrize("path", [DOCKER / "Dockerfile", DOCKER / "compose.yaml", DOCKER / "README.md", *MANIFESTS])
def test_only_settings_that_exist_are_set(path: Path) -> None:
    named = re.findall(rf"{PREFIX}[A-Z_]+", path.read_text(encoding="utf-8"))
    assert {name.removeprefix(PREFIX).lower() for name in named} <= set(Settings.model_fields)


def test_compose_starts_workers_and_trainers_only_after_kafka_and_the_topics() -> None:
    services = compose()["services"]
    assert services["kafka"]["healthcheck"]["test"][0] == "CMD"
    assert services["topics"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    for name in ("worker", "trainer"):
        assert services[name]["depends_on"] == {"topics": {"condition": "service_completed_successfully"}}
        assert services[name]["environment"]["LEXSTREAM_BROKERS"] == "kafka:19092"


def test_compose_leaves_it_to_lexstream_up_what_is_started_again() -> None:
    """Docker would start again, for ever, what ended because somebody has to look."""
    services = compose()["services"]
    assert {name: services[name]["restart"] for name in ("topics", "worker", "trainer")} == dict.fromkeys(
        ("topics", "worker", "trainer"), "no"
    )
    for name in ("worker", "trainer"):
        counts = {one: str(int(one == name)) for one in ("worker", "trainer")}
        assert services[name]["command"] == ["up", "--workers", counts["worker"], "--trainers", counts["trainer"]]
        assert services[name]["init"] is True


def test_compose_publishes_on_loopback_only() -> None:
    ports = [port for service in compose()["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("key", [("StatefulSet", "lexstream-worker"), ("Deployment", "lexstream-trainer")])
def test_pods_are_unprivileged_and_find_what_they_name(key: tuple[str, str]) -> None:
    found = documents()
    pod = found[key]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["args"] == [key[1].removeprefix("lexstream-")]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert {("ConfigMap", "lexstream"), ("Secret", "lexstream-sasl")} <= found.keys()
    assert container["envFrom"] == [{"configMapRef": {"name": "lexstream"}}, {"secretRef": {"name": "lexstream-sasl"}}]
    (volume,) = pod["volumes"]
    assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in found


def test_only_workers_are_probed_since_trainers_listen_nowhere() -> None:
    pods = {name: document["spec"]["template"]["spec"] for (kind, name), document in documents().items()
            if kind in {"StatefulSet", "Deployment"}}  # fmt: skip
    (worker,), (trainer,) = pods["lexstream-worker"]["containers"], pods["lexstream-trainer"]["containers"]
    assert worker["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "metrics"}
    assert worker["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "metrics"}
    assert not {"livenessProbe", "readinessProbe", "startupProbe", "ports"} & trainer.keys()
    assert compose()["services"]["trainer"]["healthcheck"] == {"disable": True}


_START_S = 10.0
"""What a worker takes to start: with a shorter session it would have lost its place before it is back."""


def test_a_worker_is_a_static_member_under_its_pods_name() -> None:
    (container,) = documents()["StatefulSet", "lexstream-worker"]["spec"]["template"]["spec"]["containers"]
    session, name = container["env"]
    assert name == {"name": "LEXSTREAM_GROUP_INSTANCE_ID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    assert session["name"] == "LEXSTREAM_SESSION_TIMEOUT_S"
    assert float(session["value"]) > _START_S

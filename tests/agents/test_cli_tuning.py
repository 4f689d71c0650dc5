"""``lexstream deployments --tuning``, on a store and a registry that are made here."""

import json
import os
from pathlib import Path
from typing import Any, get_args

import pytest

from agents.cli import records
from agents.cli.main import run
from agents.cli.overrides import Override
from agents.cli.render.tuning import few_labels_words, tuning_report
from agents.registry import Registry
from agents.settings import PREFIX, Settings
from models.engine.backend import BACKENDS
from models.manifest import Manifest
from models.plans import SPEED_FROM_BEFORE, Machine, Plan, Trial, Tuning, Verdict
from models.store import Store
from schemas.records import DeploymentRecord, ProjectRecord, record_key
from tests.agents.echo import project
from tests.agents.test_cli_render import drawn
from tests.models.artefacts import make_manifest

HERE = Machine(processor="Epyc 9", cpus=2)
THERE = Machine(processor="Xeon 8", cpus=16, gpu="NVIDIA H200")


def tuning(machine: Machine) -> Tuning:
    served = Plan(backend="openvino-bf16", streams=2, max_padded_tokens=512)
    return Tuning(
        machine=machine,
        plan=served,
        trials=[
            Trial(plan=served, tokens_per_s=15000.4, score=0.91, agreement=0.998, verdict=Verdict.SERVED),
            Trial(plan=Plan(backend="torch-fp32", threads=2), tokens_per_s=7500, score=0.91, verdict=Verdict.SLOWER),
            Trial(plan=Plan(backend="onnx-int8"), tokens_per_s=16000, score=0.88, verdict=Verdict.WORSE),
            Trial(plan=Plan(backend="onnx-fp32"), verdict=Verdict.FAILED, reason="no [bold]memory"),
        ],
        n_documents=40,
        n_labels=1,
        seconds=12.5,
    )


def deployment(manifest: Manifest) -> DeploymentRecord:
    return DeploymentRecord.model_validate(
        {
            "project": "loans",
            "name": "production",
            "model": {"label": manifest.label, "digest": manifest.digest},
            "deployedAt": "2026-01-05T10:00:00Z",
            "commandId": "c",
        }
    )


@pytest.fixture(autouse=True)
def _default_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(f"file://{tmp_path}")


def serve(monkeypatch: pytest.MonkeyPatch, *deployed: DeploymentRecord) -> None:
    known: list[DeploymentRecord | ProjectRecord] = [project(), *deployed]
    state = Registry({record_key(each): each for each in known})
    monkeypatch.setattr(records, "read_registry", lambda _cli: state)


def test_each_machine_has_a_table(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = make_manifest(store, tuning=tuning(HERE))
    digest = store.save_manifest(manifest)
    for machine in (HERE, THERE):
        store.put_tuning(digest, tuning(machine).model_dump_json(by_alias=True).encode(), machine=machine.key)
    store.put_tuning(digest, b"half a fi", machine="ab12")
    serve(monkeypatch, deployment(manifest))
    assert run(["deployments", "--tuning", "--store", store.url]) == 0
    said = capsys.readouterr().out
    assert said.count("Epyc 9, 2 processors") == said.count("Xeon 8, 16 processors, NVIDIA H200") == 1
    assert "loans/production" in said


def test_machines_read_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = make_manifest(store, tuning=tuning(HERE))
    store.save_manifest(manifest)
    serve(monkeypatch, deployment(manifest))
    assert run(["deployments", "list", "loans", "--tuning", "--json", "--store", store.url]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["name"] == "production"
    assert found["tunings"] == [tuning(HERE).payload() | {"overriddenBy": []}]


def test_without_deployments_there_is_a_hint(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    serve(monkeypatch)
    assert run(["deployments", "--tuning", "--store", store.url]) == 0
    assert "no deployments yet" in capsys.readouterr().out


@pytest.mark.parametrize("url", ["file:///dev/null/store", "nosuch://bucket"])
def test_a_store_out_of_reach_is_one_line(
    url: str, store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    serve(monkeypatch, deployment(make_manifest(store)))
    assert run(["deployments", "--tuning", "--store", url]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("lexstream: ")
    assert said.err.count("\n") == 1


def test_a_table_tells_speed_quality_and_verdict(store: Store) -> None:
    lines = drawn(tuning_report(deployment(make_manifest(store)), [(tuning(HERE), [])]), width=140).splitlines()
    served, slower, worse, failed = (next(line for line in lines if word in line) for word in _BACKENDS_SHOWN)
    assert all(word in served for word in ("2 x 1", "512", "15,000", "2.0", "0.910", "0.998", "served"))
    assert all(word in slower for word in ("1 x 2", "7,500", "1.0", "slower"))
    assert all(word in worse for word in ("16,000", "2.1", "0.880", "worse"))
    assert "failed: no [bold]memory" in failed
    assert "0.0" not in failed


_BACKENDS_SHOWN = ("openvino-bf16", "torch-fp32", "onnx-int8", "onnx-fp32")


def test_a_model_that_was_never_tuned_says_so(store: Store) -> None:
    assert "never tuned" in drawn(tuning_report(deployment(make_manifest(store)), []))


def test_the_backends_that_can_be_set_are_those_there_are() -> None:
    choices: tuple[Any, ...] = get_args(Settings.model_fields["backend"].annotation)
    assert set(choices) == {"auto", *BACKENDS}


def test_settings_of_ours_that_override_the_plan_are_told(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = make_manifest(store, tuning=tuning(HERE))
    store.save_manifest(manifest)
    serve(monkeypatch, deployment(manifest))
    monkeypatch.setenv(f"{PREFIX}BACKEND", "torch-fp32")
    asked = ["deployments", "--tuning", "--store", store.url, "--threads", "4"]
    assert run(asked) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert (
        "overridden by the setting backend=torch-fp32 (environment), where workers have it: "
        "torch-fp32 1x2 serves instead of openvino-bf16 2x1"
    ) in said
    assert "overridden by the setting threads=4 (option), where workers have it: this was measured with 2" in said
    assert run([*asked, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["tunings"][0]["overriddenBy"] == [
        {
            "setting": "backend",
            "value": "torch-fp32",
            "origin": "environment",
            "plan": Plan(backend="torch-fp32", threads=2).payload(),
        },
        {"setting": "threads", "value": 4, "origin": "option", "plan": None},
    ]


def test_settings_that_agree_with_the_plan_override_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = make_manifest(store, tuning=tuning(HERE))
    store.save_manifest(manifest)
    serve(monkeypatch, deployment(manifest))
    asked = ["deployments", "--tuning", "--store", store.url, "--backend", "openvino-bf16", "--threads", "2"]
    assert run(asked) == 0
    assert "overridden" not in capsys.readouterr().out


def test_a_backend_that_nobody_measured_is_told_as_such(store: Store) -> None:
    override = Override("backend", "openvino-fp32", "file")
    said = drawn(tuning_report(deployment(make_manifest(store)), [(tuning(HERE), [override])]), width=200)
    assert "openvino-fp32, which was not measured, serves instead of openvino-bf16 2x1" in said


def test_speeds_of_another_model_and_few_labels_are_told(store: Store) -> None:
    served, *others = tuning(HERE).trials
    known = tuning(HERE).model_copy(
        update={"trials": [served.model_copy(update={"reason": SPEED_FROM_BEFORE}), *others]}
    )
    said = drawn(tuning_report(deployment(make_manifest(store)), [(known, [])]), width=200)
    assert said.count("served *") == 1
    assert "* its speed was measured before, for another model of the same encoder" in said
    assert "1 label proves little" in said


@pytest.mark.parametrize(("n_labels", "share"), [(1, "95%"), (15, "18%"), (49, "6%"), (50, ""), (0, "")])
def test_agreement_on_few_labels_leaves_room_for_differences(n_labels: int, share: str) -> None:
    words = few_labels_words(n_labels)
    assert (f"up to {share} of others may differ" in words) if share else not words


def test_the_help_of_the_group_teaches_the_tuning(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["deployments", "--help"]) == 0
    assert "--tuning" in capsys.readouterr().out

"""``lexstream deployments --tuning``, on a store and a registry that are made here."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from agents.cli import records
from agents.cli.main import run
from agents.cli.render.tuning import tuning_report
from agents.registry import Registry
from agents.settings import Settings
from models.engine.backend import BACKENDS
from models.manifest import Manifest
from models.plans import Machine, Plan, Trial, Tuning, Verdict
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
    assert found["tunings"] == [tuning(HERE).payload()]


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
    lines = drawn(tuning_report(deployment(make_manifest(store)), [tuning(HERE)]), width=140).splitlines()
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

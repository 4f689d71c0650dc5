"""A training beside deletions in the same store."""

from pathlib import Path
from typing import Any, Never

import pytest

from models.training import run
from schemas.errors import ArtefactNotFound, Unavailable
from schemas.names import Kind
from tests.models.training.workbench import entity_documents, make_job
from tests.models.training.workbench import run as run_job


@pytest.mark.parametrize("step", ["_with_plan", "_finish"])
def test_a_training_whose_blobs_are_deleted_meanwhile_is_tried_again(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deleted(*_: Any) -> Never:
        raise ArtefactNotFound("got no sha256:…")

    for name in ("open_context", "_learn", "Workshop", "_with_plan"):
        monkeypatch.setattr(run, name, lambda *_, **__: None)
    monkeypatch.setattr(run, step, deleted)
    with pytest.raises(Unavailable, match="trying again"):
        run_job(make_job(tmp_path, Kind.ENTITIES), entity_documents())

"""What a training is given: everything that was labelled, or nothing."""

import asyncio
from typing import Any

import pytest

from agents.labels import ProjectLabels
from agents.registry import Registry
from agents.settings import Settings
from agents.trainer import work
from agents.trainer.child import Failed
from tests.agents.trainer.test_ends import JOB


class Following:
    async def catch_up(self) -> Registry:
        return Registry()

    async def wait_for(self, _condition: object) -> None:
        await asyncio.Event().wait()


async def test_nothing_is_trained_from_labels_that_may_lack_a_document(monkeypatch: pytest.MonkeyPatch) -> None:
    async def read_labels(*_: object) -> ProjectLabels:
        return ProjectLabels((), "sha256:0", {}, "ns.labels/1 offset 7: the client cannot read it")

    monkeypatch.setattr(work, "read_labels", read_labels)
    following: Any = Following()
    workshop = work.Workshop(Settings(), following, command=["no-program"])

    async def hear(_report: object) -> None: ...

    how = await workshop.train(JOB, hear, lost=asyncio.Event())
    assert how == Failed(["the labels may lack a document: ns.labels/1 offset 7: the client cannot read it"])

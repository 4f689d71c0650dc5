import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from agents.bench import subject
from agents.bench.child import Child
from agents.bench.subject import Spec
from schemas.errors import LexstreamError


class Parrot:
    def __init__(self, spec: Spec) -> None:
        self.stopped = False

    async def start(self) -> None:
        """Nothing to load."""

    async def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        return {"said": question["do"]}

    async def stop(self) -> None:
        self.stopped = True


def test_subject_says_that_it_is_ready_then_answers_and_stops_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    parrot = Parrot(Spec("parrot", store="", folder=""))
    monkeypatch.setattr(subject, "make", lambda _spec: parrot)
    lines = iter([Spec("parrot", store="", folder="").to_json(), b'{"do": "hello"}', b'{"do": "usage"}', b""])
    written: list[bytes] = []
    asyncio.run(subject.serve(lambda: next(lines), written.append))
    ready, hello, usage = (orjson.loads(line) for line in written)
    assert ready["ready"]
    assert hello["said"] == "hello"
    assert usage["cpu_s"] >= ready["cpu_s"] > 0
    assert usage["rss_mb"] > 1
    assert parrot.stopped


def test_a_subject_that_ended_is_told_of_with_its_error_not_its_last_line(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("lexstream: no room\nfarewell\n")
    process: Any = SimpleNamespace(returncode=1)
    with pytest.raises(LexstreamError, match=r"the subject naive ended: no room$"):
        Child(process, name="naive", log=tmp_path / "log").check()


def test_a_subject_that_cannot_start_is_an_error_of_one_line(tmp_path: Path) -> None:
    spec = Spec("nobody", store="", folder="")
    with pytest.raises(LexstreamError, match=r"the subject nobody ended: KeyError: 'nobody'$"):
        asyncio.run(Child.start(spec, log=tmp_path / "log"))

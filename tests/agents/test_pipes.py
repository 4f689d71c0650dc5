import os
import sys
from pathlib import Path

import pytest

from agents.cli.pipes import nobody_reads


def test_a_pipe_is_read_until_its_other_end_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert not nobody_reads()
        os.close(reader)
        assert nobody_reads()


def test_what_is_no_pipe_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path(os.devnull).open("w", encoding="utf-8") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert not nobody_reads()

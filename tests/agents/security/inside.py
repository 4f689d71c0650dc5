"""A worker and a trainer in threads of the test's own process: as they start and end by themselves, with echo models.

Two processes would spend seconds on their imports, for each way to log in.
"""

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import pytest

import agents.leaving
import agents.trainer.process
import agents.worker
from agents.settings import Settings
from models.tuning.tuner import Tuner
from tests.agents.echo import EchoEngine
from tests.agents.trainer.run_fake import FAKE

_STOP_S = 30.0


class _Loop(asyncio.SelectorEventLoop):
    """Signals come to main threads only: here the handler is kept, to be called."""

    told: Callable[[], object] | None = None

    def add_signal_handler(self, _: int, callback: Callable[..., object], *args: object) -> None:
        self.told = callback


class _NoTuner(Tuner):
    def known(self, _: object) -> None:
        """An echo has not been measured."""


class _Running(threading.Thread):
    def __init__(self, work: Coroutine[Any, Any, None]) -> None:
        super().__init__()
        self._work = work
        self._loop = _Loop()
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._work)
        except BaseException as error:
            self.error = error

    def tell_to_stop(self) -> None:
        if self._loop.told and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.told)


def _ends(code: int) -> NoReturn:
    raise AssertionError(f"a process would have ended with {code}; see the log")


async def _not_asked(*_: object) -> None:
    """Nobody asks for the rights: that they are enough is what is to be seen."""


@contextmanager
def working(worker: Settings, trainer: Settings) -> Iterator[None]:
    """Run both. Neither looks for its rights when it starts: what it may do is shown by doing it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(agents.leaving, "end", _ends)
        patch.setattr(agents.worker, "Engine", lambda *_, **__: EchoEngine())
        patch.setattr(agents.worker, "Tuner", _NoTuner)
        for module in (agents.worker, agents.trainer.process):
            patch.setattr(module, "require_rights", _not_asked)
        running = [
            _Running(agents.worker._run(worker)),
            _Running(agents.trainer.process._train(trainer, (sys.executable, str(FAKE)))),
        ]
        for each in running:
            each.start()
        try:
            yield
        finally:
            for each in running:
                each.tell_to_stop()
            for each in running:
                each.join(_STOP_S)
        assert [(each.is_alive(), each.error) for each in running] == [(False, None)] * 2

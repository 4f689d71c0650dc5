"""How a measurement ends when it is told to."""

import signal
from collections.abc import Callable

import pytest

from agents.bench.broker import terminated_like_interrupted


@pytest.mark.parametrize("on_interrupt", [signal.default_int_handler, signal.SIG_IGN])
def test_to_be_terminated_is_to_be_interrupted_also_in_the_background(on_interrupt: Callable[..., object]) -> None:
    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        with terminated_like_interrupted(), pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGINT, before)

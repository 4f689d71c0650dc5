"""How what we started is taken down when we are told to end."""

import signal
from collections.abc import Callable, Iterator

import pytest

from agents.interrupts import interrupts_counted, terminated_like_interrupted

ENDING = (signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = {number: signal.signal(number, signal.SIG_DFL) for number in ENDING}
    before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ENDING)
@pytest.mark.parametrize("on_interrupt", [signal.default_int_handler, signal.SIG_IGN])
def test_to_be_terminated_is_to_be_interrupted_also_in_the_background(
    number: signal.Signals, on_interrupt: Callable[..., object]
) -> None:
    signal.signal(signal.SIGINT, on_interrupt)
    with terminated_like_interrupted(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)
    assert [signal.getsignal(each) for each in ENDING] == [signal.SIG_DFL] * 2


def test_a_second_signal_does_not_disturb_what_the_first_has_taken_down() -> None:
    with terminated_like_interrupted():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGHUP)
        for number in ENDING:
            signal.raise_signal(number)


def test_a_hangup_that_is_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with terminated_like_interrupted(), interrupts_counted() as interrupts:
        signal.raise_signal(signal.SIGHUP)
    assert interrupts.n == 0
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@pytest.mark.parametrize("number", [signal.SIGINT, *ENDING])
def test_what_is_counted_interrupts_nothing_and_does_again_afterwards(number: signal.Signals) -> None:
    with interrupts_counted() as interrupts:
        signal.raise_signal(number)
        signal.raise_signal(number)
    assert interrupts.n == 2
    with terminated_like_interrupted(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)

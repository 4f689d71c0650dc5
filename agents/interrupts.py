"""Being told to end from outside: SIGTERM and a closed terminal (SIGHUP) are like Ctrl-C, so that nothing stays behind.

What is ignored stays so: SIGHUP is under ``nohup``.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

_ENDING = (signal.SIGTERM, signal.SIGHUP)


@dataclass
class Interrupts:
    """How often we were told to end."""

    n: int = 0


@contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """Take down what was started also when we are terminated. One signal is enough: more would disturb that."""
    with ExitStack() as stack:
        for number in _ENDING:
            _handle(stack, number, _interrupt)
        yield


@contextmanager
def interrupts_counted() -> Iterator[Interrupts]:
    """Count what tells us to end, Ctrl-C included; it interrupts nothing."""
    found = Interrupts()

    def count(*_: object) -> None:
        found.n += 1

    with ExitStack() as stack:
        for number in (signal.SIGINT, *_ENDING):
            _handle(stack, number, count)
        yield found


def _handle(stack: ExitStack, number: signal.Signals, handler: Callable[..., object]) -> None:
    if signal.getsignal(number) is not signal.SIG_IGN:
        stack.callback(signal.signal, number, signal.signal(number, handler))


def _interrupt(*_: object) -> None:
    for number in _ENDING:  # a terminal that is closed sends several
        signal.signal(number, signal.SIG_IGN)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as shells start what runs in the background
        raise KeyboardInterrupt
    signal.raise_signal(signal.SIGINT)

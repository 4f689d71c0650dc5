import pytest

from agents.prove.ledger import Ledger, Run
from agents.prove.switches import Switch, n_wrong

A, B, C = "sha256:a", "sha256:b", "sha256:c"


@pytest.mark.parametrize(
    ("runs", "switches", "wrong"),
    [
        ([], [], 0),
        ([Run(A, 0, 9, 10)], [Switch(0, A)], 0),
        ([Run(A, 0, 9, 10)], [], 10),
        ([Run(A, 0, 9, 10)], [Switch(0, B)], 10),
        ([Run(A, 0, 4, 5), Run(B, 5, 9, 5)], [Switch(0, A), Switch(5, B)], 0),
        ([Run(A, 0, 4, 5), Run(B, 5, 9, 5)], [Switch(0, A), Switch(6, B)], 1),
        ([Run(A, 0, 4, 5), Run(B, 5, 9, 5)], [Switch(0, A), Switch(3, B)], 2),
        ([Run(A, 0, 9, 10)], [Switch(0, A), Switch(4, A)], 0),  # another worker took over
        ([Run(A, 0, 9, 10)], [Switch(0, A), Switch(4, B), Switch(7, A)], 3),
        ([Run(A, 3, 9, 7)], [Switch(3, A)], 0),
        ([Run(A, 2, 9, 8)], [Switch(3, A)], 1),
        ([Run(A, 0, 9, 3)], [Switch(0, C)], 3),
    ],
)
def test_events_are_held_against_the_switch_before_them(runs: list[Run], switches: list[Switch], wrong: int) -> None:
    assert n_wrong(runs, switches) == wrong
    assert n_wrong(runs, switches[::-1]) == wrong


def test_what_the_ledger_keeps_is_what_the_switches_are_held_against() -> None:
    ledger = Ledger(10)
    for offset in reversed(range(10)):
        ledger.note(offset, A if offset < 6 else B)
    assert n_wrong(ledger.runs, [Switch(0, A), Switch(6, B)]) == 0
    assert n_wrong(ledger.runs, [Switch(0, A), Switch(5, B)]) == 1

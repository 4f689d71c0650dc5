from agents.prove.murders import Deed
from agents.prove.recovered import recovered, undisturbed
from agents.prove.recovery import Recoveries, Stop
from agents.prove.schedule import Kind, Murder

A, B = ("documents", 0), ("documents", 1)


class Clocks:
    """Of the run, and of Kafka's records, a thousand seconds ahead."""

    def __init__(self) -> None:
        self.now = 0.0
        self.recoveries = Recoveries(lambda: self.now, lambda: self.now + 1000)


def test_a_partition_has_recovered_with_the_first_output_that_was_written_after_the_murder() -> None:
    clocks = Clocks()
    clocks.now = 5.0
    stop = clocks.recoveries.stopped([A, B])
    clocks.now = 5.5
    clocks.recoveries.came_out(A, written=1004.9)
    assert stop.worst_s is None
    clocks.now = 7.0
    clocks.recoveries.came_out(A, written=1006.5)
    clocks.now = 9.0
    clocks.recoveries.came_out(A, written=1008.9)
    clocks.recoveries.came_out(B, written=1008.5)
    assert stop.seconds == {A: 2.0, B: 4.0}
    assert stop.worst_s == 4.0


def test_a_second_murder_waits_for_itself() -> None:
    clocks = Clocks()
    first = clocks.recoveries.stopped([A])
    clocks.now = 3.0
    second = clocks.recoveries.stopped([A])
    clocks.now = 4.0
    clocks.recoveries.came_out(A, written=1002.0)
    assert (first.seconds, second.seconds) == ({A: 4.0}, {A: None})
    clocks.recoveries.came_out(A, written=1003.5)
    assert second.seconds == {A: 1.0}


def test_a_worker_without_partitions_has_nothing_to_recover() -> None:
    assert Clocks().recoveries.stopped([]).worst_s is None


def test_a_partition_that_never_moved_again_is_no_recovery_unless_nothing_was_left_in_it() -> None:
    for cut_off in ([], [A], [B]):
        clocks = Clocks()
        stop = clocks.recoveries.stopped([A, B])
        clocks.now = 2.0
        clocks.recoveries.came_out(A, written=1001.0)
        clocks.recoveries.close(cut_off)
        assert stop.seconds == {A: 2.0, B: None}
        assert (stop.never, stop.worst_s) == (([B], None) if cut_off == [B] else ([], 2.0))


def deed(at: float, *, kind: Kind = Kind.KILL, worst: float | None = 1.0, static: bool = False) -> Deed:
    stop = None if worst is None else Stop(at, 0.0, {A: worst})
    return Deed(Murder(at, kind, 0.0, 0.0), "worker-0", at, at, static=static, stop=stop)


def test_rows_are_by_kind_and_membership() -> None:
    deeds = [
        deed(0, worst=2.0),
        deed(20, worst=4.0),
        deed(40, worst=1.0, static=True),
        deed(60, kind=Kind.JOIN, worst=None),
    ]
    assert recovered(deeds) == [
        {
            "kind": "kill -9 a worker",
            "membership": "dynamic",
            **{"times": 2, "medianS": 3.0, "worstS": 4.0},
            "never": 0,
            "undisturbed": {"times": 2, "medianS": 3.0, "worstS": 4.0},
        },
        {
            "kind": "kill -9 a worker",
            "membership": "static",
            **{"times": 1, "medianS": 1.0, "worstS": 1.0},
            "never": 0,
            "undisturbed": {"times": 1, "medianS": 1.0, "worstS": 1.0},
        },
    ]


def test_whoever_is_murdered_soon_before_or_while_another_recovers_is_disturbed() -> None:
    first, soon, late = deed(0, worst=3.0), deed(10, worst=5.0), deed(14, kind=Kind.JOIN, worst=None)
    far = deed(40)
    deeds = [first, soon, late, far, deed(41, kind=Kind.KILL_TRAINER, worst=None)]
    assert [undisturbed(each, deeds) for each in (first, soon, far)] == [True, False, True]


def test_those_that_never_recovered_are_counted_apart_and_disturb_all_that_follow() -> None:
    stuck = Deed(Murder(0, Kind.KILL, 0.0, 0.0), "worker-0", 0.0, 0.0, stop=Stop(0.0, 0.0, {A: 2.0, B: None}, [B]))
    fine = deed(100, worst=3.0)
    (row,) = recovered([stuck, fine])
    assert (row["times"], row["worstS"], row["never"]) == (1, 3.0, 1)
    assert row["undisturbed"]["times"] == 0
    assert not undisturbed(stuck, [stuck, fine])

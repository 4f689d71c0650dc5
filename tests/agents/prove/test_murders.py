"""The murderer with real processes that do nothing."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import pytest

from agents.prove import workers as module
from agents.prove.murders import Murderer
from agents.prove.schedule import Kind, Murder
from agents.prove.workers import Slot, Workers, partitions_of
from schemas.errors import LexstreamError

_SLEEPER = "import sys; sys.stdin.buffer.read()"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    def spawn(_program: object, log: Path) -> "subprocess.Popen[bytes]":
        log.touch()
        return subprocess.Popen([sys.executable, "-c", _SLEEPER], stdin=subprocess.PIPE)

    monkeypatch.setattr(module, "_spawn", spawn)
    monkeypatch.setattr(module, "_AGAIN_S", 0.0)
    made = Workers({"settings": {"brokers": "b"}}, tmp_path)
    made.add()
    made.add()
    yield made
    made.close()


@dataclass
class FakeBroker:
    pid: int | None
    killed: int = 0
    started: Event = field(default_factory=Event)

    def status(self) -> "FakeBroker":
        return self

    @property
    def nodes(self) -> "list[FakeBroker]":
        return [self]

    def is_whole(self) -> bool:
        return True

    def kill(self) -> bool:
        self.killed += 1
        return True

    def stop(self) -> bool:
        return False

    def start(self) -> None:
        self.started.set()


def murder(kind: Kind, *, lasts_s: float = 0.0, pick: float = 0.0) -> Murder:
    return Murder(0.0, kind, lasts_s, pick)


def wait_for(slot: Slot, change: int) -> None:
    """Return when the system has told of a change of the worker's state, such as ``os.WSTOPPED``."""
    assert slot.process is not None
    os.waitid(os.P_PID, slot.process.pid, change | os.WNOWAIT)


def test_every_other_worker_is_a_static_member(workers: Workers) -> None:
    assert [slot.static for slot in workers.slots] == [True, False]


def test_whose_partitions_stand_still_is_read_off_the_victims_log(workers: Workers) -> None:
    victim = workers.slots[0]
    assert partitions_of(victim) == []
    lines = [
        {"action": "assigned", "partitions": ["n.documents/0", "n.documents/10"]},
        {"action": "revoked", "partitions": []},
        {"action": "assigned", "partitions": ["n.documents/1"]},
    ]
    for n_lines, partitions in ((1, [("n.documents", 0), ("n.documents", 10)]), (2, []), (3, [("n.documents", 1)])):
        victim.log.write_text(
            "".join(json.dumps(line) + "\n" for line in lines[:n_lines]) + 'no JSON\n[]\n"a"\n7\nnull\n'
        )
        assert partitions_of(victim) == partitions
    murderer = Murderer(workers, None, now_s=Clock())
    murderer.begin(murder(Kind.KILL))
    assert murderer.deeds[0].static
    assert murderer.deeds[0].stop is not None
    assert list(murderer.deeds[0].stop.seconds) == [("n.documents", 1)]
    workers.look_after()
    assert partitions_of(victim) == [], "the new process has none yet"


def test_all_are_at_work_when_each_that_lives_has_partitions(workers: Workers) -> None:
    first, second = workers.slots
    got = json.dumps({"action": "assigned", "partitions": ["n.documents/0"]}) + "\n"
    first.log.write_text(got)
    assert not workers.all_at_work()
    second.log.write_text(got)
    assert workers.all_at_work()
    workers.kill(second)
    assert not workers.all_at_work()


def test_trainers_are_murdered_and_workers_spared(workers: Workers, tmp_path: Path) -> None:
    trainers, clock = Workers({"settings": {}}, tmp_path, ("x",), "trainer"), Clock()
    murderer = Murderer(workers, None, now_s=clock, trainers=trainers)
    murderer.begin(murder(Kind.KILL_TRAINER))
    assert murderer.skipped
    trainers.add()
    murderer.begin(murder(Kind.KILL_TRAINER))
    trainers.look_after()
    murderer.begin(murder(Kind.FREEZE_TRAINER, lasts_s=8.0))
    assert [(deed.whom, deed.stop) for deed in murderer.deeds] == [("trainer-0", None)] * 2
    assert trainers.candidates() == []
    assert len(workers.candidates()) == 2
    murderer.close()
    trainers.close()


def test_a_killed_worker_comes_again(workers: Workers) -> None:
    clock = Clock()
    murderer = Murderer(workers, None, now_s=clock)
    victim, pid = workers.slots[1], workers.slots[1].process
    murderer.begin(murder(Kind.KILL, pick=0.99))
    assert pid is not None
    assert pid.returncode == -signal.SIGKILL
    workers.look_after()
    assert victim.alive
    assert workers.n_started == 3
    assert [(deed.whom, deed.ended_s) for deed in murderer.deeds] == [("worker-1", 0.0)]
    assert not workers.ends
    assert murderer.doing == "kill -9 a worker (worker-1)"
    clock.now = 2.1
    assert murderer.doing == ""


def test_a_frozen_worker_stands_still_is_spared_and_wakes_in_time(workers: Workers) -> None:
    clock = Clock()
    murderer = Murderer(workers, None, now_s=clock)
    murderer.begin(murder(Kind.FREEZE, lasts_s=8.0))
    frozen, other = workers.slots
    assert workers.candidates() == [other]
    assert murderer.busy
    clock.now = 7.9
    murderer.look_after()
    assert murderer.busy
    wait_for(frozen, os.WSTOPPED)
    clock.now = 8.0
    murderer.look_after()
    assert [murderer.busy, len(workers.candidates())] == [False, 2]
    wait_for(frozen, os.WCONTINUED)
    assert murderer.deeds[0].ended_s == 8.0


def test_the_last_worker_may_not_leave_and_the_fourth_is_the_last_to_join(workers: Workers) -> None:
    murderer = Murderer(workers, None, now_s=Clock())
    for _ in range(3):
        murderer.begin(murder(Kind.JOIN))
    assert len(workers.slots) == 4
    for _ in range(4):
        murderer.begin(murder(Kind.LEAVE))
    assert sum(slot.wanted for slot in workers.slots) == 1
    assert [each.kind for each in murderer.skipped] == [Kind.JOIN, Kind.LEAVE]
    assert [deed.static for deed in murderer.deeds[:2]] == [True, False]


def test_a_worker_that_joins_takes_the_place_of_one_that_left(workers: Workers) -> None:
    murderer = Murderer(workers, None, now_s=Clock())
    murderer.begin(murder(Kind.LEAVE))
    left = workers.slots[0]
    assert left.process is not None
    left.process.wait(10)
    workers.look_after()
    assert left not in workers.candidates()
    murderer.begin(murder(Kind.JOIN))
    assert left.alive
    assert len(workers.slots) == 2


def test_how_a_worker_ended_is_noted_before_another_takes_its_place(workers: Workers) -> None:
    left = workers.slots[0]
    assert left.process is not None
    left.wanted = False
    left.process.kill()
    left.process.wait(10)
    assert workers.add() is left
    assert left.alive
    assert workers.ends == {"exit code -9, without a word": 1}


def test_a_worker_that_ended_by_itself_just_before_it_was_to_be_killed_was_not_murdered(workers: Workers) -> None:
    victim = workers.slots[0]
    assert victim.process is not None
    victim.log.write_text('{"action": "leave", "message": "leaving: AssertionError"}\n')
    victim.process.terminate()
    wait_for(victim, os.WEXITED)
    workers.kill(victim)
    assert workers.ends == {"exit code -15, AssertionError": 1}
    assert victim.process is None


def test_a_worker_that_leaves_in_order_without_being_told_ended_by_itself(workers: Workers) -> None:
    told, untold = workers.slots
    told.wanted = False
    for slot in (told, untold):
        assert slot.process is not None
        assert slot.process.stdin is not None
        slot.process.stdin.close()
        slot.process.wait(10)
    workers.look_after()
    assert workers.ends == {"exit code 0, without a word": 1}


def test_what_ended_is_sent_no_signal_since_another_process_may_have_its_number(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    slot = workers.slots[0]
    assert slot.process is not None
    slot.process.kill()
    slot.process.wait(10)
    sent: list[int] = []
    with monkeypatch.context() as patched:
        patched.setattr(os, "kill", lambda *_: sent.append(1))
        workers.signal(slot, signal.SIGCONT)
    assert sent == []


def test_when_all_ends_it_does_not_matter_how_one_ended(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    def hopeless(_program: object, log: Path) -> "subprocess.Popen[bytes]":
        log.touch()
        return subprocess.Popen([sys.executable, "-c", "raise SystemExit(2)"], stdin=subprocess.PIPE)

    monkeypatch.setattr(module, "_spawn", hopeless)
    slot = workers.add()
    wait_for(slot, os.WEXITED)
    workers.close()
    assert [each.alive for each in workers.slots] == [False] * 3


def test_without_a_broker_of_ours_none_is_murdered(workers: Workers) -> None:
    murderer = Murderer(workers, None, now_s=Clock())
    murderer.begin(murder(Kind.KILL_BROKER))
    assert murderer.deeds == []
    assert len(murderer.skipped) == 1


def test_a_killed_broker_is_started_again_after_its_time(workers: Workers) -> None:
    clock, broker = Clock(), FakeBroker(pid=1)
    murderer = Murderer(workers, broker, now_s=clock)
    murderer.begin(murder(Kind.KILL_BROKER, lasts_s=2.0))
    assert broker.killed == 1
    clock.now = 1.9
    murderer.look_after()
    assert not broker.started.is_set()
    clock.now = 2.0
    murderer.look_after()
    murderer.close()
    assert broker.started.is_set()
    assert murderer.deeds[0].ended_s == 2.0


def test_a_frozen_broker_wakes_when_everything_ends(workers: Workers) -> None:
    victim = workers.slots[0]
    assert victim.process is not None
    murderer = Murderer(workers, FakeBroker(victim.process.pid), now_s=Clock())
    murderer.begin(murder(Kind.FREEZE_BROKER, lasts_s=5.0))
    assert murderer.doing == "freeze the broker"
    wait_for(victim, os.WSTOPPED)
    murderer.close()
    wait_for(victim, os.WCONTINUED)


def test_a_worker_that_would_end_again_ends_the_run_with_its_last_words(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hopeless(_program: object, log: Path) -> "subprocess.Popen[bytes]":
        log.write_text("one\nlexstream: topic x is missing\nfarewell\n")
        return subprocess.Popen([sys.executable, "-c", "raise SystemExit(2)"], stdin=subprocess.PIPE)

    monkeypatch.setattr(module, "_spawn", hopeless)
    slot = workers.add()
    assert slot.process is not None
    slot.process.wait(10)
    with pytest.raises(LexstreamError, match="worker-2 ended with 2: topic x is missing"):
        workers.look_after()
    assert workers.ends == {"exit code 2, without a word": 1}


def test_why_a_worker_left_by_itself_is_read_off_its_log(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    def fenced(_program: object, log: Path) -> "subprocess.Popen[bytes]":
        log.write_text(
            '{"action": "leave", "message": "leaving: Fenced: another took over\\nframes"}\n{"message": "x"}\n3\n'
        )
        return subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"], stdin=subprocess.PIPE)

    monkeypatch.setattr(module, "_spawn", fenced)
    slot = workers.add()
    assert slot.process is not None
    slot.process.wait(10)
    workers.look_after()
    assert workers.ends == {"exit code 3, Fenced": 1}
    assert workers.n_started == 4


def test_a_process_that_said_nothing_does_not_end_for_the_reason_of_the_one_before(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(_program: object, _log: Path) -> "subprocess.Popen[bytes]":
        return subprocess.Popen([sys.executable, "-c", "raise SystemExit(1)"], stdin=subprocess.PIPE)

    slot = workers.slots[0]
    slot.log.write_text('{"action": "leave", "message": "leaving: Fenced: another took over"}\n')
    monkeypatch.setattr(module, "_spawn", silent)
    workers.kill(slot)
    workers.look_after()
    assert slot.process is not None
    slot.process.wait(10)
    workers.look_after()
    assert workers.ends == {"exit code 1, without a word": 1}


def test_what_nobody_caught_is_named_by_the_last_line(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_program: object, log: Path) -> "subprocess.Popen[bytes]":
        log.write_text("Traceback (most recent call last):\n  frames\naiokafka.errors.KafkaError: it is away\n")
        return subprocess.Popen([sys.executable, "-c", "raise SystemExit(1)"], stdin=subprocess.PIPE)

    monkeypatch.setattr(module, "_spawn", broken)
    slot = workers.add()
    assert slot.process is not None
    slot.process.wait(10)
    workers.look_after()
    assert workers.ends == {"exit code 1, aiokafka.errors.KafkaError": 1}

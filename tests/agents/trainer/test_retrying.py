"""What a trainer waits for, and what it does not."""

import asyncio
import errno

import pytest

from agents.trainer.child import Ended, Failed, Succeeded
from agents.trainer.retrying import trained
from schemas.errors import Fenced, NoSpace, Unavailable

NEVER = asyncio.Event()


class Training:
    """Fails with each of the errors in turn, then succeeds."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.pauses: list[float] = []

    async def __call__(self) -> Ended:
        if self.errors:
            raise self.errors.pop(0)
        return Succeeded({})

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


def training_of(monkeypatch: pytest.MonkeyPatch, *errors: BaseException) -> Training:
    made = Training(*errors)
    monkeypatch.setattr("agents.trainer.retrying.asyncio.sleep", made.sleep)
    return made


async def test_a_full_disk_fails_a_job_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    full = [OSError(errno.ENOSPC, "No space left on device", "/tmp/secret") for _ in range(100)]
    training = training_of(monkeypatch, *full)
    how = await trained(training, NEVER)
    assert how == Failed(["the trainer could not prepare or start it: No space left on device"])
    assert 20 < sum(training.pauses) < 60


async def test_a_disk_that_was_full_for_a_moment_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(await trained(training_of(monkeypatch, OSError(errno.ENOSPC, "full")), NEVER), Succeeded)


async def test_a_store_that_is_away_is_waited_for_however_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    away = [error for _ in range(50) for error in (Unavailable("away"), ConnectionRefusedError(), TimeoutError())]
    training = training_of(monkeypatch, *away)
    assert isinstance(await trained(training, NEVER), Succeeded)
    assert len(training.pauses) == 150


async def test_a_store_that_stays_full_fails_a_job_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    training = training_of(monkeypatch, *[NoSpace("the store has no room: free some there") for _ in range(9)])
    assert await trained(training, NEVER) == Failed(["the store has no room: free some there; then train again"])
    assert len(training.errors) == 6, "each try may take as long as a training"


async def test_a_store_that_has_room_again_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    training = training_of(monkeypatch, NoSpace("full"), NoSpace("full"))
    assert isinstance(await trained(training, NEVER), Succeeded)
    assert training.pauses == [10.0, 10.0]


async def test_a_job_that_is_lost_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    training, lost = training_of(monkeypatch, Unavailable("away"), Unavailable("away")), asyncio.Event()
    monkeypatch.setattr(training, "sleep", lambda _seconds: asyncio.to_thread(lost.set))
    monkeypatch.setattr("agents.trainer.retrying.asyncio.sleep", training.sleep)
    with pytest.raises(Fenced):
        await trained(training, lost)
    assert len(training.errors) == 1

from itertools import pairwise

import pytest

from agents.prove.schedule import (
    BROKER_KINDS,
    BROKER_REST_S,
    KILL_EVERY_S,
    TRAINER_EVERY_S,
    TRAINER_KINDS,
    Kind,
    schedule,
)
from agents.settings import Settings
from tests.agents.prove.prove_kit import RUN_S, RUN_SEEDS

SEEDS = range(20)


def test_a_seed_gives_the_same_murders_every_time_and_another_seed_gives_others() -> None:
    assert schedule(7, 100) == schedule(7, 100)
    assert len({tuple(schedule(seed, 100)) for seed in SEEDS}) == len(SEEDS)


def test_the_beginning_of_a_longer_run_is_the_shorter_run() -> None:
    longer = [murder for murder in schedule(7, 200) if murder.at_s < 60]
    assert schedule(7, 60) == longer


@pytest.mark.parametrize("seed", SEEDS)
def test_murders_come_in_their_order_and_begin_in_time(seed: int) -> None:
    murders = schedule(seed, 100)
    assert murders == sorted(murders)
    assert all(0 < murder.at_s < 100 and 0 <= murder.pick < 1 for murder in murders)


@pytest.mark.parametrize("seed", SEEDS)
def test_workers_are_killed_every_two_to_ten_seconds(seed: int) -> None:
    kills = [murder.at_s for murder in schedule(seed, 300) if murder.kind is Kind.KILL]
    low, high = KILL_EVERY_S
    assert (low, high) == (2, 10)
    assert all(low <= later - earlier <= high for earlier, later in pairwise(kills))
    assert 300 - kills[-1] <= high


@pytest.mark.parametrize("seed", SEEDS)
def test_every_kind_comes_within_a_hundred_seconds(seed: int) -> None:
    assert {murder.kind for murder in schedule(seed, 100)} == set(Kind)


@pytest.mark.parametrize("seed", SEEDS)
def test_frozen_workers_wake_after_their_session_has_ended(seed: int) -> None:
    session_s = Settings().session_timeout_s
    frozen = [murder for murder in schedule(seed, 300) if murder.kind is Kind.FREEZE]
    assert frozen
    assert all(murder.lasts_s > session_s + 1 for murder in frozen)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_broker_gets_a_rest_between_its_deaths(seed: int) -> None:
    broker = [murder for murder in schedule(seed, 300) if murder.kind in BROKER_KINDS]
    assert all(later.at_s >= earlier.until_s + BROKER_REST_S for earlier, later in pairwise(broker))


@pytest.mark.parametrize("seed", SEEDS)
def test_trainers_are_murdered_every_few_seconds_and_more_often_killed_than_frozen(seed: int) -> None:
    murders = [murder for murder in schedule(seed, 600) if murder.kind in TRAINER_KINDS]
    low, high = TRAINER_EVERY_S
    assert all(low <= later.at_s - earlier.at_s <= high for earlier, later in pairwise(murders))
    n_kills = sum(murder.kind is Kind.KILL_TRAINER for murder in murders)
    assert len(murders) / 2 < n_kills < len(murders)


def test_kills_come_as_often_as_is_asked() -> None:
    kills = schedule(3, 60, kinds={Kind.KILL}, kill_every_s=(15, 15))
    assert [murder.at_s for murder in kills] == [1.0, 16.0, 31.0, 46.0]


def test_only_what_may_be_done_is_done() -> None:
    assert {murder.kind for murder in schedule(1, 300, kinds=frozenset(Kind) - BROKER_KINDS)} == set(
        Kind
    ) - BROKER_KINDS
    assert {murder.kind for murder in schedule(1, 60, kinds={Kind.KILL})} == {Kind.KILL}
    assert {murder.kind for murder in schedule(1, 60, kinds={Kind.FREEZE})} == {Kind.FREEZE}
    assert schedule(1, 60, kinds=()) == []


def test_the_seeds_of_the_whole_runs_have_everybody_murdered() -> None:
    kinds = {murder.kind for seed in RUN_SEEDS for murder in schedule(seed, RUN_S)}
    assert {Kind.KILL, Kind.FREEZE, Kind.KILL_BROKER, Kind.KILL_TRAINER} <= kinds

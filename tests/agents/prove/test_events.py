import json
from collections import Counter

import pytest

from agents.hotloop.decode import CHARS_A_TOKEN
from agents.hotloop.window import Bounds
from agents.prove.events import (
    PARTITIONS,
    POISONS,
    LaneName,
    Place,
    first_word,
    is_long,
    n_of_lane,
    n_of_partition,
    places,
    poison,
    value,
)
from agents.settings import Settings
from schemas.codecs.codec import DocumentCodec
from schemas.codecs.schema_ids import schema_ids
from schemas.errors import EventError

N = 20_000
ALL = list(places(N))
CODEC = DocumentCodec(schema_ids(None))


@pytest.mark.parametrize("n_events", [0, 1, 7, 8, 9, 100, 1001])
def test_each_partition_is_filled_from_offset_zero_without_a_hole(n_events: int) -> None:
    found: dict[tuple[LaneName, int], list[int]] = {}
    for place in places(n_events):
        found.setdefault((place.lane, place.partition), []).append(place.offset)
    assert sum(map(len, found.values())) == n_events
    for lane in LaneName:
        assert sum(n_of_partition(lane, each, n_events) for each in range(PARTITIONS)) == n_of_lane(lane, n_events)
        for partition in range(PARTITIONS):
            assert found.get((lane, partition), []) == list(range(n_of_partition(lane, partition, n_events)))


def test_events_are_the_same_every_time_and_others_with_another_seed() -> None:
    few = ALL[:2000]
    assert [value(3, place) for place in few] == [value(3, place) for place in few]
    assert [poison(3, place) for place in few] != [poison(4, place) for place in few]


def test_good_events_are_documents_that_begin_with_their_own_word() -> None:
    for place in ALL[:2000]:
        if poison(1, place) is None:
            event = CODEC.decode(value(1, place))
            assert event.id == place.id
            assert event.text.split(maxsplit=1)[0] == first_word(place)


def test_about_two_in_a_hundred_are_poison_of_every_kind() -> None:
    kinds = Counter(found for place in ALL if (found := poison(1, place)))
    assert set(kinds) == set(POISONS)
    assert 0.015 < kinds.total() / N < 0.025


def test_what_is_to_be_a_dead_letter_of_decoding_is_refused_with_the_class_that_is_expected() -> None:
    seen = set()
    for place in ALL:
        bad = poison(1, place)
        if bad and bad.error in {"DecodeError", "InvalidEvent"}:
            with pytest.raises(EventError) as refused:
                CODEC.decode(value(1, place))
            assert type(refused.value).__name__ == bad.error
            seen.add(bad)
    assert len(seen) == 8


def test_some_events_are_too_long_for_a_window_and_most_are_not() -> None:
    settings = Settings()
    bounds = Bounds(settings.window_documents, settings.window_tokens)
    long = {place for place in ALL if is_long(1, place)}
    assert 2 <= len(long) <= 30
    for place in [*long, *ALL[:1000]]:
        if poison(1, place) is None:
            n_tokens = len(json.loads(value(1, place) or b"")["text"]) // CHARS_A_TOKEN
            assert (n_tokens > bounds.long) == (place in long)


def test_an_id_says_where_the_event_stands() -> None:
    place = Place(LaneName.BULK, 4 * 25 + 3)
    assert (place.id, place.partition, place.offset) == ("bulk/103", 3, 25)

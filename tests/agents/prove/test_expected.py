from typing import Any

import pytest

from agents.prove.events import LaneName, Place, is_long, places
from agents.prove.expected import Corpus

SURE = {"text": "Ann", "category": "Party", "offset": 0, "length": 3, "confidenceScore": 0.9}
UNSURE = {"text": "Rome", "category": "Place", "offset": 7, "length": 4, "confidenceScore": 0.6}
TEXT = "Ann in Rome"
CORPUS = Corpus(
    texts=[TEXT],
    long=["long " * 100],
    answers={TEXT: {"entities": [SURE, UNSURE]}},
    kind="CustomEntityRecognition",
    models=[],
    plan={},
    categories=frozenset({"Party", "Place"}),
)
PLACE = Place(LaneName.BULK, 1)


def wrong(*entities: dict[str, Any], text: str = TEXT) -> str | None:
    return CORPUS.wrong(1, PLACE, {"text": text, "results": [{"entities": list(entities)}]})


@pytest.mark.parametrize(
    "entities",
    [
        [SURE, UNSURE],
        [SURE],
        [SURE | {"confidenceScore": 0.75}],
        [SURE, UNSURE | {"confidenceScore": 0.85}],
        [SURE, {"text": "in", "category": "Place", "offset": 4, "length": 2, "confidenceScore": 0.5}],
    ],
)
def test_what_the_model_is_sure_of_may_move_a_little_and_all_else_much(entities: list[dict[str, Any]]) -> None:
    assert wrong(*entities) is None


@pytest.mark.parametrize(
    "entities",
    [
        [],
        [UNSURE],
        [SURE | {"confidenceScore": 0.65}],
        [SURE | {"category": "Place"}],
        [SURE, {"text": "in", "category": "Place", "offset": 4, "length": 2, "confidenceScore": 0.85}],
        [SURE, UNSURE | {"offset": 6}],
        [SURE, UNSURE | {"category": "Planet"}],
    ],
)
def test_what_is_missing_new_or_impossible_is_wrong(entities: list[dict[str, Any]]) -> None:
    assert wrong(*entities)


def test_the_answer_to_another_text_is_wrong() -> None:
    assert wrong(SURE, UNSURE, text="Ann in Rome.")


def test_classes_are_compared_by_their_category() -> None:
    corpus = Corpus([TEXT], [TEXT], {TEXT: {"classes": [_scored(0.9)]}}, "x", [], {}, frozenset({"billing"}))
    for score, right in ((0.8, True), (0.5, False)):
        document = {"text": TEXT, "results": [{"classes": [_scored(score)]}]}
        assert (corpus.wrong(1, PLACE, document) is None) == right


def test_long_events_have_long_texts() -> None:
    long = next(place for place in places(20_000) if is_long(1, place))
    assert CORPUS.text_of(1, long) == CORPUS.long[0]
    assert CORPUS.text_of(1, PLACE) == TEXT


def _scored(confidence: float) -> dict[str, Any]:
    return {"category": "billing", "confidenceScore": confidence}

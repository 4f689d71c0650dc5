from typing import Any

import pytest

from agents.prove.events import LaneName, Place, is_long, places
from agents.prove.expected import Corpus
from schemas.names import Kind

SURE = {"text": "Ann", "category": "Party", "offset": 0, "length": 3, "confidenceScore": 0.9}
UNSURE = {"text": "Rome", "category": "Place", "offset": 7, "length": 4, "confidenceScore": 0.6}
TEXT = "Ann in Rome"
CORPUS = Corpus(
    texts=[TEXT],
    long=["long " * 100],
    answers={TEXT: {"entities": [SURE, UNSURE]}},
    kind=Kind.ENTITIES,
    models=[],
    plan={},
    categories=frozenset({"Party", "Place"}),
)
PLACE = Place(LaneName.BULK, 1)


def wrong(*entities: dict[str, Any], text: str = TEXT) -> str | None:
    return CORPUS.wrong(1, PLACE, {"text": text, "results": [{"entities": list(entities)}]})


def scored(confidence: float, category: str = "billing") -> dict[str, Any]:
    return {"category": category, "confidenceScore": confidence}


def wrong_classes(
    kind: Kind,
    then: list[dict[str, Any]],
    now: list[dict[str, Any]],
    *,
    thresholds: dict[str, float] | None = None,
) -> str | None:
    categories = frozenset({"billing", "shipping"})
    corpus = Corpus([TEXT], [TEXT], {TEXT: {"classes": then}}, kind, [], {}, categories, thresholds or {})
    return corpus.wrong(1, PLACE, {"text": TEXT, "results": [{"classes": now}]})


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
        [SURE | {"confidenceScore": float("nan")}],
        [SURE, {"text": "in", "category": "Place", "offset": 4, "length": 2, "confidenceScore": float("nan")}],
        [SURE | {"category": "Place"}],
        [SURE, {"text": "in", "category": "Place", "offset": 4, "length": 2, "confidenceScore": 0.85}],
        [SURE, UNSURE | {"offset": 6}],
        [SURE, UNSURE | {"category": "Planet"}],
        [SURE, UNSURE, UNSURE],
        [SURE, UNSURE, UNSURE | {"confidenceScore": 0.5}],
        [SURE | {"confidenceScore": 1.1}],
        [SURE, UNSURE | {"confidenceScore": -0.3}],
    ],
)
def test_what_is_missing_new_or_impossible_is_wrong(entities: list[dict[str, Any]]) -> None:
    assert wrong(*entities)


def test_the_answer_to_another_text_is_wrong() -> None:
    assert wrong(SURE, UNSURE, text="Ann in Rome.")


def test_classes_are_compared_by_their_category() -> None:
    for score, right in ((0.8, True), (0.5, False)):
        assert (wrong_classes(Kind.MULTI_LABEL, [scored(0.9)], [scored(score)]) is None) == right


@pytest.mark.parametrize("classes", [[], [scored(0.6), scored(0.1, "shipping")], [scored(0.6), scored(0.6)]])
def test_a_single_label_is_exactly_one(classes: list[dict[str, Any]]) -> None:
    assert wrong_classes(Kind.SINGLE_LABEL, [scored(0.6)], classes)
    assert wrong_classes(Kind.SINGLE_LABEL, [scored(0.6)], [scored(0.7, "shipping")]) is None


def test_classes_are_no_answer_about_entities_nor_the_other_way_round() -> None:
    with pytest.raises(KeyError, match="entities"):
        CORPUS.wrong(1, PLACE, {"text": TEXT, "results": [{"classes": []}]})


@pytest.mark.parametrize(
    ("then", "now", "right"),
    [
        ([], [scored(0.91)], True),
        ([scored(0.91)], [], True),
        ([scored(0.95, "shipping")], [], False),
        ([], [scored(0.85, "shipping")], False),
        ([scored(0.95)], [scored(0.7)], False),
    ],
)
def test_what_may_cross_its_threshold_by_moving_a_little_may_be_there_or_not(
    then: list[dict[str, Any]], now: list[dict[str, Any]], *, right: bool
) -> None:
    thresholds = {"billing": 0.9, "shipping": 0.5}
    assert (wrong_classes(Kind.MULTI_LABEL, then, now, thresholds=thresholds) is None) == right


def test_long_events_have_long_texts() -> None:
    long = next(place for place in places(20_000) if is_long(1, place))
    assert CORPUS.text_of(1, long) == CORPUS.long[0]
    assert CORPUS.text_of(1, PLACE) == TEXT

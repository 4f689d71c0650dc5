"""Does a loaded model still say what it said when it was made? Asked before it serves.

Another processor or backend moves confidences a little, so only what the model is sure of has to come back.
"""

from collections.abc import Sequence
from typing import Final

from models.engine.readers import Prediction
from models.manifest import SelfTest
from schemas.errors import SelfTestFailed

SURE: Final = 0.8
"""Confidence from which on an entity or a class must be found again."""
TOLERANCE: Final = 0.2
"""How far its confidence may have moved."""

_Finding = tuple[str, int, int]


def check_self_test(tests: Sequence[SelfTest], got: Sequence[Prediction], *, label: str) -> None:
    """Compare what a model says now with what it said then.

    Raises:
        SelfTestFailed: Something that it was sure of is missing or has another confidence, or it is sure of something
            new.
    """
    for number, (test, now) in enumerate(zip(tests, got, strict=True)):
        then = _findings(Prediction(entities=test.entities or [], classes=test.classes or []))
        found = _findings(now)
        problems = [*_lost(then, found), *_new(then, found)]
        if problems:
            told = "; ".join(problems)
            raise SelfTestFailed(f"got {told} in self-test {number} of {label}, expected what it said when it was made")


def _findings(prediction: Prediction) -> dict[_Finding, float]:
    entities = prediction.get("entities", [])
    found = {(item["category"], item["offset"], item["length"]): item["confidenceScore"] for item in entities}
    return found | {(item["category"], -1, -1): item["confidenceScore"] for item in prediction.get("classes", [])}


def _lost(then: dict[_Finding, float], now: dict[_Finding, float]) -> list[str]:
    return [
        f"{_named(finding)} with confidence {now.get(finding, 0.0):.2f} instead of {confidence:.2f}"
        for finding, confidence in then.items()
        if confidence >= SURE and abs(now.get(finding, 0.0) - confidence) > TOLERANCE
    ]


def _new(then: dict[_Finding, float], now: dict[_Finding, float]) -> list[str]:
    return [
        f"an unexpected {_named(finding)} with confidence {confidence:.2f}"
        for finding, confidence in now.items()
        if confidence >= SURE and finding not in then
    ]


def _named(finding: _Finding) -> str:
    category, offset, length = finding
    return f"class {category}" if offset < 0 else f"{category} at {offset}+{length}"

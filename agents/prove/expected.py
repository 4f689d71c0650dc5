"""What a real model has to answer. Pure: texts and answers come from a file that was made before the run.

Another backend, or other documents in the same forward pass, move confidences a little. So the rule is that of an
artefact's self-test: what the model is sure of has to come back with about the same confidence, and it may be sure of
nothing that it had not found at all.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from agents.prove.events import Place, draw, is_long
from schemas.names import Kind
from schemas.records import ModelReference

SURE: Final = 0.8
TOLERANCE: Final = 0.2
BY_COMPANY: Final = "onnx-int8"
"""A backend with one scale for a whole micro-batch: what it answers to a document depends on those beside it."""
_Finding = tuple[str, int, int]


@dataclass(frozen=True)
class Corpus:
    """Texts and what the bare engine said of them.

    Attributes:
        texts: Those that fit a window.
        long: Those that do not.
        answers: By text.
        kind: Of the project.
        models: Those that all answer like this.
        plan: How the encoder runs.
        categories: That the model knows.
        thresholds: From which confidence on a category is found at all, where that is not any.
    """

    texts: list[str]
    long: list[str]
    answers: dict[str, Mapping[str, Any]]
    kind: str
    models: list[ModelReference]
    plan: Mapping[str, Any]
    categories: frozenset[str]
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def text_of(self, seed: int, place: Place) -> str:
        """Return the text of an event."""
        texts = self.long if is_long(seed, place) else self.texts
        return texts[draw(seed, place) // 7 % len(texts)]

    def wrong(self, seed: int, place: Place, document: Mapping[str, Any]) -> str | None:
        """Return what is wrong with the answer to an event, if anything."""
        text = self.text_of(seed, place)
        if document["text"] != text:
            return "it has another text"
        result = document["results"][0]
        if problem := self._impossible(text, result):
            return problem
        then, now = findings(self.answers[text]), findings(result)
        moved = [each for each in then.keys() & now if then[each] >= SURE and abs(now[each] - then[each]) > TOLERANCE]
        lost = [each for each in then.keys() - now if then[each] >= self._certain(each)]
        new = [each for each in now.keys() - then if now[each] >= self._certain(each)]
        if not (moved or lost or new):
            return None
        return f"{len(lost)} findings are missing, {len(moved)} have another confidence, {len(new)} are new"

    def _certain(self, finding: _Finding) -> float:
        """Return the confidence that is not lost by moving a little: not below the threshold, either."""
        return max(SURE, self.thresholds.get(finding[0], 0.0) + TOLERANCE)

    def _impossible(self, text: str, result: Mapping[str, Any]) -> str | None:
        items, found = result["entities" if self.kind == Kind.ENTITIES else "classes"], findings(result)
        if len(found) != len(items) or (self.kind == Kind.SINGLE_LABEL and len(items) != 1):
            return f"it has {len(items)} findings, of which {len(found)} differ"
        if not all(0 <= confidence <= 1 for confidence in found.values()):
            return "it has a confidence that is none"
        if not {category for category, _, _ in found} <= self.categories:
            return "it names categories that the model does not know"
        entities = items if self.kind == Kind.ENTITIES else ()
        there = all(text[each["offset"] : each["offset"] + each["length"]] == each["text"] for each in entities)
        return None if there else "an entity's text is not where it says"


def findings(answer: Mapping[str, Any]) -> dict[_Finding, float]:
    """Return the spans and classes of an answer with their confidences."""
    found = {(item["category"], item["offset"], item["length"]): item for item in answer.get("entities", [])}
    found |= {(item["category"], -1, -1): item for item in answer.get("classes", [])}
    return {finding: item["confidenceScore"] for finding, item in found.items()}


def read_corpus(path: Path) -> Corpus:
    """Return what ``agents.prove.real`` has written."""
    given = json.loads(path.read_bytes())
    models = [ModelReference(label=label, digest=digest) for label, digest in given["models"]]
    return Corpus(**given | {"models": models, "categories": frozenset(given["categories"])})

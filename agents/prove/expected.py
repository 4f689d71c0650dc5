"""What a real model has to answer. Pure: texts and answers come from a file that was made before the run.

Another backend, or other documents in the same forward pass, move confidences a little. So the rule is that of an
artefact's self-test: what the model is sure of has to come back with about the same confidence, and it may be sure of
nothing that it had not found at all.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agents.prove.events import Place, draw, is_long
from schemas.records import ModelReference

SURE: Final = 0.8
TOLERANCE: Final = 0.2
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
    """

    texts: list[str]
    long: list[str]
    answers: dict[str, Mapping[str, Any]]
    kind: str
    models: list[ModelReference]
    plan: Mapping[str, Any]
    categories: frozenset[str]

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
        lost = [found for found, sure in then.items() if sure >= SURE and abs(now.get(found, 0.0) - sure) > TOLERANCE]
        new = [found for found, sure in now.items() if sure >= SURE and found not in then]
        return (
            f"{len(lost)} findings are missing or have another confidence, {len(new)} are new" if lost or new else None
        )

    def _impossible(self, text: str, result: Mapping[str, Any]) -> str | None:
        for entity in result.get("entities", []):
            if text[entity["offset"] : entity["offset"] + entity["length"]] != entity["text"]:
                return "an entity's text is not where it says"
        named = {item["category"] for item in (*result.get("entities", []), *result.get("classes", []))}
        return None if named <= self.categories else "it names categories that the model does not know"


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

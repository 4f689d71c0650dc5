"""Texts of all sorts, and models that are asked of them."""

from collections.abc import Sequence

from models.engine.engine import Engine, LoadedModel, Prediction, Request
from schemas.errors import ModelError

LOAN = "On 5 May 2021 Mr. John Smith of New Hampton took a loan of $12,000.50 from Contoso. "
TEXTS = [LOAN, "", "Short.", LOAN * 7, " \r\n", "Ünïcode 👩\u200d👩 東京 cafe\u0301", "one two three " * 40]


def requests_for(texts: Sequence[str], models: tuple[LoadedModel, ...]) -> list[Request]:
    return [Request(text, models) for text in texts]


def answered(engine: Engine, texts: Sequence[str], models: tuple[LoadedModel, ...]) -> list[list[Prediction]]:
    results = engine.predict(requests_for(texts, models))
    assert not any(isinstance(result, ModelError) for result in results)
    return [result for result in results if not isinstance(result, ModelError)]

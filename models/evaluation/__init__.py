"""How good a model is, by Azure's definitions: counts, confusion, intervals, calibration, guidance and a report.

Pure functions over what was expected and what was predicted; knows neither models nor training.
"""

from models.evaluation.build import evaluate_classes, evaluate_entities
from models.evaluation.items import ClassDocument, EntityDocument, Span, TrainingFacts
from models.evaluation.results import Evaluation

__all__ = [
    "ClassDocument",
    "EntityDocument",
    "Evaluation",
    "Span",
    "TrainingFacts",
    "evaluate_classes",
    "evaluate_entities",
]

from typing import Any

from models.training.checks import find_problems
from models.training.job import TrainingJob
from schemas.commands import Train
from schemas.labels import Dataset, EntityLabel, LabelledDocument, Region
from schemas.names import Kind


def make_job(kind: Kind = Kind.SINGLE_LABEL, *, split: Any = "percentage") -> TrainingJob:
    train = Train(model_label="v1", split=split)
    return TrainingJob(job_id="1", project="p", kind=kind, categories=["a", "b"], train=train, store="memory://")


def make(number: int, *classes: str) -> LabelledDocument:
    return LabelledDocument(project="p", id=str(number), text="some text", classes=list(classes))


def good_documents() -> list[LabelledDocument]:
    return [make(number, "ab"[number % 2]) for number in range(10)]


def test_ten_labelled_documents_with_every_class_are_enough() -> None:
    assert find_problems(make_job(), good_documents()) == []


def test_everything_that_is_wrong_is_told_at_once() -> None:
    problems = find_problems(make_job(), [make(1, "a", "c"), make(2)])
    assert problems == [
        "got 1 labelled documents, expected at least 10",
        "category b: got no label, expected at least one",
        "category c: is labelled, but is none of the project's categories",
        "document 1: got 2 classes, expected exactly one",
    ]


def test_a_document_that_comes_twice_is_named() -> None:
    assert find_problems(make_job(), [*good_documents(), make(3, "a")]) == ["got documents more than once: 3"]


def test_a_manual_split_needs_both_parts() -> None:
    documents = [document.model_copy(update={"dataset": Dataset.TRAIN}) for document in good_documents()]
    problems = find_problems(make_job(split="manual"), documents)
    assert problems == ["got a manual split without a Test document, expected at least one"]


def test_labels_outside_text_or_region_are_named() -> None:
    label = EntityLabel(category="a", offset=5, length=4)
    region = Region(offset=0, length=6, labels=[label, EntityLabel(category="b", offset=0, length=2)])
    documents = [
        LabelledDocument(project="p", id=str(number), text="some text", regions=[region]) for number in range(10)
    ]
    problems = find_problems(make_job(Kind.ENTITIES), documents)
    assert problems == [f"document {number}: got a label of a at 5 outside its region" for number in range(10)]

import pytest

from models.training.split import hold_out, split_documents
from schemas.labels import Dataset, LabelledDocument


def make(number: int, *classes: str, dataset: Dataset | None = None) -> LabelledDocument:
    return LabelledDocument(project="p", id=str(number), text="x", classes=list(classes), dataset=dataset)


def names(documents: tuple[LabelledDocument, ...]) -> set[str]:
    return {document.id for document in documents}


def test_each_class_keeps_its_share() -> None:
    documents = [make(number, "ab"[number % 2]) for number in range(100)]
    split = split_documents(documents, split="percentage", training_percentage=80, seed=0)
    assert len(split.test) == 20
    assert sum(document.classes == ["a"] for document in split.test) == 10


@pytest.mark.parametrize("seed", range(5))
def test_a_class_with_one_document_stays_in_training(seed: int) -> None:
    documents = [*(make(number, "a", "b") for number in range(20)), make(20, "rare", "a")]
    split = split_documents(documents, split="percentage", training_percentage=60, seed=seed)
    assert "20" in names(split.train)


def test_seed_decides_and_nothing_is_lost() -> None:
    documents = [make(number, "a") for number in range(20)]
    splits = [split_documents(documents, split="percentage", training_percentage=80, seed=seed) for seed in (0, 0, 1)]
    assert splits[0] == splits[1]
    assert splits[0] != splits[2]
    assert names(splits[0].train) | names(splits[0].test) == names(tuple(documents))
    assert len(splits[0].test) == 4


@pytest.mark.parametrize("percentage", [1, 50, 99])
def test_neither_part_is_ever_empty(percentage: int) -> None:
    documents = [make(number, f"class {number}") for number in range(10)]
    split = split_documents(documents, split="percentage", training_percentage=percentage, seed=0)
    assert split.train
    assert split.test


def test_a_manual_split_takes_the_documents_own_dataset() -> None:
    documents = [make(1, "a", dataset=Dataset.TRAIN), make(2, "a", dataset=Dataset.TEST), make(3, "a")]
    split = split_documents(documents, split="manual", training_percentage=80, seed=0)
    assert names(split.train) == {"1"}
    assert names(split.test) == {"2"}


def test_unlabelled_documents_take_no_part() -> None:
    documents = [*(make(number, "a") for number in range(10)), make(10)]
    split = split_documents(documents, split="percentage", training_percentage=80, seed=0)
    assert "10" not in names(split.train) | names(split.test)


def test_hold_out_keeps_the_order() -> None:
    stay, held = hold_out([make(number, "a") for number in range(30)], share=0.3, seed=4)
    assert [int(each.id) for each in stay] == sorted(int(each.id) for each in stay)
    assert len(held) == 9

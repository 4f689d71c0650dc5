from models.evaluation.guidance import distribution, guide
from models.evaluation.results import Cell, Distribution
from schemas.labels import LabelledDocument


def spread(train: int, test: int) -> Distribution:
    return Distribution(train_labels=train, train_documents=train, test_labels=test, test_documents=test)


def checks(**parts: Distribution) -> list[str]:
    return [each.check for each in guide(parts, None)]


def document(number: int, *classes: str) -> LabelledDocument:
    return LabelledDocument(project="p", id=str(number), text="x", classes=list(classes))


def test_good_data_needs_no_guidance() -> None:
    assert checks(Name=spread(40, 10), Place=spread(40, 10)) == []


def test_fewer_than_fifteen_labels_are_too_few() -> None:
    assert checks(Name=spread(14, 4), Place=spread(15, 4)) == ["enoughData"]


def test_a_category_without_test_label_is_named() -> None:
    found = guide({"Name": spread(40, 10), "Place": spread(40, 0)}, None)
    assert [(each.check, each.categories) for each in found] == [("presentInTest", ["Place"])]


def test_imbalance_is_seen_in_each_part() -> None:
    assert checks(Name=spread(400, 10), Place=spread(50, 1)) == ["balanced", "balanced"]


def test_an_uneven_split_is_seen() -> None:
    assert "evenSplit" in checks(Name=spread(40, 25), Place=spread(40, 6))


def test_confused_pairs_come_worst_first() -> None:
    matrix = {
        "Name": {"Name": Cell(normalized_value=85, raw_value=85), "Place": Cell(normalized_value=15, raw_value=15)},
        "Place": {"Place": Cell(normalized_value=70, raw_value=70), "$none": Cell(normalized_value=30, raw_value=30)},
    }
    found = guide({"Name": spread(40, 10), "Place": spread(40, 10)}, matrix)
    assert [each.categories for each in found] == [["Place", "$none"], ["Name", "Place"]]


def test_distribution_counts_labels_and_documents() -> None:
    found = distribution([document(1, "A"), document(2, "A", "B")], [document(3, "B")], ["A", "B"])
    assert found["A"] == spread(2, 0)
    assert found["B"] == spread(1, 1)

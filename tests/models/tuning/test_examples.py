import pytest

from models.engine.readers import Prediction
from models.manifest import Manifest
from models.store import Store
from models.tuning.examples import (
    MOST_CHARS,
    MOST_DOCUMENTS,
    Example,
    dump_examples,
    examples_of,
    load_examples,
    n_labels,
    quality_of,
    sample_of,
)
from schemas.enriched import ClassScore, Entity
from schemas.errors import ArtefactCorrupt
from schemas.labels import EntityLabel, LabelledDocument, Region
from schemas.names import Kind
from tests.models.artefacts import make_manifest


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(f"file://{tmp_path_factory.mktemp('examples')}")


def document(number: int = 0, text: str = "Ann of Rome", *, classes: tuple[str, ...] = ()) -> LabelledDocument:
    labels = [EntityLabel(category="Person", offset=0, length=3), EntityLabel(category="Place", offset=7, length=4)]
    regions = [] if classes else [Region(offset=0, length=len(text), labels=labels)]
    return LabelledDocument(project="p", id=str(number), text=text, regions=regions, classes=list(classes))


def found(*spans: tuple[str, int, int]) -> Prediction:
    return Prediction(
        entities=[
            Entity(text="x", category=category, offset=offset, length=length, confidenceScore=0.9)
            for category, offset, length in spans
        ]
    )


def said(*classes: str) -> Prediction:
    return Prediction(classes=[ClassScore(category=each, confidenceScore=0.9) for each in classes])


PERSON, PLACE = ("Person", 0, 3), ("Place", 7, 4)


def entities(store: Store) -> Manifest:
    return make_manifest(store)


def test_what_is_dumped_comes_back() -> None:
    examples = [
        *examples_of([document(), document(1, "Zoë\u2028x\n\n")], [found(PERSON), found()]),
        Example(document=document(2, classes=("Person",)), answer=said("Person"), seen=True),
    ]
    assert load_examples(dump_examples(examples)) == examples
    assert load_examples(b"") == []


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"document": {"id": "1"}}', b"\xff"])
def test_what_is_no_tuning_set_is_refused(data: bytes) -> None:
    with pytest.raises(ArtefactCorrupt, match="tuning set"):
        load_examples(data)


def test_a_sample_is_bounded_in_documents_and_characters() -> None:
    assert len(sample_of(document(number, "short") for number in range(1000))) == MOST_DOCUMENTS
    long = [document(number, "x" * 20_000) for number in range(5)]
    assert len(sample_of(long)) == MOST_CHARS // 20_000
    assert sample_of([]) == []


def test_a_document_that_is_too_long_is_only_sampled_where_all_are() -> None:
    longest, shorter = document(0, "x" * 3 * MOST_CHARS), document(1, "x" * 2 * MOST_CHARS)
    assert [each.id for each in sample_of([longest, document(2), shorter, document(3)])] == ["2", "3"]
    assert [each.id for each in sample_of([longest, shorter, longest])] == ["1"]


def test_scores_are_against_labels_and_agreement_against_fp32(store: Store) -> None:
    examples = examples_of([document(), document(1)], [found(PERSON, PLACE), found(PERSON)])
    quality = quality_of(entities(store), examples, [found(PERSON, PLACE), found(PERSON)])
    assert (quality.reference, quality.score, quality.agreement, quality.n_labels) == (0.8571, 0.8571, 1.0, 4)
    better = quality_of(entities(store), examples, [found(PERSON, PLACE), found(PERSON, PLACE)])
    assert (better.score, better.agreement) == (1.0, 0.8571)


def test_fewer_answers_than_examples_are_judged_by_what_was_asked(store: Store) -> None:
    examples = examples_of([document(), document(1)], [found(PERSON, PLACE), found()])
    quality = quality_of(entities(store), examples, [found(PERSON, PLACE)])
    assert (quality.reference, quality.score, quality.n_labels) == (1.0, 1.0, 2)


def test_labels_of_documents_that_were_trained_on_tell_nothing_of_quality(store: Store) -> None:
    examples = examples_of([document()], [found(PERSON)], seen=True)
    assert quality_of(entities(store), examples, [found(PERSON)]).n_labels == 0
    assert n_labels(examples) == 2


def test_saying_nothing_agrees_with_nothing(store: Store) -> None:
    examples = examples_of([document()], [found()])
    assert quality_of(entities(store), examples, [found()]).agreement == 1.0
    assert quality_of(entities(store), examples, [found(PERSON)]).agreement == 0.0


@pytest.mark.parametrize(("n_asked", "good"), [(2, False), (3, True)])
def test_few_answers_are_only_enough_if_there_are_no_more_documents(store: Store, n_asked: int, good: bool) -> None:
    examples = examples_of([document(number) for number in range(3)], [found(PERSON, PLACE)] * 3)
    assert quality_of(entities(store), examples, [found(PERSON, PLACE)] * n_asked).good is good


def test_silence_proves_nothing(store: Store) -> None:
    examples = examples_of([document()], [found()])
    assert not quality_of(entities(store), examples, [found()]).good


def test_classes_are_judged_too(store: Store) -> None:
    manifest = make_manifest(store, Kind.MULTI_LABEL)
    documents = [document(classes=("Person", "Place")), document(1, classes=("Amount",))]
    examples = examples_of(documents, [said("Person", "Place"), said("Amount")])
    assert quality_of(manifest, examples, [said("Person", "Place"), said("Amount")]).good
    quality = quality_of(manifest, examples, [said("Person"), said("Place")])
    assert quality.agreement == quality.score == 0.4

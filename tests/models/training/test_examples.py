import numpy as np
from sklearn.linear_model import LogisticRegression

from models.manifest import Decoding
from models.training.examples import IGNORED, read_documents, touching, word_labels
from models.training.folds import fold_numbers
from models.training.regression import fit
from schemas.labels import EntityLabel, LabelledDocument, Region
from tests.models.artefacts import default_tokenizer

TEXT = "Ada Lovelace paid Bob 12 coins in Paris"


def label(text: str, category: str) -> EntityLabel:
    return EntityLabel(category=category, offset=TEXT.index(text), length=len(text))


def labels_of(*regions: Region) -> list[int]:
    document = LabelledDocument(project="p", id="1", text=TEXT, regions=list(regions))
    (reading,) = read_documents([document], default_tokenizer(), decoding=Decoding())
    return [int(number) for number in word_labels(reading, ["Name", "Place"])]


def test_words_are_labelled_b_then_i() -> None:
    region = Region(offset=0, length=len(TEXT), labels=[label("Ada Lovelace", "Name"), label("Paris", "Place")])
    assert labels_of(region) == [1, 2, 0, 0, 0, 0, 0, 3]


def test_words_outside_the_regions_have_no_label() -> None:
    start = TEXT.index("Bob")
    region = Region(offset=start, length=len("Bob 12"), labels=[label("Bob", "Name")])
    assert labels_of(region) == [IGNORED, IGNORED, IGNORED, 1, 0, IGNORED, IGNORED, IGNORED]


def test_spans_that_touch_are_noticed() -> None:
    assert touching(np.array([0, 1, 2, 1, 0]))
    assert touching(np.array([1, 1]))
    assert not touching(np.array([0, 1, 2, 3, 4, 0, 1]))


def test_regression_agrees_with_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    inputs = generator.normal(0, 1, (300, 10)).astype(np.float32) + 3
    numbers = (inputs[:, :3] + generator.normal(0, 1, (300, 3))).argmax(axis=1)
    fitted = fit(inputs, numbers[:, None] == np.arange(3), link="softmax", strength=1.0)
    reference = LogisticRegression(C=1.0, max_iter=1000).fit(inputs, numbers)
    chances = np.exp(fitted.logits(inputs))
    chances /= chances.sum(axis=1, keepdims=True)
    assert np.abs(chances - reference.predict_proba(inputs)).max() < 0.01


def test_folds_spread_each_class() -> None:
    targets = (np.arange(50) % 5)[:, None] == np.arange(5)
    folds = fold_numbers(targets, n_folds=5, seed=1)
    for fold in range(5):
        assert targets[folds == fold].sum(axis=0).tolist() == [2, 2, 2, 2, 2]

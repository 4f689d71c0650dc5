import numpy as np
import pytest

from models.features import N_FEATURES
from models.heads import EntityHead, entity_labels, load_class_head, load_entity_head, save_head
from schemas.errors import ArtefactCorrupt
from schemas.names import Kind
from tests.models.artefacts import CATEGORIES, WIDTH, random_head


def test_saved_and_loaded_heads_are_identical() -> None:
    for kind, load in ((Kind.ENTITIES, load_entity_head), (Kind.SINGLE_LABEL, load_class_head)):
        head = random_head(kind)
        data = save_head(head)
        again = load(data, n_categories=len(CATEGORIES), hidden_size=WIDTH)
        assert (again.weight == head.weight).all()
        assert (again.bias == head.bias).all()
        assert save_head(again) == data


def test_entity_logits_use_hidden_state_and_features() -> None:
    head = random_head(Kind.ENTITIES)
    assert isinstance(head, EntityHead)
    rng = np.random.default_rng(0)
    hidden, features = rng.normal(size=(4, WIDTH)), rng.normal(size=(4, N_FEATURES))
    got = head.logits(hidden.astype(np.float32), features.astype(np.float32))
    assert got == pytest.approx(np.hstack([hidden, features]) @ head.weight.T + head.bias, abs=1e-4)


@pytest.mark.parametrize(("data", "reason"), [(b"", "no safetensors"), (b"x" * 100, "no safetensors")])
def test_what_is_no_head_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ArtefactCorrupt, match=reason):
        load_class_head(data, n_categories=3, hidden_size=WIDTH)


def test_a_head_of_another_shape_is_refused() -> None:
    with pytest.raises(ArtefactCorrupt, match=r"expected .*\(4, 32\)"):
        load_class_head(save_head(random_head(Kind.SINGLE_LABEL)), n_categories=4, hidden_size=WIDTH)


def test_a_head_with_values_that_are_no_numbers_is_refused() -> None:
    head = random_head(Kind.SINGLE_LABEL)
    head.weight[0, 0] = np.nan
    with pytest.raises(ArtefactCorrupt, match="not finite"):
        load_class_head(save_head(head), n_categories=len(CATEGORIES), hidden_size=WIDTH)


def test_labels_stand_in_the_order_of_the_categories() -> None:
    assert entity_labels(["X", "Y"]) == ["O", "B-X", "I-X", "B-Y", "I-Y"]

import numpy as np
import pytest

from models.calibration import fit_temperature, fit_thresholds


def draw(temperature: float, *, n_rows: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, (n_rows, 4))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    targets = (generator.random((n_rows, 1)) > chances.cumsum(axis=1)).sum(axis=1)
    return logits * temperature, targets


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_temperature_that_spoilt_the_logits_is_found(temperature: float) -> None:
    logits, targets = draw(temperature)
    assert fit_temperature(logits, targets) == pytest.approx(temperature, rel=0.05)


def test_temperature_of_independent_labels_is_found() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, (5000, 3))
    targets = generator.random(logits.shape) < 1 / (1 + np.exp(-logits))
    assert fit_temperature(2 * logits, targets, link="sigmoid") == pytest.approx(2, rel=0.1)


def test_nothing_to_learn_from_leaves_the_logits_alone() -> None:
    assert fit_temperature(np.zeros((0, 3)), np.zeros(0, dtype=np.int64)) == 1


def test_threshold_goes_where_f1_is_best() -> None:
    probabilities = np.linspace(0, 1, 200)[:, None]
    found = fit_thresholds(probabilities, probabilities > 0.3)
    assert found[0] == pytest.approx(0.3, abs=0.02)


def test_threshold_of_a_rare_class_stays_near_the_default() -> None:
    probabilities = np.array([[0.05], [0.04], [0.03]])
    assert fit_thresholds(probabilities, np.array([[True], [False], [False]]))[0] > 0.4
    assert fit_thresholds(probabilities, np.array([[False], [False], [False]])) == [0.5]

"""A model that can be tuned, of which nothing is known yet."""

from collections.abc import Iterator

import pytest

from models.manifest import WEIGHTS, Manifest
from models.store import Store
from tests.models.tuning.tuner_kit import tunable


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Manifest]:
    store = Store(f"file://{tmp_path_factory.mktemp('tuning')}")
    return store, tunable(store)


@pytest.fixture
def fresh(made: tuple[Store, Manifest]) -> Iterator[tuple[Store, Manifest]]:
    store, manifest = made
    yield store, manifest
    for digest in (manifest.digest, manifest.encoder.files[WEIGHTS]):
        store._forget_tunings(digest)

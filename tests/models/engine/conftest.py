"""A store with a small model of each kind, and an engine that has them loaded."""

import pytest

from models.engine.engine import Engine, LoadedModel
from models.store import Store
from schemas.names import Kind
from tests.models.artefacts import make_manifest


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(f"file://{tmp_path_factory.mktemp('store')}")


@pytest.fixture(scope="module")
def digests(store: Store) -> list[str]:
    return [store.save_manifest(make_manifest(store, kind)) for kind in Kind]


@pytest.fixture(scope="module")
def engine(store: Store) -> Engine:
    return Engine(store)


@pytest.fixture(scope="module")
def models(engine: Engine, digests: list[str]) -> tuple[LoadedModel, ...]:
    return tuple(engine.load(digest) for digest in digests)

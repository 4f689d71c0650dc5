"""What the worker relies on in an engine, proved of the real one and of the one that tests use."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from agents.inference import Engine, LoadedModel, Request, Urgency
from models.engine.engine import Engine as RealEngine
from models.engine.readers import Prediction
from models.store import Store
from schemas.errors import ArtefactNotFound, ModelError
from tests.agents.echo import EchoEngine
from tests.models.artefacts import make_manifest

TEXTS = ["Jane Doe owes $12,000.", "", " \r\n", "Ünïcode 👩\u200d👩 東京", "word " * 3000]
WAIT_S = 30
UNKNOWN = "sha256:" + "f" * 64


class EngineContract:
    """Tests that every engine passes; subclasses give ``engine`` and the ``digest`` of a model that finds entities."""

    def ask(self, engine: Engine, texts: Sequence[str], *models: LoadedModel) -> list[list[Prediction]]:
        requests = [Request(text, models) for text in texts]  # type: ignore[arg-type]
        answers = engine.submit(requests, Urgency.BULK).result(WAIT_S)
        assert not any(isinstance(answer, ModelError) for answer in answers)
        return [list(answer) for answer in answers if not isinstance(answer, ModelError)]

    def test_answers_come_in_the_order_of_the_requests(self, engine: Engine, digest: str) -> None:
        model = engine.load(digest)
        together = self.ask(engine, TEXTS, model)
        assert len(together) == len(TEXTS)
        alone = [self.ask(engine, [text], model)[0] for text in TEXTS]
        assert [[len(p["entities"]) for p in answer] for answer in together] == [
            [len(p["entities"]) for p in answer] for answer in alone
        ]

    def test_every_model_that_is_asked_answers(self, engine: Engine, digest: str) -> None:
        model = engine.load(digest)
        assert [len(answer) for answer in self.ask(engine, TEXTS, model, model)] == [2] * len(TEXTS)

    def test_entities_are_slices_of_the_text_with_confidences(self, engine: Engine, digest: str) -> None:
        model = engine.load(digest)
        for text, (prediction,) in zip(TEXTS, self.ask(engine, TEXTS, model), strict=True):
            for entity in prediction["entities"]:
                start, length = entity["offset"], entity["length"]
                assert isinstance(start, int)
                assert isinstance(length, int)
                assert text[start : start + length] == entity["text"]
                assert 0 <= float(str(entity["confidenceScore"])) <= 1

    def test_no_requests_give_no_answers(self, engine: Engine) -> None:
        assert list(engine.submit([], Urgency.BULK).result(WAIT_S)) == []

    def test_a_model_that_is_not_there_is_an_artefact_error(self, engine: Engine) -> None:
        with pytest.raises(ArtefactNotFound):
            engine.load(UNKNOWN)

    def test_a_model_that_is_loaded_is_loaded_once(self, engine: Engine, digest: str) -> None:
        assert engine.load(digest) is engine.load(digest)

    def test_an_unloaded_model_still_answers_whoever_holds_it(self, engine: Engine, digest: str) -> None:
        model = engine.load(digest)
        assert model.digest == digest
        assert model.nbytes > 0
        assert engine.loaded_bytes() > 0
        engine.unload(digest)
        engine.unload(digest)
        assert engine.loaded_bytes() == 0
        assert len(self.ask(engine, TEXTS, model)) == len(TEXTS)


class TestEchoEngine(EngineContract):
    @pytest.fixture
    def engine(self) -> Engine:
        return EchoEngine(missing=[UNKNOWN])

    @pytest.fixture
    def digest(self) -> str:
        return "sha256:" + "0" * 64


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder: Path = tmp_path_factory.mktemp("store")
    return Store(folder.as_uri())


@pytest.fixture(scope="module")
def artefact(store: Store) -> str:
    return store.save_manifest(make_manifest(store))


class TestRealEngine(EngineContract):
    @pytest.fixture
    def digest(self, artefact: str) -> str:
        return artefact

    @pytest.fixture
    def engine(self, store: Store) -> Iterator[Engine]:
        with RealEngine(store) as made:
            yield made

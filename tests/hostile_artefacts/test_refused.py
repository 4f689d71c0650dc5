"""Whatever is wrong with an artefact, the engine refuses it before it runs, in one line, and keeps nothing of it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from models.engine import engine as engine_module
from models.engine.engine import Engine, Request
from models.engine.graph_check import check_graph
from models.manifest import WEIGHTS
from models.store import Store
from models.tokenizer_check import check_pattern
from schemas.errors import ArtefactCorrupt, ArtefactError
from tests.hostile_artefacts.bench import Bench
from tests.hostile_artefacts.cases import CASES
from tests.hostile_artefacts.graphs import graph
from tests.models.artefacts import WIDTH, make_manifest, tiny_graphs, tiny_weights

SOON_S = 20


@pytest.fixture(scope="module", autouse=True)
def _libraries_are_there(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The first import of torch and its models takes seconds, and is not what is timed."""
    store = Store(tmp_path_factory.mktemp("first").as_uri())
    with Engine(store) as engine:
        engine.load(store.save_manifest(make_manifest(store, backend="torch-fp32")))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    outside = tmp_path / "outside"
    outside.mkdir()
    root = tmp_path / "store"
    return Bench(Store(f"file://{root}"), root, outside)


@pytest.fixture
def engine(bench: Bench) -> Iterator[Engine]:
    with Engine(bench.store) as made:
        yield made


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused_and_the_old_model_answers_on(name: str, bench: Bench, engine: Engine) -> None:
    good = engine.load(bench.saved(label="good"))
    before = engine.predict([Request("Ann of Rome", (good,))])
    held = engine.loaded_bytes()
    make, said = CASES[name]
    bad = make(bench)
    started = monotonic()
    with pytest.raises(ArtefactError, match=said) as refusal:
        engine.load(bad)
    assert monotonic() - started < SOON_S
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 1000
    assert engine.predict([Request("Ann of Rome", (good,))]) == before
    assert engine.loaded_bytes() == held
    assert not bench.marker().exists()


def test_a_good_model_passes_with_every_backend(bench: Bench) -> None:
    for backend in ("torch-fp32", "onnx-fp32", "onnx-int8", "openvino-fp32"):
        with Engine(bench.store) as engine:
            assert engine.load(bench.saved(backend=backend)).backend.plan.backend == backend


def test_what_was_replaced_after_it_was_checked_is_not_what_runs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = make_manifest(bench.store)
    digest = bench.store.save_manifest(manifest)
    graph_file = bench.blob(manifest.graphs["onnx-fp32"])
    check = engine_module.check_files  # type: ignore[attr-defined]

    def check_then_replace(*given: object, **more: object) -> None:
        check(*given, **more)  # type: ignore[arg-type]
        graph_file.write_bytes(tiny_graphs(seed=9)["onnx-fp32"])

    monkeypatch.setattr(engine_module, "check_files", check_then_replace)
    with Engine(bench.store) as engine, pytest.raises(ArtefactCorrupt, match=r"digest .*, expected"):
        engine.load(digest)


def test_a_blob_that_changes_after_it_was_found_whole_is_looked_at_again(bench: Bench) -> None:
    digest = bench.store.put(tiny_weights())
    bench.store.check(digest)
    bench.blob(digest).write_bytes(tiny_weights(seed=2))
    with pytest.raises(ArtefactCorrupt, match=r"digest .*, expected"):
        bench.store.check(digest)


def test_a_remote_store_is_asked_for_every_blob(tmp_path: Path) -> None:
    store = Store("memory://hostile", cache=tmp_path)
    manifest = make_manifest(store)
    digest = store.save_manifest(manifest)
    with Engine(store) as engine:
        engine.load(digest)
    store._storage.remove(store._blob(manifest.encoder.files[WEIGHTS]))
    with Engine(store) as engine, pytest.raises(ArtefactError, match="expected it to be there"):
        engine.load(digest)


@pytest.mark.parametrize("cut", [0, 1, 2, 7, 100, 10_000, -1])
def test_a_graph_that_is_cut_short_is_refused_or_harmless(cut: int) -> None:
    with pytest.raises(ArtefactCorrupt):
        check_graph(tiny_graphs()["onnx-fp32"][:cut], width=WIDTH)


def test_no_graph_of_ours_is_refused() -> None:
    for data in tiny_graphs().values():
        check_graph(data, width=WIDTH)
    with pytest.raises(ArtefactCorrupt, match="2 graphs"):
        check_graph(graph().SerializeToString() * 2, width=WIDTH)


@pytest.mark.parametrize("pattern", [
    " {2,}", r"\s+", r"[^\s\p{L}]+", r"'s|'t|'re| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)",
    r"\p{N}", r"[\(\)]+", r"(?<=a)b", r"\(a+\)+",
])  # fmt: skip
def test_patterns_of_known_tokenizers_are_taken(pattern: str) -> None:
    check_pattern(pattern)


@pytest.mark.parametrize("pattern", [
    "(a+)+", "(a*)*$", "(?:a|aa)+$", "([a-z]+)*x", "(a?){30}b", r"(\w+\s?)*$", r"(.*)\1", "a*a*a*a*a*$", "((a))+(",
    "x" * 2000, "((?:a+))+", "(?(1)a|b)", "a*b*c*d*e",
])  # fmt: skip
def test_patterns_that_may_take_for_ever_are_refused(pattern: str) -> None:
    with pytest.raises(ArtefactCorrupt, match="regular expression"):
        check_pattern(pattern)


GIVES_UP = """
import sys
from models.engine import engine as engine_module
from models.engine.engine import Engine, Request
from models.store import Store
from models.tokenization import Tokenizer
from models import tokenization
tokenization.check_patterns = tokenization.check_tokenizer = lambda _: None
with Engine(Store(sys.argv[1])) as engine:
    model = engine.load(sys.argv[2])
    bad, good = engine.predict([Request("a" * 1000 + "!", (model,)), Request("Ann", (model,))])
    assert "RuntimeError" in str(bad), bad
    assert "entities" in good[0], good
"""


def test_a_document_that_a_tokenizer_gives_up_on_takes_nobody_with_it(bench: Bench) -> None:
    from models.manifest import TOKENIZER
    from tests.hostile_artefacts.tokenizers import splitting, tokenizer_with

    data = tokenizer_with(pre_tokenizer=splitting("(a|a)*$"), normalizer=None)
    digest = bench.with_file(TOKENIZER, data)
    subprocess.run([sys.executable, "-c", GIVES_UP, bench.store.url, digest], check=True, stderr=subprocess.DEVNULL)


PARTS = [
    "models.engine.loading.OnnxBackend",
    "models.engine.engine.Tokenizer",
    "models.engine.engine.load_head",
    "models.store.read_manifest",
]


@pytest.mark.parametrize("part", PARTS)
def test_a_model_that_there_is_no_memory_for_is_refused_and_fits_later(
    part: str, bench: Bench, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = engine.load(bench.saved(label="good"))
    held = engine.loaded_bytes()
    other = bench.saved(label="other", encoder_seed=5)

    def no_memory(*_: object, **__: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(part, no_memory)
        if part.endswith("Tokenizer"):
            patch.setattr(engine._tokenizers, "_held", {})
        with pytest.raises(ArtefactError, match=r"got no memory to load model .*, expected some: give the worker more"):
            engine.load(other)
    assert engine.loaded_bytes() == held
    assert engine.predict([Request("Ann of Rome", (good,))])[0]
    assert engine.load(other).digest == other


def test_no_memory_in_the_first_forward_pass_is_said_as_such(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from models.engine.onnx_backend import OnnxBackend

    def no_memory(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(OnnxBackend, "encode", no_memory)
    with Engine(bench.store) as engine, pytest.raises(ArtefactError, match="no memory to load"):
        engine.load(bench.saved())
    assert engine.loaded_bytes() == 0

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import orjson
import pytest

from models.engine.engine import Engine, Request
from models.manifest import Manifest, digest_of
from models.plans import Plan
from models.store import Store
from schemas.errors import ArtefactCorrupt, ArtefactNotFound, Unavailable
from tests.models.artefacts import make_manifest

ABSENT = digest_of(b"nobody put this")


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    url = f"file://{tmp_path}/store" if request.param == "file" else f"memory://{uuid4().hex}"
    return Store(url, cache=tmp_path / "cache")


@pytest.fixture
def local(tmp_path: Path) -> Store:
    return Store(f"file://{tmp_path}")


def blob_file(tmp_path: Path, digest: str) -> Path:
    return tmp_path / "blobs/sha256" / digest.removeprefix("sha256:")


def test_what_is_put_comes_back(store: Store, tmp_path: Path) -> None:
    digest = store.put(b"weights")
    assert digest == digest_of(b"weights") == store.put(b"weights")
    assert store.get(digest) == b"weights"
    assert store.local_path(digest).read_bytes() == b"weights"
    (tmp_path / "file").write_bytes(b"other")
    assert store.get(store.put_file(tmp_path / "file")) == b"other"


def test_what_is_missing_is_not_found(store: Store) -> None:
    calls: list[Callable[[str], object]] = [store.get, store.local_path, store.load_manifest]
    for call in calls:
        with pytest.raises(ArtefactNotFound, match="expected it to be there"):
            call(ABSENT)
    assert not store.has(ABSENT)


@pytest.mark.parametrize("damaged", [b"weight", b"weightS", b""])
def test_a_damaged_blob_is_refused(local: Store, tmp_path: Path, damaged: bytes) -> None:
    digest = local.put(b"weights")
    blob_file(tmp_path, digest).write_bytes(damaged)
    for read in (local.get, local.local_path):
        with pytest.raises(ArtefactCorrupt, match="expected sha256:"):
            read(digest)


@pytest.mark.parametrize(
    "digest",
    ["../../etc/passwd", "sha256:../x", f"sha256:{'A' * 64}", f"sha256:{'0' * 64}/..", f"sha256:{'0' * 64}\n", ""],
)
def test_a_digest_cannot_lead_out_of_the_store(local: Store, digest: str) -> None:
    calls: list[Callable[[str], object]] = [local.get, local.local_path, local.load_manifest, local.delete_blob]
    for call in calls:
        with pytest.raises(ArtefactCorrupt, match="for a digest"):
            call(digest)


def test_a_damaged_copy_in_the_cache_is_replaced(tmp_path: Path) -> None:
    store = Store(f"memory://{uuid4().hex}", cache=tmp_path)
    digest = store.put(b"weights")
    store.local_path(digest).write_bytes(b"tampered")
    assert store.local_path(digest).read_bytes() == b"weights"


def test_a_manifest_comes_back_as_it_was(store: Store) -> None:
    manifest = make_manifest(store, metrics={"microF1": 0.5}, thresholds={"Person": 0.25})
    digest = store.save_manifest(manifest)
    assert digest == manifest.digest
    assert store.load_manifest(digest) == manifest
    assert Manifest.model_validate_json(manifest.canonical()).digest == digest


def test_a_manifest_that_names_what_is_not_there_is_not_saved(store: Store) -> None:
    manifest = make_manifest(store, evaluation=ABSENT)
    with pytest.raises(ArtefactNotFound, match="expected all its blobs"):
        store.save_manifest(manifest)


def test_a_changed_manifest_is_refused(local: Store, tmp_path: Path) -> None:
    digest = local.save_manifest(make_manifest(local))
    path = tmp_path / "models/sha256" / digest.removeprefix("sha256:") / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"v1"', b'"v2"'))
    with pytest.raises(ArtefactCorrupt):
        local.load_manifest(digest)


def test_deleting_a_model_keeps_what_others_name(store: Store) -> None:
    first = make_manifest(store)
    second = make_manifest(store, label="v2", head=store.put(b"another head"))
    digests = [store.save_manifest(manifest) for manifest in (first, second)]
    store.delete_model(digests[0])
    store.delete_model(digests[0])
    assert not store.has(first.head)
    assert all(store.has(blob) for blob in second.blobs)
    store.delete_model(digests[1])
    assert not any(store.has(blob) for blob in second.blobs)


def test_a_blob_that_a_model_names_is_not_deleted(store: Store) -> None:
    manifest = make_manifest(store)
    store.save_manifest(manifest)
    alone = store.put(b"nobody's")
    for digest in (*manifest.blobs, alone, ABSENT):
        store.delete_blob(digest)
    assert all(store.has(blob) for blob in manifest.blobs)
    assert not store.has(alone)


def test_a_model_that_is_saved_during_a_deletion_keeps_its_blobs(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make_manifest(store)
    deleted = store.save_manifest(first)
    second = make_manifest(store, label="v2")
    move = store._storage.move

    def save_then_move(path: str, to: str) -> None:
        monkeypatch.undo()
        store.save_manifest(second)
        move(path, to)

    monkeypatch.setattr(store._storage, "move", save_then_move)
    store.delete_model(deleted)
    assert store.load_manifest(second.digest) == second
    assert all(store.has(blob) for blob in second.blobs)


def test_a_manifest_whose_blob_is_deleted_while_it_is_saved_is_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = make_manifest(store)
    write = store._storage.write

    def delete_then_write(path: str, data: bytes) -> None:
        store.delete_blob(manifest.head)
        write(path, data)

    monkeypatch.setattr(store._storage, "write", delete_then_write)
    with pytest.raises(ArtefactNotFound, match="expected all its blobs"):
        store.save_manifest(manifest)


def test_the_next_deletion_settles_what_one_that_died_left_aside(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = make_manifest(store)
    alone = store.put(b"nobody's")

    def die(*_: object) -> None:
        raise Unavailable("gone")

    with monkeypatch.context() as patch:
        patch.setattr(store._storage, "list", lambda path: die() if path.endswith("deleted/sha256") else [])
        for digest in (alone, manifest.head):
            with pytest.raises(Unavailable):
                store.delete_blob(digest)
    assert not store.has(alone)
    store._storage.write(store._manifest(manifest.digest), manifest.canonical())
    store.delete_blob(ABSENT)
    assert store.has(manifest.head)
    assert store._storage.list(store._aside()) == []


def test_the_newest_intact_checkpoint_is_the_latest(local: Store, tmp_path: Path) -> None:
    assert local.latest_checkpoint("job") is None
    for step in (1, 2, 10):
        local.save_checkpoint("job", f"step {step}".encode(), step=step)
    assert local.latest_checkpoint("job") == b"step 10"
    newest = sorted((tmp_path / "checkpoints/job").iterdir())[-1]
    newest.write_bytes(b"half")
    assert local.latest_checkpoint("job") == b"step 2"


def test_old_checkpoints_go_and_all_go_in_the_end(local: Store, tmp_path: Path) -> None:
    for step in range(5):
        local.save_checkpoint("job", bytes([step]), step=step)
    assert len(list((tmp_path / "checkpoints/job").iterdir())) == 2
    local.delete_checkpoints("job")
    assert local.latest_checkpoint("job") is None


def test_a_job_id_cannot_lead_out_of_the_store(tmp_path: Path) -> None:
    store = Store(f"file://{tmp_path}/store")
    store.save_checkpoint("../../escape", b"data", step=1)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
    assert store.latest_checkpoint("../../escape") == b"data"


def test_a_store_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Unavailable, match="does not answer"):
        Store(f"file://{tmp_path}/file/store").put(b"data")
    with pytest.raises(Unavailable):
        Store("nonsense://x")


def test_nothing_temporary_is_left(local: Store, tmp_path: Path) -> None:
    local.save_manifest(make_manifest(local))
    assert not list(tmp_path.rglob("*.part"))


def test_what_was_measured_is_kept_by_machine_and_replaced(store: Store) -> None:
    digest = digest_of(b"a model")
    assert store.get_tuning(digest, machine="here") is None
    assert store.tunings(digest) == []
    store.put_tuning(digest, b"slow", machine="here")
    store.put_tuning(digest, b"fast", machine="here")
    store.put_tuning(digest, b"there", machine="there")
    assert store.get_tuning(digest, machine="here") == b"fast"
    assert sorted(store.tunings(digest)) == [b"fast", b"there"]


@pytest.mark.parametrize("machine", ["", "../here", "a/b", "a.json"])
def test_a_machine_is_no_path(store: Store, machine: str) -> None:
    with pytest.raises(ArtefactCorrupt, match="machine"):
        store.put_tuning(ABSENT, b"x", machine=machine)


def test_what_was_measured_goes_with_its_model_and_its_encoder(store: Store) -> None:
    manifest = make_manifest(store)
    digest = store.save_manifest(manifest)
    weights = manifest.encoder.files["model.safetensors"]
    other = store.save_manifest(make_manifest(store, label="v2"))
    for each in (digest, weights, other):
        store.put_tuning(each, b"x", machine="here")
    store.delete_model(digest)
    assert [store.tunings(each) for each in (digest, weights, other)] == [[], [b"x"], [b"x"]]
    store.delete_model(other)
    assert store.tunings(weights) == store.tunings(other) == []


def test_a_tuning_set_is_a_part_of_its_model(store: Store) -> None:
    kept = store.put(b"held-out documents")
    digest = store.save_manifest(make_manifest(store, tuning_set=kept))
    store.delete_blob(kept)
    assert store.has(kept)
    store.delete_model(digest)
    assert not store.has(kept)


def put_format_1(store: Store, root: Path) -> tuple[Manifest, str]:
    """A model as it was stored before there were plans."""
    manifest = make_manifest(store, label="old")
    facts = manifest.payload()
    for name in ("plan", "tuning", "tuningSet"):
        del facts[name]
    measured = {"name": "onnx-fp32", "tokensPerS": 8123.4, "score": 0.75, "served": True}
    facts |= {"formatVersion": 1, "backend": "onnx-fp32", "backends": [measured]}
    data = orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)
    digest = digest_of(data)
    path = root / "models/sha256" / digest.removeprefix("sha256:") / "manifest.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    return manifest, digest


def test_a_model_of_format_1_is_read_and_keeps_its_digest(local: Store, tmp_path: Path) -> None:
    manifest, digest = put_format_1(local, tmp_path)
    old = local.load_manifest(digest)
    assert old.digest == digest
    assert old.plan == Plan(backend="onnx-fp32")
    assert (old.tuning, old.tuning_set) == (None, None)
    assert old.blobs == manifest.blobs
    assert local.save_manifest(old) == digest


def test_a_model_of_format_1_does_not_keep_others_from_being_deleted(local: Store, tmp_path: Path) -> None:
    manifest, _ = put_format_1(local, tmp_path)
    other = local.put(b"nobody needs this")
    local.delete_blob(other)
    assert not local.has(other)
    local.delete_blob(manifest.head)
    assert local.has(manifest.head)
    local.delete_model(local.save_manifest(manifest))
    assert local.has(manifest.head)


def test_a_model_of_format_1_answers(local: Store, tmp_path: Path) -> None:
    _, digest = put_format_1(local, tmp_path)
    with Engine(local) as engine:
        model = engine.load(digest)
        assert model.digest == digest
        assert engine.predict([Request("Ann of Rome", (model,))])[0] is not None


@pytest.mark.parametrize("facts", [{"formatVersion": 3}, {"formatVersion": 1, "plan": None}, {"formatVersion": 2}])
def test_a_manifest_of_another_format_is_refused(local: Store, tmp_path: Path, facts: dict[str, object]) -> None:
    payload = make_manifest(local).payload()
    del payload["plan"]
    data = orjson.dumps(payload | {"backend": "onnx-fp32"} | facts)
    path = tmp_path / "models/sha256" / digest_of(data).removeprefix("sha256:") / "manifest.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    with pytest.raises(ArtefactCorrupt, match="cannot read"):
        local.load_manifest(digest_of(data))

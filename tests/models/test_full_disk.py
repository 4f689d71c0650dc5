"""No room in the store: nothing half-written is seen, nothing temporary stays, and the next try succeeds."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from models.files import export, write_whole
from models.manifest import digest_of
from models.store import Store
from schemas.errors import ArtefactNotFound, NoSpace, Unavailable
from tests.models.artefacts import make_manifest

FULL = "has no room .*: free some there and try again; nothing half-written is left"


def no_space(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(f"file://{tmp_path}/store")


def files_in(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


STEPS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "fsync": lambda patch: patch.setattr(os, "fsync", no_space),
    "rename": lambda patch: patch.setattr(Path, "replace", no_space),
    "open": lambda patch: patch.setattr(Path, "open", no_space),
    "folder": lambda patch: patch.setattr(Path, "mkdir", no_space),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_blob_that_finds_no_room_is_not_there_and_can_be_put_again(
    step: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put(b"before")
    before = files_in(tmp_path)
    with monkeypatch.context() as patch:
        STEPS[step](patch)
        with pytest.raises(NoSpace, match=FULL):
            store.put(b"weights")
    assert not store.has(digest_of(b"weights"))
    assert files_in(tmp_path) == before
    assert store.get(store.put(b"weights")) == b"weights"


@pytest.mark.parametrize("step", STEPS)
def test_a_manifest_that_finds_no_room_is_no_model(
    step: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = make_manifest(store)
    before = files_in(tmp_path)
    with monkeypatch.context() as patch:
        STEPS[step](patch)
        with pytest.raises(NoSpace, match=FULL):
            store.save_manifest(manifest)
    with pytest.raises(ArtefactNotFound):
        store.load_manifest(manifest.digest)
    assert files_in(tmp_path) == before
    assert store.load_manifest(store.save_manifest(manifest)) == manifest


CUT = """
import resource, signal, sys
from models.store import Store
from schemas.errors import NoSpace
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
store = Store(sys.argv[1])
for write in (
    lambda: store.put(b"x" * 100_000),
    lambda: store.put_tuning("sha256:" + "0" * 64, b"x" * 100_000, machine="here"),
    lambda: store.save_checkpoint("job", b"x" * 100_000, step=1),
):
    try:
        write()
    except NoSpace as error:
        print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert store.get(store.put(b"x" * 100_000))
"""


@pytest.mark.parametrize("room", [0, 1, 40_000, 99_999])
def test_the_kernel_that_cuts_a_write_short_leaves_nothing(room: int, tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", CUT, f"file://{tmp_path}/store", str(room)], check=True, capture_output=True, text=True
    )
    lines = found.stdout.splitlines()
    assert len(lines) == 3
    assert all("has no room (File too large): free some" in line for line in lines)
    assert [path.name for path in files_in(tmp_path)] == [digest_of(b"x" * 100_000).removeprefix("sha256:")]


class Bucket(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """An object store that fails at the nth call that writes, as one does when a part of an upload is refused."""

    protocol = "bucket"
    calls = 0
    fails_at = 0
    half = True
    error: OSError = OSError(errno.ENOSPC, "the quota is used up")

    def _write(self) -> None:
        Bucket.calls += 1
        if Bucket.calls == Bucket.fails_at:
            raise Bucket.error

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **more: Any) -> None:
        try:
            self._write()
        except OSError:
            super().pipe_file(path, value[: len(value) // 2], mode, **more)  # the parts that had arrived
            raise
        super().pipe_file(path, value, mode, **more)

    def mv(self, path1: str, path2: str, **more: Any) -> None:
        self._write()
        super().mv(path1, path2, **more)


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    fsspec.register_implementation("bucket", Bucket, clobber=True)
    monkeypatch.setattr(Bucket, "calls", 0)
    monkeypatch.setattr(Bucket, "fails_at", 0)
    monkeypatch.setattr(Bucket, "store", {})
    monkeypatch.setattr(Bucket, "pseudo_dirs", [""])
    yield Store(f"bucket://{uuid4().hex}", cache=tmp_path)


ERRORS = [OSError(errno.ENOSPC, "the quota is used up"), OSError(errno.EIO, "part 3 was refused"), TimeoutError("slow")]


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("nth", [1, 2])
def test_an_upload_that_fails_leaves_nothing_and_can_be_repeated(
    bucket: Store, nth: int, error: OSError, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bucket, "fails_at", nth)
    monkeypatch.setattr(Bucket, "error", error)
    with pytest.raises(NoSpace if error.errno == errno.ENOSPC else Unavailable):
        bucket.put(b"weights" * 100)
    assert Bucket.store == {}
    assert bucket.get(bucket.put(b"weights" * 100)) == b"weights" * 100


def test_a_whole_model_survives_a_failure_at_any_write(bucket: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.save_manifest(make_manifest(bucket))
    total, model = Bucket.calls, make_manifest(bucket).digest
    for nth in range(1, total + 1):
        monkeypatch.setattr(Bucket, "store", {})
        monkeypatch.setattr(Bucket, "calls", 0)
        monkeypatch.setattr(Bucket, "fails_at", nth)
        with pytest.raises(NoSpace):
            bucket.save_manifest(make_manifest(bucket))
        assert not [name for name in Bucket.store if name.endswith(".part")]
        with pytest.raises(ArtefactNotFound):
            bucket.load_manifest(model)
        assert bucket.load_manifest(bucket.save_manifest(make_manifest(bucket))).digest == model


def test_what_was_put_for_nothing_is_taken_back_but_for_what_others_name(store: Store) -> None:
    kept = make_manifest(store)
    store.save_manifest(kept)
    other = Store(store.url)
    alone, shared = other.put(b"nobody's"), other.put(b"another head")
    other.save_manifest(make_manifest(other, label="v2", head=shared))
    other.take_back()
    assert not store.has(alone)
    assert store.has(shared)
    assert all(store.has(blob) for blob in kept.blobs)


def test_the_cache_of_a_remote_store_may_be_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(f"memory://{uuid4().hex}", cache=tmp_path / "cache")
    digest = store.put(b"weights")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_space)
        with pytest.raises(NoSpace, match=f"{tmp_path}/cache has no room"):
            store.local_path(digest)
    assert files_in(tmp_path) == set()
    assert store.local_path(digest).read_bytes() == b"weights"


def test_an_export_keeps_the_old_file_if_there_is_no_room_for_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    export(path, b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_space)
        with pytest.raises(OSError, match="No space left on device") as refusal:
            export(path, b"new")
    assert refusal.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert files_in(tmp_path) == {path}


def test_an_export_follows_a_link_and_writes_into_a_device(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "target")
    export(link, b"content")
    assert link.is_symlink()
    assert (tmp_path / "target").read_bytes() == b"content"
    export(Path("/dev/null"), b"content")
    assert not Path("/dev/null").is_file()


def test_files_have_the_rights_that_others_have(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", b"x")
    (tmp_path / "b").write_bytes(b"x")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode

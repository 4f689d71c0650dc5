"""What happens to files of a store after a model was saved."""

import os
from collections.abc import Callable
from pathlib import Path

from models.manifest import Manifest
from tests.hostile_artefacts.bench import Bench
from tests.models.artefacts import make_manifest


def damaged(name: str, change: Callable[[Path], None]) -> Callable[[Bench], str]:
    """A good model, one file of which is changed in the store afterwards."""

    def put(bench: Bench) -> str:
        manifest = make_manifest(bench.store)
        digest = bench.store.save_manifest(manifest)
        change(bench.blob(_digest_of_part(manifest, name)))
        return digest

    return put


def _digest_of_part(manifest: Manifest, name: str) -> str:
    if name == "head":
        return manifest.head
    return manifest.graphs[name] if name in manifest.graphs else manifest.encoder.files[name]  # type: ignore[index]


def overwritten(path: Path) -> None:
    """Put something else into a file."""
    path.write_bytes(b"x")


def cut_short(path: Path) -> None:
    """Leave half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def linked(target: str) -> Callable[[Path], None]:
    """Put a symbolic link in the place of a file."""

    def change(path: Path) -> None:
        path.unlink()
        path.symlink_to(target)

    return change


def linked_to_its_copy(path: Path) -> None:
    """Put a link to the very content in the place of a file: what it leads to may change at any time."""
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def piped(path: Path) -> None:
    """Put a pipe that nobody writes to in the place of a file."""
    path.unlink()
    os.mkfifo(path)


def enormous(path: Path) -> None:
    """Make a file of terabytes that takes no room."""
    with path.open("r+b") as file:
        os.truncate(file.fileno(), 4 << 40)

"""Where the model store keeps its bytes: folders of this machine, or whatever fsspec reaches.

Every write is under a temporary name first, and whatever fails leaves nothing behind.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import fsspec
from fsspec.implementations.local import LocalFileSystem

from models.files import check_size, regular_file, write_whole
from schemas.errors import DISK_FULL, ArtefactError, ArtefactNotFound, NoSpace, Unavailable
from schemas.urls import without_login


class Storage:
    """Files at a URL.

    Attributes:
        url: Where they are.
        root: What all paths begin with.
        local: Whether they are files of this machine.
    """

    def __init__(self, url: str) -> None:
        """Reach for ``url``; nothing is made there before the first write.

        Raises:
            Unavailable: Nobody knows what to do with such a URL.
        """
        self.url = url
        with unavailable(url):
            self._files, self.root = fsspec.core.url_to_fs(url)
        self.local = isinstance(self._files, LocalFileSystem)

    def exists(self, path: str) -> bool:
        """Whether there is something at ``path``."""
        with unavailable(self.url):
            return bool(self._files.exists(path))

    def list(self, path: str) -> list[str]:
        """Return what is in a folder, sorted, without what is still being written; nothing if it is not there."""
        with unavailable(self.url):
            self._files.invalidate_cache()
            try:
                found = self._files.ls(path, detail=False)
            except FileNotFoundError:
                return []
        return sorted(str(item) for item in found if not str(item).endswith(".part"))

    def read(self, path: str, *, what: str, most_bytes: int | None = None) -> bytes:
        """Return the content of a file.

        Args:
            path: The file.
            what: What it is called in an error.
            most_bytes: The largest that it may be; by default the memory of this machine.

        Raises:
            ArtefactNotFound: It is not there.
            ArtefactCorrupt: It is too large, or no regular file.
        """
        with unavailable(self.url):
            try:
                if self.local:
                    with regular_file(Path(path), most_bytes=most_bytes) as file:
                        return file.read()
                check_size(self._files.size(path) or 0, what=path, most_bytes=most_bytes)
                return bytes(self._files.cat_file(path))
            except FileNotFoundError as error:
                raise ArtefactNotFound(f"got no {what} in {self.url}, expected it to be there") from error

    def write(self, path: str, data: bytes) -> None:
        """Write a file, as a whole or not at all."""
        with unavailable(self.url):
            if self.local:
                write_whole(Path(path), data)
            else:
                self._write_remote(path, data)

    def _write_remote(self, path: str, data: bytes) -> None:
        folder = path.rpartition("/")[0]
        temporary = f"{folder}/{uuid4().hex}.part"
        self._files.makedirs(folder, exist_ok=True)
        try:
            self._files.pipe_file(temporary, data)
            self._files.mv(temporary, path)
        except BaseException:
            with suppress(Exception):  # a store that is away or full may not tidy up either
                self._files.rm_file(temporary)
            raise

    def move(self, path: str, to: str) -> None:
        """Rename a file, if it is there."""
        with unavailable(self.url):
            self._files.makedirs(to.rpartition("/")[0], exist_ok=True)
            with suppress(FileNotFoundError):
                self._files.mv(path, to)

    def remove(self, path: str) -> None:
        """Delete a file, if it is there."""
        with unavailable(self.url):
            try:
                self._files.rm_file(path)
            except FileNotFoundError:
                return
            if path.endswith(".json") and self.local:
                with suppress(OSError):  # something is in it still, or again
                    Path(path).parent.rmdir()


@contextmanager
def unavailable(url: str) -> Iterator[None]:
    """Say of what goes wrong inside that the store at ``url`` does not answer, or is full."""
    try:
        yield
    except (ArtefactError, FileNotFoundError):
        raise
    except (OSError, ValueError, ImportError) as error:
        store = f"the model store at {without_login(url)}"
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            told = f"{store} has no room ({error.strerror or error})"
            raise NoSpace(f"{told}: free some there and try again; nothing half-written is left") from error
        raise Unavailable(f"{store} does not answer: {error}") from error

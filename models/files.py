"""Files of this machine that others may have tampered with, or that a full disk may cut short.

What is read is a regular file of a size that fits: no symbolic link, no device, no pipe that never ends. What is
written is there as a whole or not at all, also after a power cut.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import Final
from uuid import uuid4

from schemas.errors import ArtefactCorrupt

_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""Not to follow a link, and not to wait for somebody who writes into a pipe."""


def memory_bytes() -> int:
    """Return the memory of this machine: no file beyond it can be part of a model."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def regular_file(path: Path, *, most_bytes: int | None = None) -> Iterator[BufferedReader]:
    """Open a file for reading, if it is a regular one.

    Args:
        path: The file.
        most_bytes: The largest size; by default the memory of the machine.

    Raises:
        FileNotFoundError: It is not there.
        ArtefactCorrupt: It is a link, a folder, a device or a pipe, or too large.
    """
    try:
        file = os.fdopen(os.open(path, _FLAGS), "rb")
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK, errno.ENXIO, errno.EISDIR):
            raise ArtefactCorrupt(f"got something that is no file at {path}, expected a regular file") from error
        raise
    with file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            raise ArtefactCorrupt(f"got something that is no file at {path}, expected a regular file")
        check_size(facts.st_size, what=str(path), most_bytes=most_bytes)
        yield file


def check_size(size: int, *, what: str, most_bytes: int | None = None) -> None:
    """Refuse what is too large to be read.

    Raises:
        ArtefactCorrupt: It is larger than ``most_bytes``, by default than the memory of the machine.
    """
    most = memory_bytes() if most_bytes is None else most_bytes
    if size > most:
        raise ArtefactCorrupt(f"got {size} bytes at {what}, expected at most {most}")


def hash_file(path: Path, *, most_bytes: int | None = None) -> str:
    """Return the digest of a file, as ``sha256:<hex>``.

    Raises:
        As ``regular_file``.
    """
    with regular_file(path, most_bytes=most_bytes) as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def write_whole(path: Path, data: bytes) -> None:
    """Write a file under a temporary name, bring it to the disk, and rename it; what fails leaves nothing behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{uuid4().hex}.part")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.filename is None:  # a write does not say where
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def export(path: Path, data: bytes) -> None:
    """Write what somebody asked for: a file as a whole or not at all; a pipe or a device as it is."""
    if path.exists() and not path.is_file():
        path.write_bytes(data)
    else:
        write_whole(path.resolve(), data)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

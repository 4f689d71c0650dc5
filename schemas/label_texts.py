"""The texts that a labels file speaks of, from a folder."""

from collections.abc import Iterable
from errno import EFBIG
from pathlib import Path
from typing import Final

from schemas.codecs.validation import plain

MAX_TEXT_BYTES: Final = 64 * 1024 * 1024
"""Largest text that is read at all; what a topic takes is far less."""


def read_texts(folder: Path, locations: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Return the text of each of ``locations`` that ``folder`` has, and what is wrong with the others that it has.

    Line ends stay as they are, since offsets count them. A byte order mark is no part of the text.
    """
    texts: dict[str, str] = {}
    problems: list[str] = []
    root = folder.resolve()
    for location in dict.fromkeys(locations):
        file = _inside(root, location)
        if file is None:
            problems.append(f"{location[:200]!r}: expected the name of a file in the documents' folder")
            continue
        try:
            if file.is_file():
                texts[location] = decode_text(_read(file))
        except UnicodeDecodeError as error:
            problems.append(f"{plain(location)}: expected text in UTF-8, got other bytes at position {error.start}")
        except OSError as error:
            problems.append(f"{plain(location)}: expected a file that can be read: {error.strerror}")
    return texts, problems


def _read(file: Path) -> bytes:
    if (n_bytes := file.stat().st_size) > MAX_TEXT_BYTES:
        raise OSError(EFBIG, f"it has {n_bytes} bytes, more than {MAX_TEXT_BYTES}")
    return file.read_bytes()


def decode_text(content: bytes) -> str:
    """Return ``content`` of a text file as text: UTF-8, without its byte order mark, line ends as they are."""
    return content.decode("utf-8-sig")


def _inside(root: Path, location: str) -> Path | None:
    try:
        file = (root / location).resolve()
    except (OSError, ValueError, RuntimeError):
        return None
    return file if file.is_relative_to(root) else None

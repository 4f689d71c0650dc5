"""Folders that people name for what a command writes."""

from pathlib import Path


def make_folder(out: Path) -> None:
    """Make the folder, and see before a run of minutes that files can be written there.

    Raises:
        InvalidSettings: If they cannot.
    """
    from tempfile import TemporaryFile

    from schemas.errors import InvalidSettings

    try:
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise InvalidSettings([f"--out {out}: {error.strerror}; expected a folder that can be written to"]) from error

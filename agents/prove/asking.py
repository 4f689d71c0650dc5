"""Has a real model asked before a run, in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

from agents.child_settings import child_settings
from agents.leaving import BAD_SETTINGS
from agents.prove.expected import Corpus, read_corpus
from agents.settings import Settings
from schemas.errors import InvalidInput, LexstreamError


def asked(settings: Settings, model: str, folder: Path) -> Corpus:
    """Return texts, and what the bare engine says of them; the model is in the run's store then.

    Args:
        settings: Say where the model is, and how it is to be run.
        model: ``PROJECT/LABEL``, or a digest.
        folder: Of the run.

    Raises:
        InvalidInput: No model has this name, or several have.
        LexstreamError: The model cannot be asked: it is damaged or does not answer, or there is no such digest.
    """
    corpus = folder / "corpus.json"
    given = {
        "settings": child_settings(settings),
        "model": model,
        "store": store_url(folder),
        "corpus": str(corpus),
    }
    program = [sys.executable, "-m", "agents.prove.real"]
    done = subprocess.run(program, input=json.dumps(given, default=str), capture_output=True, text=True, check=False)
    said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    if done.returncode == BAD_SETTINGS:
        raise InvalidInput([said])
    if done.returncode:
        raise LexstreamError(f"the model {model} could not be asked: {said}")
    return read_corpus(corpus)


def store_url(folder: Path) -> str:
    """Return the store of a run: its own, since what is left of murders is tidied up there."""
    return (folder / "store").as_uri()

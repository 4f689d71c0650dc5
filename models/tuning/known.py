"""What is known of how a model runs, without loading anything that could run it."""

from pydantic import ValidationError

from models.plans import Tuning
from models.store import Store


def read_tuning(data: bytes) -> Tuning | None:
    """Return a stored tuning; one that cannot be read is as good as none, since it can be measured again."""
    try:
        return Tuning.model_validate_json(data)
    except ValidationError:
        return None


def tunings_of(store: Store, digest: str) -> list[Tuning]:
    """Return what was measured of a model: where it was trained first, then on other machines.

    Raises:
        ArtefactError: There is no such model, or its manifest is damaged.
        Unavailable: The store does not answer.
    """
    trained = store.load_manifest(digest).tuning
    stored = [tuning for tuning in map(read_tuning, store.tunings(digest)) if tuning is not None]
    elsewhere = [tuning for tuning in stored if trained is None or tuning.machine.key != trained.machine.key]
    return elsewhere if trained is None else [trained, *elsewhere]

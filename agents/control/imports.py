"""Reading a bundle of labels from the store and checking it. Blocking; knows nothing of Kafka."""

from collections.abc import Collection
from typing import Any, Final, Protocol

import orjson

from agents.control.decision import Labels
from agents.control.projects import Import
from schemas.base import now
from schemas.commands import ImportLabelsCommand
from schemas.errors import ArtefactError, InvalidLabels
from schemas.label_checks import check_labels
from schemas.label_set import LabelSet, documents_of
from schemas.labels import LabelledDocument
from schemas.labels_file import parse_labels_file
from schemas.records import ProjectRecord

_OVERHEAD_BYTES: Final = 16 * 1024
"""What Kafka counts beside the value: key, headers, batch."""


class Blobs(Protocol):
    """What of the model store is used."""

    def get(self, digest: str) -> bytes:
        """Return a blob."""


def read_import(
    store: Blobs,
    command: ImportLabelsCommand,
    project: ProjectRecord,
    there: Collection[str],
    *,
    largest_bytes: int,
) -> Import:
    """Return what an import makes of ``project``, or everything that is wrong with its bundle.

    Args:
        store: Where the bundle is.
        command: Names the bundle.
        project: The project as it is.
        there: Ids of the documents that it has now.
        largest_bytes: Largest message that the labels topic takes.

    Raises:
        Unavailable: If the store does not answer.
    """
    try:
        labels = _label_set(store.get(command.parameters.bundle))
    except ArtefactError as error:
        return Import(problems=(f"bundle: {error}; expected it to be put into the store before the command",))
    except InvalidLabels as error:
        return Import(problems=tuple(error.problems))
    found = check_labels(labels, kind=project.kind)
    if found.problems:
        return Import(problems=tuple(found.problems))
    documents = documents_of(labels, project=project.name)
    if too_large := _too_large(documents, largest_bytes):
        return Import(problems=tuple(too_large))
    written = {document.id for document in documents}
    return Import(
        project=_project_after(project, labels, documents),
        labels=Labels(documents=documents, removed=sorted(set(there) - written)),
        warnings=tuple(found.warnings),
    )


def _label_set(bundle: bytes) -> LabelSet:
    try:
        content = orjson.loads(bundle)
    except orjson.JSONDecodeError as error:
        raise InvalidLabels(
            [f"bundle: got {len(bundle)} bytes that are no JSON ({error}), expected an object"]
        ) from error
    texts = content.get("documents") if isinstance(content, dict) else None
    if not isinstance(texts, dict) or "labelsFile" not in content:
        raise InvalidLabels(["bundle: expected an object with labelsFile and documents (a text for each location)"])
    problems = [
        f"bundle: documents[{name!r}]: expected text" for name, text in texts.items() if not isinstance(text, str)
    ]
    return parse_labels_file(orjson.dumps(content["labelsFile"])).with_texts(
        {name: text for name, text in texts.items() if isinstance(text, str)}, problems
    )


def _too_large(documents: list[LabelledDocument], largest_bytes: int) -> list[str]:
    sizes = [(document, len(orjson.dumps(document.payload()))) for document in documents]
    return [
        f"documents[{document.position}] {document.id!r}: got {size} bytes, expected at most "
        f"{largest_bytes - _OVERHEAD_BYTES} (setting max_message_bytes)"
        for document, size in sizes
        if size > largest_bytes - _OVERHEAD_BYTES
    ]


def _project_after(project: ProjectRecord, labels: LabelSet, documents: list[LabelledDocument]) -> ProjectRecord:
    changes: dict[str, Any] = {
        "categories": list(labels.categories),
        "n_documents": len(documents),
        "n_labelled": sum(1 for document in documents if document.regions or document.classes),
        "updated_at": now(),
    }
    if said := labels.envelope:
        changes |= {
            "language": said.language,
            "multilingual": said.multilingual,
            "description": said.description,
            "confidence_threshold": said.confidence_threshold,
            "storage_container": said.storage_container,
        }
    return project.model_copy(update=changes)

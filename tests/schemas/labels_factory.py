"""Small labels files to begin a test from."""

from typing import Any

import orjson

from schemas.label_set import LabelSet
from schemas.labels_file import parse_labels_file

TEXT = "Ann 🙂 owes Bob\r\n$5 !"


def label(category: str = "Person", offset: int = 0, length: int = 3) -> dict[str, Any]:
    return {"category": category, "offset": offset, "length": length}


def region(*labels: dict[str, Any], offset: int = 0, length: int = 21) -> dict[str, Any]:
    return {"regionOffset": offset, "regionLength": length, "labels": list(labels)}


def entity_document(location: str, *regions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"location": location, "language": "en-us", "entities": list(regions)} | more


def azure_file(kind: str, categories: list[str], documents: list[Any], **metadata: Any) -> dict[str, Any]:
    return {
        "projectFileVersion": "2022-05-01",
        "stringIndexType": "Utf16CodeUnit",
        "metadata": {
            "projectKind": kind,
            "storageInputContainerName": "container",
            "projectName": "small",
            "multilingual": False,
            "description": "A small one",
            "language": "en",
            "settings": {},
        }
        | metadata,
        "assets": {
            "projectKind": kind,
            ("entities" if "Entity" in kind else "classes"): [{"category": category} for category in categories],
            "documents": documents,
        },
    }


def entity_file(*documents: dict[str, Any], n_documents: int = 10) -> dict[str, Any]:
    rest = [entity_document(f"{i:02}.txt", region(label())) for i in range(len(documents), n_documents)]
    return azure_file("CustomEntityRecognition", ["Person", "Amount"], [*documents, *rest])


def class_file(kind: str, *documents: dict[str, Any]) -> dict[str, Any]:
    return azure_file(kind, ["bug", "wish"], list(documents))


def label_set(file: dict[str, Any], text: str = TEXT) -> LabelSet:
    labels = parse_labels_file(orjson.dumps(file))
    return labels.with_texts({document.id: text for document in labels.documents})

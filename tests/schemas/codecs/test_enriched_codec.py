from typing import Any, cast

import orjson
import pytest

from schemas.codecs.codec import EnrichedCodec, Format
from schemas.enriched import EnrichedDocument, TaskResult
from schemas.errors import DecodeError, EncodeError, InvalidEvent

FORMATS: list[Format] = ["json", "avro"]


def result(**parts: Any) -> TaskResult:
    return cast(
        "TaskResult",
        {
            "project": "loans",
            "deployment": "production",
            "kind": "CustomEntityRecognition",
            "model": {"label": "v3", "digest": "sha256:" + "a" * 64},
            "warnings": [],
        }
        | parts,
    )


def entity(score: float = 0.97) -> dict[str, Any]:
    return {"text": "$12,000", "category": "LoanAmount", "offset": 4, "length": 7, "confidenceScore": score}


def document(*results: TaskResult, **parts: Any) -> EnrichedDocument:
    return cast(
        "EnrichedDocument",
        {
            "id": "loan-17",
            "text": "Pay $12,000 🙂",
            "language": "en",
            "metadata": {"any": {"json": [1, None]}},
            "stringIndexType": "UnicodeCodePoint",
            "source": {
                "topic": "lexstream.documents",
                "partition": 2,
                "offset": 2**40,
                "timestamp": "2026-01-05T10:00:00.123Z",
            },
            "results": list(results),
            "errors": [],
            "enrichedAt": "2026-01-05T10:00:00.456Z",
        }
        | parts,
    )


def without_text() -> EnrichedDocument:
    made = document(result(entities=[entity()]))
    del made["text"]
    return made


DOCUMENTS = {
    "entities": document(result(entities=[entity(), entity(0.0)], warnings=["language de: trained on en"])),
    "no entities": document(result(entities=[])),
    "one class": document(
        result(
            kind="CustomSingleLabelClassification",
            classes=[{"category": "billing", "confidenceScore": 1.0}],
        )
    ),
    "no class reached its threshold": document(result(kind="CustomMultiLabelClassification", classes=[])),
    "two tasks": document(result(entities=[]), result(kind="CustomMultiLabelClassification", classes=[])),
    "a failed task": document(
        errors=[{"code": "DeploymentNotFound", "message": "no such", "project": "p", "deployment": "d"}]
    ),
    "without text": without_text(),
    "without language": document(language=None, metadata={}),
}


@pytest.mark.parametrize("written", FORMATS)
@pytest.mark.parametrize("made", DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_document_survives_the_round_trip(made: EnrichedDocument, written: Format) -> None:
    assert EnrichedCodec().decode(EnrichedCodec(written).encode(made)) == made


def test_json_is_what_the_contract_says() -> None:
    made = DOCUMENTS["entities"]
    assert orjson.loads(EnrichedCodec().encode(made)) == made


def test_avro_of_yesterday_still_decodes() -> None:
    value = bytes.fromhex(
        "000000000202700000047b7d0202740204047469020270026402027602730002020263000000000000e03f00000000027a"
    )
    assert EnrichedCodec().decode(value) == YESTERDAY


YESTERDAY: EnrichedDocument = {
    "id": "p",
    "language": None,
    "metadata": {},
    "stringIndexType": "Utf16CodeUnit",
    "source": {"topic": "t", "partition": 1, "offset": 2, "timestamp": "ti"},
    "results": [
        {
            "project": "p",
            "deployment": "d",
            "kind": "CustomSingleLabelClassification",
            "model": {"label": "v", "digest": "s"},
            "classes": [{"category": "c", "confidenceScore": 0.5}],
            "warnings": [],
        }
    ],
    "errors": [],
    "enrichedAt": "z",
}


@pytest.mark.parametrize("written", FORMATS)
@pytest.mark.parametrize("score", [float("nan"), float("inf"), -0.1, 1.1])
def test_a_confidence_that_is_none_is_not_written(score: float, written: Format) -> None:
    with pytest.raises(EncodeError, match="loans/production: expected a confidence between 0 and 1"):
        EnrichedCodec(written).encode(document(result(entities=[entity(score)])))


@pytest.mark.parametrize("written", FORMATS)
@pytest.mark.parametrize("parts", [{"text": "\ud83d"}, {"metadata": {1: object()}}, {"source": {"topic": object()}}])
def test_what_cannot_be_written_is_an_encode_error(parts: dict[str, Any], written: Format) -> None:
    with pytest.raises(EncodeError):
        EnrichedCodec(written).encode(document(**parts))


def test_fields_of_a_newer_writer_are_left_out() -> None:
    made = DOCUMENTS["entities"]
    assert EnrichedCodec().decode(orjson.dumps({**made, "shadow": {"of": "things"}})) == made


def test_missing_fields_are_named() -> None:
    with pytest.raises(InvalidEvent, match="id: expected a value, got nothing"):
        EnrichedCodec().decode(b"{}")


def test_a_deleted_record_is_a_decode_error() -> None:
    with pytest.raises(DecodeError, match="null value"):
        EnrichedCodec().decode(None)

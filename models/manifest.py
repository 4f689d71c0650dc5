"""The manifest of an artefact: everything a model is, with the digests of the blobs that it is made of."""

import hashlib
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import Field, StringConstraints, ValidationError, model_validator

from models.plans import Plan, Tuning
from schemas.base import Message
from schemas.enriched import ClassScore, Entity
from schemas.errors import ArtefactCorrupt
from schemas.names import Digest, Kind

Fraction = Annotated[float, Field(ge=0, le=1)]
GraphName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,40}$")]

WEIGHTS: Final = "model.safetensors"
CONFIG: Final = "config.json"
TOKENIZER: Final = "tokenizer.json"
_PROBLEMS_TOLD: Final = 3
_SINCE_FORMAT_2: Final = frozenset({"plan", "tuning", "tuningSet"})


def digest_of(data: bytes) -> str:
    """Return the digest of ``data``, as ``sha256:<hex>``."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class EncoderManifest(Message):
    """The encoder: its facts, and the digests of ``model.safetensors``, ``config.json`` and ``tokenizer.json``.

    ``maxTokens`` is what its positions allow, special tokens included.
    """

    name: str
    licence: str = ""
    hidden_size: Annotated[int, Field(ge=1)]
    max_tokens: Annotated[int, Field(ge=8)]
    files: dict[Literal["model.safetensors", "config.json", "tokenizer.json"], Digest]


class Decoding(Message):
    """How documents become segments, and logits become spans or classes.

    ``maxTokens`` of a segment includes the two special tokens; ``overlap`` is in tokens. ``decoder`` and ``pooling``
    are explained where they are implemented, in ``models.decoding``.
    """

    max_tokens: Annotated[int, Field(ge=8)] = 256
    overlap: Annotated[int, Field(ge=0)] = 64
    decoder: Literal["type", "viterbi"] = "type"
    pooling: Literal["mean", "unitMean"] = "mean"


class DatasetFacts(Message):
    """What a model was trained and tested on."""

    digest: Digest
    n_documents: int
    n_train: int
    n_test: int


class SelfTest(Message):
    """A text and what the model said of it when it was made: ``entities`` or ``classes``."""

    text: str
    entities: list[Entity] | None = None
    classes: list[ClassScore] | None = None


class Manifest(Message):
    """Everything a model is. Its digest is the model's digest.

    ``plan`` and ``tuning`` are of the machine that it was trained on; ``tuningSet`` is what another one needs to find
    a plan of its own: held-out documents, and what FP32 says of them (``models.tuning.examples``).

    Format 1 has none of them but a ``backend``, and in ``backends`` how fast each was. It is read as a plan of one
    thread and no tuning, and written as it was, so that the model keeps its digest.
    """

    format_version: Literal[1, 2] = 2
    project: str
    label: str
    kind: Kind
    categories: Annotated[list[str], Field(min_length=1)]
    language: str
    multilingual: bool = False
    confidence_threshold: Fraction | None = None
    encoder: EncoderManifest
    graphs: dict[GraphName, Digest] = {}
    head: Digest
    decoding: Decoding = Decoding()
    temperature: Annotated[float, Field(ge=0.001, le=1000)] = 1.0
    thresholds: dict[str, Fraction] = {}
    plan: Plan
    tuning: Tuning | None = None
    tuning_set: Digest | None = None
    backends: list[dict[str, Any]] = []
    dataset: DatasetFacts | None = None
    split: dict[str, Any] = {}
    seed: int = 0
    hyperparameters: dict[str, Any] = {}
    versions: dict[str, str] = {}
    metrics: dict[str, float] = {}
    evaluation: Digest | None = None
    self_test: list[SelfTest] = []

    @model_validator(mode="before")
    @classmethod
    def _of_format_1(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("formatVersion") != 1 or "plan" in data or "backend" not in data:
            return data
        return data | {"plan": {"backend": data["backend"]}}

    def canonical(self) -> bytes:
        """Return the bytes that are stored and whose hash is the model's digest."""
        facts = self.payload()
        if self.format_version == 1:
            facts = {name: fact for name, fact in facts.items() if name not in _SINCE_FORMAT_2}
            facts["backend"] = self.backend
        else:
            del facts["backends"]
        return orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)

    @property
    def digest(self) -> str:
        """The model's digest."""
        return digest_of(self.canonical())

    @property
    def backend(self) -> str:
        """The backend that serves it where it was trained."""
        return self.plan.backend

    @property
    def blobs(self) -> frozenset[str]:
        """Digests of everything the model needs, its evaluation and tuning set included."""
        own = {self.head, *self.graphs.values(), *self.encoder.files.values()}
        return frozenset(own | {digest for digest in (self.evaluation, self.tuning_set) if digest is not None})


def read_manifest(data: bytes, *, digest: str) -> Manifest:
    """Return the manifest in ``data``.

    Args:
        data: What was stored, with this digest.
        digest: The model's.

    Raises:
        ArtefactCorrupt: It is no manifest, one of a format that this version does not know, or says what this version
            would not write: then the digest of what is served would be another one.
    """
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError as error:
        raise ArtefactCorrupt(f"got a manifest {digest} that this version cannot read: {_problems(error)}") from error
    if manifest.digest != digest:
        raise ArtefactCorrupt(
            f"got a manifest {digest} with fields that this version does not write, expected those of format "
            f"{manifest.format_version} and no other: serve it with the version that trained it"
        )
    return manifest


def _problems(error: ValidationError) -> str:
    """Say in one line what is wrong; a format that is not known is all there is to say."""
    found = error.errors(include_input=True, include_url=False)
    for each in found:
        if each["loc"] == ("formatVersion",):
            return f"got format {str(each['input'])[:20]!r}, expected 1 or 2: update Lexstream"
    told = [f"{'.'.join(map(str, each['loc'])) or 'manifest'}: {each['msg']}" for each in found[:_PROBLEMS_TOLD]]
    return "; ".join(told) + (f"; and {len(found) - len(told)} more" if len(found) > len(told) else "")

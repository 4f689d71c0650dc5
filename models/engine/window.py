"""One window through the models: tokens once, one forward pass an encoder and segment, several heads."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

from models.engine.backend import Floats
from models.engine.loading import LoadedModel
from models.engine.microbatch import pack, stack
from models.engine.readers import Document, Prediction, Reader, reader_of
from models.segments import Segment, cut

Observe = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Request:
    """A document and the models that it is asked of."""

    text: str
    models: tuple[LoadedModel, ...]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A segment on its way through the encoder, and who waits for it."""

    document: Document
    segment: Segment
    readers: tuple[Reader, ...]


_Passage = tuple[str, int, int]
"""Models of one passage share forward passes: the same encoder, segment length and overlap."""


def answer(requests: Sequence[Request], *, max_padded_tokens: int, observe: Observe) -> list[list[Prediction]]:
    """Return for each request, in order, what each of its models says.

    Raises:
        Exception: Whatever a library raises; then nothing of the window is answered.
    """
    with _timed(observe, "tokenise"):
        documents = _documents(requests)
    with _timed(observe, "segment"):
        readers = [_readers(request, documents) for request in requests]
        passages = _passages(requests, documents, readers)
    for model, pieces in passages:
        _forward(model, pieces, max_padded_tokens=max_padded_tokens, observe=observe)
    with _timed(observe, "decode"):
        return [[reader.result() for reader in of_request] for of_request in readers]


def _documents(requests: Sequence[Request]) -> dict[tuple[str, str], Document]:
    """Each text once for each tokenizer, by the tokenizer's digest and the text."""
    tokenizers = {model.parts.tokenizer: model.tokenizer for request in requests for model in request.models}
    texts: dict[str, dict[str, None]] = defaultdict(dict)
    for request in requests:
        for model in request.models:
            texts[model.parts.tokenizer][request.text] = None
    return {
        (digest, text): Document(text, tokens)
        for digest, of_tokenizer in texts.items()
        for text, tokens in zip(of_tokenizer, tokenizers[digest].encode(list(of_tokenizer)), strict=True)
    }


def _readers(request: Request, documents: dict[tuple[str, str], Document]) -> list[Reader]:
    return [reader_of(model, documents[model.parts.tokenizer, request.text]) for model in request.models]


def _passages(
    requests: Sequence[Request], documents: dict[tuple[str, str], Document], readers: Sequence[Sequence[Reader]]
) -> list[tuple[LoadedModel, list[_Piece]]]:
    """What each encoder has to read: a model that knows the encoder, and the pieces."""
    waiting: dict[_Passage, dict[str, list[Reader]]] = defaultdict(lambda: defaultdict(list))
    knows: dict[_Passage, LoadedModel] = {}
    for request, of_request in zip(requests, readers, strict=True):
        for model, reader in zip(request.models, of_request, strict=True):
            passage = _passage(model)
            knows[passage] = model
            waiting[passage][request.text].append(reader)
    return [
        (
            knows[passage],
            [
                piece
                for text, of_text in texts.items()
                for piece in _pieces(documents[knows[passage].parts.tokenizer, text], passage, tuple(of_text))
            ],
        )
        for passage, texts in waiting.items()
    ]


def _passage(model: LoadedModel) -> _Passage:
    decoding = model.manifest.decoding
    return f"{model.parts.encoder} {model.parts.tokenizer}", decoding.max_tokens, decoding.overlap


def _pieces(document: Document, passage: _Passage, readers: tuple[Reader, ...]) -> Iterator[_Piece]:
    for segment in cut(document.tokens, document.text, max_tokens=passage[1], overlap=passage[2]):
        yield _Piece(document, segment, readers)


def _forward(model: LoadedModel, pieces: Sequence[_Piece], *, max_padded_tokens: int, observe: Observe) -> None:
    lengths = [piece.segment.end - piece.segment.start for piece in pieces]
    for batch in pack(lengths, max_padded_tokens=max_padded_tokens):
        for part, hidden in _encoded(model, [pieces[at] for at in batch], observe=observe):
            with _timed(observe, "head"):
                _hand_out(part, hidden)


def _encoded(
    model: LoadedModel, batch: Sequence[_Piece], *, observe: Observe
) -> Iterator[tuple[Sequence[_Piece], Floats]]:
    """Run a micro-batch; one that does not fit the memory is halved, and goes on."""
    tokenizer = model.tokenizer
    ids, mask = stack(
        [piece.document.tokens.ids[piece.segment.start : piece.segment.end] for piece in batch],
        cls_id=tokenizer.cls_id,
        sep_id=tokenizer.sep_id,
        pad_id=tokenizer.pad_id,
        max_tokens=model.manifest.encoder.max_tokens,
    )
    try:
        with _timed(observe, "forward"):
            hidden = model.backend.encode(ids, mask)
    except MemoryError:
        if len(batch) == 1:
            raise
        middle = len(batch) // 2
        yield from _encoded(model, batch[:middle], observe=observe)
        yield from _encoded(model, batch[middle:], observe=observe)
    else:
        yield batch, hidden


def _hand_out(batch: Sequence[_Piece], hidden: Floats) -> None:
    for piece, states in zip(batch, hidden, strict=True):
        segment = piece.segment
        first = segment.keep_start - segment.start + 1  # after the special token
        kept = states[first : first + segment.keep_end - segment.keep_start]
        for reader in piece.readers:
            reader.read(segment, kept)


@contextmanager
def _timed(observe: Observe, stage: str) -> Iterator[None]:
    start = perf_counter()
    try:
        yield
    finally:
        observe(stage, perf_counter() - start)

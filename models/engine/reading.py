"""A window on its way through the models: tokens once, one forward pass an encoder and segment, several heads."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Semaphore
from time import perf_counter

from models.engine.backend import Floats
from models.engine.loading import LoadedModel
from models.engine.microbatch import budget, pack_tightly, stack
from models.engine.readers import Document, Prediction, Reader, reader_of
from models.segments import Segment, cut
from models.tokenization import Tokenizer
from schemas.errors import ModelError, forget_frames

Observe = Callable[[str, float], None]
Answer = list[Prediction] | ModelError


@dataclass(frozen=True, slots=True)
class Request:
    """A document and the models that it is asked of."""

    text: str
    models: tuple[LoadedModel, ...]


class _Asked:
    """One model's reading of one document, until it breaks."""

    __slots__ = ("error", "reader")

    def __init__(self, reader: Reader | None, error: ModelError | None = None) -> None:
        self.reader = reader
        self.error = error


@dataclass(frozen=True, slots=True)
class _Piece:
    """A segment on its way through the encoder, and who waits for it."""

    document: Document
    segment: Segment
    asked: tuple[_Asked, ...]


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Pieces that take one forward pass; ``model`` is one that knows the encoder."""

    model: LoadedModel
    pieces: tuple[_Piece, ...]

    def halves(self) -> "tuple[MicroBatch, MicroBatch]":
        """Return the micro-batch as two."""
        middle = len(self.pieces) // 2
        return MicroBatch(self.model, self.pieces[:middle]), MicroBatch(self.model, self.pieces[middle:])

    def alive(self) -> "MicroBatch":
        """Return what somebody still waits for."""
        waiting = tuple(piece for piece in self.pieces if any(asked.error is None for asked in piece.asked))
        return self if len(waiting) == len(self.pieces) else MicroBatch(self.model, waiting)


_Passage = tuple[str, int, int]
"""Models of one passage share forward passes: the same encoder, segment length and overlap."""


class Reading:
    """Requests between being asked and being answered. First ``prepare``, then ``run`` each of ``batches``.

    Several threads may run micro-batches at the same time. Whatever a library raises is the answer of the documents
    that it is about; their neighbours are answered.
    """

    def __init__(self, requests: Sequence[Request], *, observe: Observe) -> None:
        """Begin with what is asked; ``observe`` is called with stages and their seconds."""
        self._requests = requests
        self._observe = observe
        self._asked: list[list[_Asked]] = []
        self.batches: deque[MicroBatch] = deque()

    def prepare(self) -> None:
        """Tokenise, cut into segments, and pack micro-batches."""
        with self._timed("tokenise"):
            documents = self._documents()
        with self._timed("segment"):
            self._asked = [
                [_asked(model, documents, request.text) for model in request.models] for request in self._requests
            ]
            for model, pieces in self._passages():
                lengths = [piece.segment.end - piece.segment.start for piece in pieces]
                plan = model.backend.plan
                most = budget(lengths, streams=plan.streams, max_padded_tokens=plan.max_padded_tokens)
                for batch in pack_tightly(lengths, max_padded_tokens=most):
                    self.batches.append(MicroBatch(model, tuple(pieces[at] for at in batch)))

    def run(self, batch: MicroBatch, *, freed: Callable[[], None] | None = None) -> None:
        """Take a micro-batch through its encoder and heads.

        One that breaks, or does not fit the memory, is halved and goes on, until what breaks is alone.

        Args:
            batch: One of ``batches``.
            freed: For whoever holds one of the encoder's permits already: called when it is given back. Without it,
                a permit is waited for.
        """
        permits, batch = batch.model.permits, batch.alive()
        try:
            with _permitted(permits, freed):
                hidden = self._encoded(batch) if batch.pieces else None
            if hidden is not None:
                with self._timed("head"):
                    _hand_out(batch.pieces, hidden)
        except Exception as error:
            if len(batch.pieces) == 1:
                _fail(batch.pieces[0].asked, error)
                return
            for half in batch.halves():
                self.run(half)

    def answers(self) -> list[Answer]:
        """Return what the models say of each document, in the order of the requests, after all batches were run."""
        with self._timed("decode"):
            return [_answer(asked) for asked in self._asked]

    def _documents(self) -> dict[tuple[str, str], Document | ModelError]:
        """Each text once for each tokenizer, by the tokenizer's digest and the text."""
        tokenizers = {model.parts.tokenizer: model.tokenizer for request in self._requests for model in request.models}
        texts: dict[str, dict[str, None]] = defaultdict(dict)
        for request in self._requests:
            for model in request.models:
                texts[model.parts.tokenizer][request.text] = None
        return {
            (digest, text): document
            for digest, of_tokenizer in texts.items()
            for text, document in zip(of_tokenizer, _tokenised(tokenizers[digest], list(of_tokenizer)), strict=True)
        }

    def _passages(self) -> Iterator[tuple[LoadedModel, list[_Piece]]]:
        """What each encoder has to read: a model that knows the encoder, and the pieces."""
        waiting: dict[_Passage, dict[str, list[_Asked]]] = defaultdict(lambda: defaultdict(list))
        knows: dict[_Passage, LoadedModel] = {}
        for request, of_request in zip(self._requests, self._asked, strict=True):
            for model, asked in zip(request.models, of_request, strict=True):
                if asked.reader is not None:
                    passage = _passage(model)
                    knows[passage] = model
                    waiting[passage][request.text].append(asked)
        for passage, texts in waiting.items():
            yield knows[passage], [piece for asked in texts.values() for piece in _pieces(passage, tuple(asked))]

    def _encoded(self, batch: MicroBatch) -> Floats:
        tokenizer = batch.model.tokenizer
        ids, mask = stack(
            [piece.document.tokens.ids[piece.segment.start : piece.segment.end] for piece in batch.pieces],
            cls_id=tokenizer.cls_id,
            sep_id=tokenizer.sep_id,
            pad_id=tokenizer.pad_id,
            max_tokens=batch.model.manifest.encoder.max_tokens,
        )
        with self._timed("forward"):
            return batch.model.backend.encode(ids, mask)

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        start = perf_counter()
        try:
            yield
        finally:
            self._observe(stage, perf_counter() - start)


@contextmanager
def _permitted(permits: Semaphore, freed: Callable[[], None] | None) -> Iterator[None]:
    if freed is None:
        permits.acquire()
    try:
        yield
    finally:
        permits.release()
        if freed is not None:
            freed()


def _tokenised(tokenizer: Tokenizer, texts: Sequence[str]) -> list[Document | ModelError]:
    try:
        return [Document(text, tokens) for text, tokens in zip(texts, tokenizer.encode(texts), strict=True)]
    except Exception as error:
        if len(texts) == 1:
            return [_refused(error)]
        return [document for text in texts for document in _tokenised(tokenizer, [text])]


def _asked(model: LoadedModel, documents: dict[tuple[str, str], Document | ModelError], text: str) -> _Asked:
    document = documents[model.parts.tokenizer, text]
    if isinstance(document, ModelError):
        return _Asked(None, document)
    try:
        return _Asked(reader_of(model, document))
    except Exception as error:
        return _Asked(None, _refused(error))


def _passage(model: LoadedModel) -> _Passage:
    decoding = model.manifest.decoding
    return f"{model.parts.encoder} {model.parts.tokenizer}", decoding.max_tokens, decoding.overlap


def _pieces(passage: _Passage, asked: tuple[_Asked, ...]) -> Iterator[_Piece]:
    reader = asked[0].reader
    if reader is None:
        raise AssertionError("a document without tokens has no pieces")
    document = reader.document
    try:
        segments = cut(document.tokens, document.text, max_tokens=passage[1], overlap=passage[2])
    except Exception as error:
        _fail(asked, error)
        return
    for segment in segments:
        yield _Piece(document, segment, asked)


def _hand_out(pieces: Sequence[_Piece], hidden: Floats) -> None:
    for piece, states in zip(pieces, hidden, strict=True):
        segment = piece.segment
        first = segment.keep_start - segment.start + 1  # after the special token
        kept = states[first : first + segment.keep_end - segment.keep_start]
        for asked in piece.asked:
            if asked.reader is not None:
                asked.reader.read(segment, kept)


def _fail(asked: Sequence[_Asked], error: Exception) -> None:
    for each in asked:
        each.error = each.error or _refused(error)


def _answer(asked: Sequence[_Asked]) -> Answer:
    try:
        return [_result(each) for each in asked]
    except Exception as error:
        return _refused(error)


def _result(asked: _Asked) -> Prediction:
    if asked.error is not None or asked.reader is None:
        raise asked.error or ModelError("the document was not read")
    return asked.reader.result()


def _refused(error: Exception) -> ModelError:
    """Say what broke, but not the library's own words: they may quote the document."""
    refusal = error
    if not isinstance(refusal, ModelError):
        refusal = ModelError(f"the model broke on this document with {type(error).__name__}, expected an answer")
        refusal.__cause__ = error
    forget_frames(refusal)  # they hold the model, and what they hold holds the error
    return refusal

"""One plan on a bench: documents through a real engine, as a worker would send them."""

from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from time import perf_counter
from types import TracebackType
from typing import Final, Self

from models.engine.engine import Answer, Engine, Prediction, Request
from models.manifest import Manifest
from models.plans import Plan
from models.store import Store
from schemas.errors import ModelError

CPU_WINDOW: Final = (1024, 8192)
GPU_WINDOW: Final = (131_072, 262_144)
"""Tokens of the first window, and of the largest. In between a window takes half a second: some encoders are slow."""
_WINDOW_S: Final = 0.5
_WINDOW_DOCUMENTS: Final = 256
_IN_FLIGHT: Final = 2


@dataclass(frozen=True)
class Round:
    """What came of one round: speeds, and the answers to the first documents, in their order."""

    tokens_per_s: float
    documents_per_s: float
    answers: Sequence[Prediction]


@dataclass
class _Tally:
    """What was sent and read so far in a round."""

    started: float = field(default_factory=perf_counter)
    n_sent: int = 0
    n_read: int = 0
    n_tokens: int = 0
    answers: list[Prediction] = field(default_factory=list)

    @property
    def elapsed_s(self) -> float:
        return max(perf_counter() - self.started, 1e-9)

    @property
    def tokens_per_s(self) -> float:
        return self.n_tokens / self.elapsed_s


_Sent = tuple[list[int], "Future[list[Answer]]"]


class Bench:
    """A plan that is loaded and warm. A context manager: leaving it drops the model."""

    def __init__(
        self,
        manifest: Manifest,
        plan: Plan,
        texts: Sequence[str],
        *,
        store: Store,
        window_tokens: tuple[int, int] = CPU_WINDOW,
    ) -> None:
        """Load a model as planned.

        Raises:
            LexstreamError: It cannot run that way.
        """
        self.plan = plan
        self._texts = texts
        self._fewest_tokens, self._most_tokens = window_tokens
        self._engine = Engine(store, plan_of=lambda _: plan)
        self._model = self._engine.load_draft(manifest)
        self._lengths = [len(tokens) for tokens in self._model.tokenizer.encode(texts)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop the model."""
        self._engine.close()

    def run(self, *, n_documents: int = 0, at_least_s: float = 0.0, at_most_s: float = float("inf")) -> Round:
        """Send window after window, two at a time, and return how fast they were read.

        Args:
            n_documents: Read at least so many; the documents come again and again.
            at_least_s: Go on at least so long.
            at_most_s: Begin no window after this time, whatever else was asked for.

        Raises:
            ModelError: The model broke on a document.
        """
        tally = _Tally()
        waiting: deque[_Sent] = deque()
        while not tally.n_sent or (
            tally.elapsed_s < at_most_s and (tally.n_sent < n_documents or tally.elapsed_s < at_least_s)
        ):
            window = self._window(tally)
            waiting.append((window, self._submit(window)))
            tally.n_sent += len(window)
            if len(waiting) == _IN_FLIGHT:
                self._collect(waiting.popleft(), tally)
        while waiting:
            self._collect(waiting.popleft(), tally)
        seconds = tally.elapsed_s
        return Round(tally.n_tokens / seconds, tally.n_read / seconds, tally.answers[:n_documents])

    def _window(self, tally: _Tally) -> list[int]:
        """The next documents, from the first again after the last."""
        size = min(max(self._fewest_tokens, tally.tokens_per_s * _WINDOW_S), self._most_tokens)
        window: list[int] = []
        n_tokens = 0
        while n_tokens < size and len(window) < max(_WINDOW_DOCUMENTS, size // self._fewest_tokens):
            window.append((tally.n_sent + len(window)) % len(self._texts))
            n_tokens += self._lengths[window[-1]] + 1
        return window

    def _submit(self, window: list[int]) -> "Future[list[Answer]]":
        # The same text twice in a window is read once. Spaces make a copy another text, of the same tokens.
        copies: Counter[str] = Counter()
        requests = []
        for text in (self._texts[at] for at in window):
            requests.append(Request(text + " " * copies[text], (self._model,)))
            copies[text] += 1
        return self._engine.submit(requests)

    def _collect(self, sent: _Sent, tally: _Tally) -> None:
        window, future = sent
        for answer in future.result():
            if isinstance(answer, ModelError):
                raise answer
            if len(tally.answers) < len(self._texts):
                tally.answers += answer
        tally.n_read += len(window)
        tally.n_tokens += sum(self._lengths[at] for at in window)

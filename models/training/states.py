"""Hidden states of documents, while torch holds the encoder: to train with, or to fit a head on."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.decoding import pool
from models.engine.microbatch import pack, stack
from models.segments import Segment
from models.tokenization import Tokenizer
from models.training.examples import Reading

Floats = NDArray[np.float32]
Row = tuple[Reading, Segment]
Report = Callable[[float], None]

_BATCH_TOKENS = 2048


def mixed_precision() -> AbstractContextManager[None]:
    """Return BF16 autocast where the processor multiplies BF16 in hardware; elsewhere it is slower than FP32."""
    able = torch.cpu.get_capabilities()
    enabled = any(able.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled)


def hidden_states(encoder: nn.Module, rows: Sequence[Row], *, tokenizer: Tokenizer, max_tokens: int) -> list[Tensor]:
    """Return the hidden states of each segment's tokens, without special tokens and padding. Shape of each: (T, H)."""
    ids, mask = stack(
        [reading.tokens.ids[segment.start : segment.end] for reading, segment in rows],
        cls_id=tokenizer.cls_id,
        sep_id=tokenizer.sep_id,
        pad_id=tokenizer.pad_id,
        max_tokens=max_tokens,
    )
    with mixed_precision():
        output = encoder(input_ids=torch.from_numpy(ids).long(), attention_mask=torch.from_numpy(mask).long())
    states = output.last_hidden_state.float()
    return [state[1 : 1 + segment.end - segment.start] for state, (_, segment) in zip(states, rows, strict=True)]


class States:
    """Reads whole documents with an encoder, segment by segment; keeps of each token what the right segment says."""

    def __init__(self, encoder: nn.Module, tokenizer: Tokenizer, *, max_tokens: int) -> None:
        self._encoder, self._tokenizer, self._max_tokens = encoder, tokenizer, max_tokens

    def pooled(self, readings: Sequence[Reading], *, report: Report = lambda _done: None) -> Floats:
        """Return the mean over the tokens of each document. Shape: (N, H)."""
        sums: dict[int, Floats] = {}
        for number, _, kept in self._kept(readings, report):
            sums[number] = sums.get(number, np.float32(0)) + kept.sum(axis=0)
        width = next(iter(sums.values())).shape if sums else (1,)
        empty = np.zeros(width, dtype=np.float32)
        rows = [pool(sums.get(number, empty), n_tokens=len(reading.tokens)) for number, reading in enumerate(readings)]
        return np.stack(rows)

    def words(self, readings: Sequence[Reading], *, report: Report = lambda _done: None) -> list[Floats]:
        """Return the hidden state of each word's first token, document by document. Shape of each: (W, H)."""
        parts: list[list[tuple[int, Floats]]] = [[] for _ in readings]
        for number, segment, kept in self._kept(readings, report):
            reading = readings[number]
            first = reading.word_tokens[reading.words_of(segment.keep_start, segment.keep_end)]
            parts[number].append((segment.keep_start, kept[first - segment.keep_start]))
        return [
            np.concatenate([rows for _, rows in sorted(each, key=lambda part: part[0])])
            if each
            else np.zeros((0, 1), dtype=np.float32)
            for each in parts
        ]

    def _kept(self, readings: Sequence[Reading], report: Report) -> Iterator[tuple[int, Segment, Floats]]:
        rows = [(number, segment) for number, reading in enumerate(readings) for segment in reading.segments]
        batches = pack([segment.end - segment.start for _, segment in rows], max_padded_tokens=_BATCH_TOKENS)
        for done, batch in enumerate(batches):
            part = [rows[at] for at in batch]
            with torch.inference_mode():
                states = hidden_states(
                    self._encoder,
                    [(readings[number], segment) for number, segment in part],
                    tokenizer=self._tokenizer,
                    max_tokens=self._max_tokens,
                )
            for (number, segment), state in zip(part, states, strict=True):
                yield (
                    number,
                    segment,
                    state[segment.keep_start - segment.start :][: segment.keep_end - segment.keep_start].numpy(),
                )
            report((done + 1) / len(batches))

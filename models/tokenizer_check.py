"""A ``tokenizer.json`` from somewhere else, looked through before documents meet it.

A fast tokenizer has no code of its own, but it may have regular expressions, and replacements that make a text longer.
So patterns that may take exponential time are refused before they are compiled, and what is left is timed on texts
that are hard for it: whatever takes that long for a thousand characters would never end for a book.
"""

import json
import re
from collections.abc import Iterator
from time import thread_time
from typing import Any, Final

import tokenizers

from schemas.errors import ArtefactCorrupt

_MOST_PATTERN_CHARS: Final = 1000
_MOST_CONTENT_CHARS: Final = 64
"""What a replacement may put in the place of a match: such as the mark of a space."""
_MOST_UNBOUNDED: Final = 3
_PROBE_CHARS: Final = (64, 256, 1024)
_PROBE_UNITS: Final = ("a", " ", "1", "\n", "-", "é", "a ", "aA", "'")
_MOST_PROBED: Final = 30
_PROBE_S: Final = 0.25
"""The processor's time for a probe. The tokenizers of BERT, RoBERTa and XLM-R take less than a millisecond."""
_PATTERN_BYTES: Final = re.compile(rb'"Regex"\s*:\s*("(?:[^"\\]|\\.)*+")')
_PARTS: Final = re.compile(
    r"(?P<bad>\\[1-9]|\\[kg]<|\(\?[~(])|(?P<plain>\\.)|(?P<set>\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*+\])"
    r"|(?P<open>\((?:\?(?:<[=!]|<\w+>|[=!>:]|[a-z-]*:))?)|(?P<close>\))|(?P<or>\|)"
    r"|(?P<repeat>(?:[*+?]|\{\d*,?\d*\})[?+]?)|(?P<other>.)",
    re.DOTALL,
)


def check_patterns(data: bytes) -> None:
    """Refuse a ``tokenizer.json`` with a regular expression that may take exponential time. Compiles none.

    Raises:
        ArtefactCorrupt: There is one.
    """
    for found in _PATTERN_BYTES.finditer(data):
        check_pattern(json.loads(found[1]))


def check_tokenizer(tokenizer: tokenizers.Tokenizer) -> None:
    """Refuse a tokenizer that takes too long, or makes texts much longer.

    Raises:
        ArtefactCorrupt: It does.
    """
    literals: set[str] = set()
    for name, value in _facts(tokenizer):
        if name == "Regex":
            check_pattern(value)
        elif name == "content" and len(value) > _MOST_CONTENT_CHARS:
            raise ArtefactCorrupt(
                f"got a tokenizer that puts {len(value)} characters in the place of others, expected at most "
                f"{_MOST_CONTENT_CHARS}"
            )
        if name in ("Regex", "String"):
            literals |= {character for character in value if character not in "\\[](){}|*+?^$"}
    tail = "!" + "".join(sorted(literals)[:_MOST_PROBED])  # some searches end early without a character that must come
    for n_chars in _PROBE_CHARS:
        for unit in (*_PROBE_UNITS, *tail[1:]):
            _probe(tokenizer, unit * (n_chars // len(unit)) + tail)


def check_pattern(pattern: str) -> None:
    """Refuse a regular expression in which a repeated group repeats or chooses, or that looks back at what it matched.

    Raises:
        ArtefactCorrupt: It is such a one.
    """
    if len(pattern) > _MOST_PATTERN_CHARS or not _is_tame(pattern):
        raise ArtefactCorrupt(
            f"got a tokenizer with the regular expression {pattern[:60]!r}, expected one of at most "
            f"{_MOST_PATTERN_CHARS} characters without repeated groups that repeat or choose: it could take for ever"
        )


def _is_tame(pattern: str) -> bool:
    varies, unbounded = [False], 0
    parts = list(_PARTS.finditer(pattern))
    for part, then in zip(parts, [*parts[1:], None], strict=True):
        match part.lastgroup:
            case "bad":
                return False
            case "open":
                varies.append(False)
            case "close":
                inner = varies.pop()
                if not varies or (inner and then is not None and _repeats(then)):
                    return False
                varies[-1] |= inner
            case "or":
                varies[-1] = True
                unbounded = 0 if len(varies) == 1 else unbounded
            case "repeat":
                varies[-1] = True
                unbounded += part[0][0] in "*+" or part[0].rstrip("?+").endswith(",}")
                if unbounded > _MOST_UNBOUNDED:
                    return False
    return len(varies) == 1


def _repeats(part: re.Match[str]) -> bool:
    return part.lastgroup == "repeat" and not part[0].startswith("?")


def _facts(tokenizer: tokenizers.Tokenizer) -> Iterator[tuple[str, str]]:
    """Give all named texts in what comes before the vocabulary."""
    for component in (tokenizer.normalizer, tokenizer.pre_tokenizer):
        if component is not None:
            yield from _texts(json.loads(component.__getstate__()))


def _texts(facts: Any) -> Iterator[tuple[str, str]]:
    if isinstance(facts, dict):
        for name, value in facts.items():
            if isinstance(value, str):
                yield name, value
            else:
                yield from _texts(value)
    elif isinstance(facts, list):
        for value in facts:
            yield from _texts(value)


def _probe(tokenizer: tokenizers.Tokenizer, text: str) -> None:
    started = thread_time()
    try:
        tokenizer.encode(text, add_special_tokens=False)
    except BaseException as error:
        if not is_panic(error):
            raise
        raise ArtefactCorrupt(
            f"got a tokenizer that gives up on a text of {len(text)} characters, expected tokens of it"
        ) from None
    if (took_s := thread_time() - started) > _PROBE_S:
        raise ArtefactCorrupt(
            f"got a tokenizer that takes {took_s:.1f} s for {len(text)} characters, expected less than {_PROBE_S} s"
        )


def is_panic(error: BaseException) -> bool:
    """Whether a Rust library gave up: what it raises then is no ``Exception``, and its class has no public name."""
    return type(error).__module__ == "pyo3_runtime"

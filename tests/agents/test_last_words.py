"""What a process said at its end, however it says things."""

import io
import logging

import pytest

from agents.last_words import last_words
from agents.logs import Format, setup_logs


@pytest.mark.parametrize("form", ["json", "text"])
def test_the_problems_of_a_log_are_its_last_words(form: Format) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    out = io.StringIO()
    try:
        setup_logs("INFO", form, out)
        logging.getLogger("agents.worker").info("starting")
        logging.getLogger("agents.leaving").error("topic a: \x22narrow\x22")
        logging.getLogger("agents.leaving").critical("topic b")
        logging.getLogger("agents.worker").info("stopped")
    finally:
        root.handlers[:] = before[0]
        root.setLevel(before[1])
    assert last_words(out.getvalue()) == 'topic a: "narrow"; topic b'


@pytest.mark.parametrize(
    ("tail", "said"),
    [
        ("", ""),
        ("\n\n", ""),
        ("lexstream: threads: got -1\n", "threads: got -1"),
        ("lexstream: 2 problems:\n  a: x\n  b: y\n", "a: x; b: y"),
        ("warm\nTraceback\n  File\nValueError: no\n", "ValueError: no"),
        ('{"level": "info", "message": "hello"}\n[1]\n', "[1]"),
        ("".join(f"lexstream: {number}\n" for number in range(9)), "4; 5; 6; 7; 8"),
    ],
)
def test_other_lines_are_read_too(tail: str, said: str) -> None:
    assert last_words(tail) == said

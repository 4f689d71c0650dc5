"""What a process says when it ends."""

import pytest

from agents.leaving import say
from schemas.errors import Fenced, InvalidInput

SECRET = "Mrs Smith, born 1970"


def test_what_was_not_foreseen_is_told_by_class_and_place_without_a_foreign_message(
    caplog: pytest.LogCaptureFixture,
) -> None:
    try:
        try:
            int(SECRET)
        except ValueError:
            raise KeyError(SECRET)  # noqa: B904 - the context is what is looked at
    except KeyError as error:
        say(error)
    assert "KeyError (because of ValueError)" in caplog.text
    assert "test_leaving.py" in caplog.text
    assert SECRET not in caplog.text


def test_our_own_errors_are_told_whole(caplog: pytest.LogCaptureFixture) -> None:
    say(Fenced("somebody else took over"))
    say(InvalidInput(["threads: got x", "home: got y"]))
    for words in ("Fenced: somebody else took over", "threads: got x", "home: got y"):
        assert words in caplog.text

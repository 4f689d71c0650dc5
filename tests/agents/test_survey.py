"""What there is of dead letters: counted by reason and source, without Kafka."""

import pytest

from agents.letters import Selection, Source
from agents.survey import Survey
from schemas.errors import InvalidInput
from tests.agents.dead_letter_kit import LETTERS


def survey(n_newest: int = 2, **words: object) -> Survey:
    made = Survey(Selection(**words), n_newest)  # type: ignore[arg-type]
    for each in reversed(LETTERS):
        made.take(each, replayed=each.record.offset == 1)
    return made


def test_a_survey_counts_what_is_wanted_and_keeps_the_newest() -> None:
    made = survey()
    assert [(each.record.offset, replayed) for each, replayed in made.newest] == [(2, False), (3, False)]
    assert (made.total.n_letters, made.total.n_replayed, made.total.newest_ms) == (4, 1, 4000)
    assert made.reasons["DecodeError", "decode"].n_letters == 2
    assert made.sources["n.documents", 1].n_replayed == 1
    assert survey(n_newest=0).newest == []
    assert survey(reasons=frozenset({"model"})).total.n_letters == 1


def test_a_reason_that_no_letter_has_is_told_with_those_that_there_are() -> None:
    survey(reasons=frozenset({"decode", "InvalidEvent"})).require_reasons()
    with pytest.raises(InvalidInput) as error:
        survey(reasons=frozenset({"decode", "Decode"}), sources=(Source("n.documents"),)).require_reasons()
    there = "DecodeError (decode, 1)"
    (problem,) = error.value.problems
    assert problem.startswith("--reason Decode: no dead letter has it; expected one of: ")
    assert there in problem
    with pytest.raises(InvalidInput, match="there are no such dead letters at all"):
        survey(reasons=frozenset({"Decode"}), since_ms=5000).require_reasons()


def test_a_reason_that_workers_give_is_none_to_refuse_although_no_letter_has_it_now() -> None:
    made = survey(reasons=frozenset({"UnknownSchema", "encode"}), since_ms=5000)
    made.require_reasons()
    assert made.total.n_letters == 0

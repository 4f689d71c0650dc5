"""The pure parts of the comparison with peers: judging, messages, and what the runner gives to whom."""

import json
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.peers.catalogue import inference_answer, inference_request, json_answer, peers
from benchmarks.peers.judging import Answer, Verdict, judge
from benchmarks.peers.programs.common import BATCH_SIZE, Setup, answer
from benchmarks.peers.run import share_of
from benchmarks.peers.subject import Document, Message

RENT = ("Rent", 4, 3)


def test_each_document_is_lost_right_or_wrong_and_counted_once() -> None:
    expected = {name: frozenset({RENT}) for name in ("right", "twice", "wrong", "lost")}
    said = [Answer(name, frozenset({RENT})) for name in ("right", "twice", "twice", "warm-up")]
    verdict = judge([*said, Answer("wrong", frozenset())], expected)
    assert verdict == Verdict(n_answered=3, n_right=2, n_lost=1, n_duplicated=1)


def test_a_document_answered_twice_is_right_only_if_both_answers_are() -> None:
    said = [Answer("a", frozenset({RENT})), Answer("a", frozenset())]
    assert judge(said, {"a": frozenset({RENT})}).n_right == 0


def test_what_a_program_answers_can_be_read() -> None:
    found = [{"entity_group": "Rent", "start": 4, "end": 7, "score": 0.9, "word": "950"}]
    value = json.dumps(answer({"id": "a", "text": "pay 950"}, found)).encode()
    assert json_answer(Message(b"", value)) == Answer("a", frozenset({RENT}))


def test_a_response_of_the_inference_protocol_can_be_read() -> None:
    entities = [{"entity_group": "Rent", "start": 4, "end": 7, "score": 0.9, "word": "950"}]
    value = json.dumps({"id": "a", "outputs": [{"name": "output", "data": [json.dumps(entities)]}]}).encode()
    assert inference_answer(Message(b"a", value)) == Answer("a", frozenset({RENT}))


def test_a_request_names_the_model_and_carries_the_document() -> None:
    message = inference_request(Document("a", "pay 950", shard=3))
    inputs = {each["name"]: each["data"] for each in json.loads(message.value)["inputs"]}
    assert (message.key, dict(message.headers)["mlserver-model"]) == (b"a", b"spans")
    assert inputs == {"array_inputs": ["pay 950"], "aggregation_strategy": ["first"]}


def test_a_setup_survives_the_environment() -> None:
    setup = Setup("localhost:9092", "in", "out", "group", "model", "state")
    assert Setup.from_environment(setup.environment()) == setup


@pytest.mark.parametrize(("share", "expected"), [(1.0, 3200), (0.25, 800), (0.01, 800)])
def test_shares_are_whole_batches_for_every_shard(share: float, expected: int) -> None:
    n_documents = share_of(3200, share)
    of_shards = Counter(number // BATCH_SIZE % 4 for number in range(n_documents))
    assert n_documents == expected
    assert all(count % BATCH_SIZE == 0 for count in of_shards.values())


def test_every_peer_is_pinned_with_the_same_torch() -> None:
    for peer in peers(Path("work")):
        pins = (Path("benchmarks/peers/requirements") / f"{peer.name}.txt").read_text("utf-8").splitlines()
        assert "torch==2.13.0" in pins
        assert peer.version()

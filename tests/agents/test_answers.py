"""Answers to messages: outputs, copies, dead letters and switch records."""

import gc
import weakref
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pytest

from agents.enrich import Enricher, timestamp
from agents.hotloop.answers import Answering, Asked, EnrichedEncoder, Outcome
from agents.hotloop.decode import Item
from agents.inference import Answer
from agents.lanes import Lane
from agents.routing import compile_routes
from agents.serving import Answerers, Served
from schemas.codecs.codec import EnrichedCodec
from schemas.commands import Rule
from schemas.dead_letters import REPLAY_ATTEMPTS, REPLAYED_FROM, DeadLetter
from schemas.documents import DocumentEvent
from schemas.enriched import ENRICHED, TaskFailure
from schemas.errors import DecodeError, Fatal, ModelError, OversizedEvent
from schemas.names import StringIndexType
from schemas.records import RouteRecord
from tests.agents.echo import first_word, served
from tests.agents.factories import FakeRecord, item

FAILURE = TaskFailure(code="DeploymentNotFound", message="no", project="loans", deployment="x")
OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def answering(
    limit: int = 1_000_000,
    dead_limit: int = 1_000_000,
    index: StringIndexType = StringIndexType.CODE_POINT,
    text: bool = True,
    codec: EnrichedEncoder | None = None,
) -> Answering:
    return Answering(
        Lane("n.documents", "n.enriched"),
        dead_letters="n.dead-letters",
        control_events="n.control-events",
        enricher=Enricher(include_text=text, string_index_type=index),
        codec=codec or EnrichedCodec(),
        limit=lambda topic: dead_limit if topic == "n.dead-letters" else limit,
    )


def asked(of: Item, *who: Served, answer: Answer | None = None, failures: tuple[TaskFailure, ...] = ()) -> Asked:
    if answer is None:
        answer = [first_word(of.content.text) for _ in who] if isinstance(of.content, DocumentEvent) else []
    return Asked(of, Answerers(who, failures), answer)


def outcome(*events: Asked, before: dict[tuple[str, str], str] | None = None, **options: Any) -> Outcome:
    return answering(**options).outcome(events, routes={}, served=before or {}, now_ms=1_767_607_201_000)


KNOWN = {("loans", "production"): served().digest}


def test_an_enriched_document_is_as_the_contract_says() -> None:
    (message,) = outcome(asked(item(), served()), before=KNOWN).messages
    assert (message.topic, message.partition, message.key) == ("n.enriched", 2, b"\xffkey")
    assert message.headers == [
        ("traceparent", b"00-1"),
        ("lexstream-source", b"n.documents/2/41"),
        ("lexstream-model", b"loans/production=" + served().digest.encode()),
    ]
    document = ENRICHED.validate_python(orjson.loads(message.value or b""))
    assert document["source"] == {
        "topic": "n.documents",
        "partition": 2,
        "offset": 41,
        "timestamp": "2026-01-05T10:00:00.123Z",
    }
    assert document["enrichedAt"] == "2026-01-05T10:00:01.000Z"
    assert document["language"] == "en"
    assert document["results"][0]["entities"] == [
        {"text": "Jane", "category": "Word", "offset": 0, "length": 4, "confidenceScore": 0.9}
    ]


def test_text_can_be_left_out() -> None:
    (message,) = outcome(asked(item(), served()), before=KNOWN, text=False).messages
    assert "text" not in orjson.loads(message.value or b"")


@pytest.mark.parametrize(
    ("index", "expected"),
    [(StringIndexType.CODE_POINT, (2, 2)), (StringIndexType.UTF16, (2, 3)), (StringIndexType.UTF8, (2, 6))],
)
def test_offsets_are_counted_as_wished(index: StringIndexType, expected: tuple[int, int]) -> None:
    event = DocumentEvent(id="d", text="  😀é ok")
    (message,) = outcome(asked(item(event), served()), before=KNOWN, index=index).messages
    (entity,) = orjson.loads(message.value or b"")["results"][0]["entities"]
    assert (entity["offset"], entity["length"]) == expected


class _Model:
    """What takes the memory."""


@pytest.mark.parametrize("answer", [None, ModelError("broke")])
def test_a_dead_letter_does_not_keep_its_neighbours_model_in_memory(answer: ModelError | None) -> None:
    neighbour = replace(served(), model=_Model())
    kept = weakref.ref(neighbour.model)
    bad = asked(item() if answer else item(DecodeError("no JSON")), served(), answer=answer)
    gc.disable()  # it comes around to what is old only after hours
    try:
        assert outcome(bad, asked(item(), neighbour), before=KNOWN).dead.total() == 1
        del neighbour, bad
        assert kept() is None
    finally:
        gc.enable()


def test_one_failed_task_is_an_entry_of_errors() -> None:
    found = outcome(asked(item(), served(), failures=(FAILURE,)), before=KNOWN)
    assert orjson.loads(found.messages[0].value or b"")["errors"] == [FAILURE]
    assert found.failures == {"DeploymentNotFound": 1}


@pytest.mark.parametrize(
    ("event", "stage", "error"),
    [
        (asked(item(DecodeError("no JSON"))), "decode", "DecodeError"),
        (asked(item(), failures=(FAILURE,)), "model", "TasksFailed"),
        (asked(item()), "validate", "InvalidEvent"),
        (asked(item(), served(), answer=ModelError("broke")), "model", "ModelError"),
    ],
)
def test_a_bad_event_is_a_dead_letter_with_its_bytes(event: Asked, stage: str, error: str) -> None:
    found = outcome(event)
    (message,) = found.messages
    record = FakeRecord()
    assert (message.topic, message.key, message.value) == ("n.dead-letters", record.key, record.value)
    letter = DeadLetter.from_headers(message.headers)
    assert (letter.stage, letter.error, letter.offset, letter.partition) == (stage, error, 41, 2)
    assert found.dead == {error: 1}
    assert found.next_offset == 42


def test_all_tasks_failed_says_why() -> None:
    (message,) = outcome(asked(item(), failures=(FAILURE,))).messages
    assert DeadLetter.from_headers(message.headers).message == "DeploymentNotFound: no"


def test_a_result_too_large_for_its_topic_is_a_dead_letter() -> None:
    (message,) = outcome(asked(item(), served()), before=KNOWN, limit=300).messages
    letter = DeadLetter.from_headers(message.headers)
    assert (letter.stage, letter.error) == ("encode", "EncodeError")


def test_routes_get_the_same_bytes() -> None:
    routes = compile_routes(
        [RouteRecord(project="loans", name="x", rule=Rule(any=["Word"]))], lambda n: f"n.routes.{n}"
    )
    found = answering().outcome([asked(item(), served())], routes=routes, served=KNOWN, now_ms=0)
    output, copy = found.messages
    assert copy == output._replace(topic="n.routes.x")
    assert found.routed == {"n.routes.x": 1}


def switches(of: Outcome) -> list[dict[str, Any]]:
    events = [orjson.loads(m.value or b"") for m in of.messages if m.topic == "n.control-events"]
    assert all(event["event"] == "switched" and event["project"] == "loans" for event in events)
    return [event["details"] for event in events]


def test_the_first_window_of_a_partition_says_which_model_reads() -> None:
    found = outcome(asked(item(offset=7), served(digest=OLD)), asked(item(offset=8), served(digest=OLD)))
    (switch,) = switches(found)
    assert switch == {
        "deployment": "production",
        "topic": "n.documents",
        "partition": 2,
        "offset": 7,
        "from": None,
        "to": OLD,
    }
    assert found.served == {("loans", "production"): OLD}


def test_a_switch_is_said_once_with_its_first_offset() -> None:
    before = {("loans", "production"): OLD}
    found = outcome(asked(item(DecodeError("x"), offset=6)), asked(item(offset=7), served(digest=NEW)), before=before)
    (switch,) = switches(found)
    assert (switch["offset"], switch["from"], switch["to"]) == (7, OLD, NEW)
    assert before == {("loans", "production"): OLD}, "only a commit makes it so"


def test_an_events_size_is_never_underestimated() -> None:
    from aiokafka.record.default_records import DefaultRecordBatchBuilder

    (message,) = outcome(asked(item(), served()), before=KNOWN).messages
    builder = DefaultRecordBatchBuilder(
        2, 0, is_transactional=1, producer_id=1, producer_epoch=1, base_sequence=0, batch_size=10_000
    )
    builder.append(0, None, message.key, message.value, message.headers)
    assert len(builder.build()) <= message.n_bytes


def test_timestamps() -> None:
    assert timestamp(0) == "1970-01-01T00:00:00.000Z"
    assert timestamp(-1) == "1970-01-01T00:00:00.000Z", "Kafka says -1 for none"


@pytest.mark.parametrize("ms", [-5, 10**15, 2**63 - 1])
def test_a_record_whose_time_is_no_date_is_answered(ms: int) -> None:
    (message,) = outcome(asked(item(timestamp=ms), served()), before=KNOWN).messages
    assert ENRICHED.validate_python(orjson.loads(message.value or b""))["source"]["timestamp"][-1] == "Z"


def test_what_nobody_foresaw_about_one_document_is_its_dead_letter_alone() -> None:
    broken = asked(item(offset=1), served(), answer=[{"entities": [None]}])  # type: ignore[list-item]
    found = outcome(broken, asked(item(offset=2), served()), before=KNOWN, index=StringIndexType.UTF16)
    assert [message.topic for message in found.messages] == ["n.dead-letters", "n.enriched"]
    error = DeadLetter.from_headers(found.messages[0].headers)
    assert (error.stage, error.error) == ("encode", "EncodeError")


@dataclass
class BrokenEncoder:
    error: Exception

    def encode(self, document: object) -> bytes:
        raise self.error


def test_a_bug_of_ours_is_logged_once_with_its_place_and_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    events = [asked(item(offset=1), served()), asked(item(offset=2), served())]
    found = outcome(*events, before=KNOWN, codec=BrokenEncoder(KeyError("secret")))
    assert found.dead == {"EncodeError": 2}
    assert caplog.text.count("a document could not be made: KeyError") == 1
    assert ", in encode\n    raise self.error" in caplog.text
    assert "secret" not in caplog.text


def test_a_moment_without_memory_makes_no_dead_letter() -> None:
    with pytest.raises(MemoryError):
        outcome(asked(item(), served()), before=KNOWN, codec=BrokenEncoder(MemoryError()))


def test_a_dead_letter_that_does_not_fit_stops_us_and_says_what_to_change() -> None:
    with pytest.raises(Fatal, match=r"n\.dead-letters takes at most 100: raise its max\.message\.bytes"):
        outcome(asked(item(DecodeError("no"))), dead_limit=100)


def test_events_that_were_sent_back_are_counted_by_what_became_of_them() -> None:
    again = [(REPLAYED_FROM, b"n.dead-letters/2/7"), (REPLAY_ATTEMPTS, b"1")]
    good = item(headers=again)
    bad = item(DecodeError("still no JSON"), offset=42, headers=again)
    found = outcome(asked(good, served()), asked(bad), asked(item(offset=43), served()))
    assert found.replayed == {"enriched": 1, "dead_letter": 1}


def test_an_event_that_fits_no_topic_is_a_dead_letter_without_content() -> None:
    record = {"value": b"x" * 3000, "headers": [("h", b"y" * 3000)], "offset": 7}
    (message,) = outcome(asked(item(OversizedEvent("the event has 6005 bytes"), **record)), dead_limit=2000).messages  # type: ignore[arg-type]
    assert (message.key, message.value) == (None, None)
    letter = DeadLetter.from_headers(message.headers)
    assert (letter.error, letter.offset) == ("OversizedEvent", 7)
    assert letter.message == (
        "the event has 6005 bytes; key, value and headers are left out, they are only where the event was"
    )


def test_headers_that_pass_for_ours_are_not_passed_on() -> None:
    forged = [("lexstream-model", b"a/b=sha256:c"), ("traceparent", b"00"), ("lexstream-source", b"t/0/0")]
    (message,) = outcome(asked(item(headers=forged), served()), before=KNOWN).messages
    assert message.headers == [
        ("traceparent", b"00"),
        ("lexstream-source", b"n.documents/2/41"),
        ("lexstream-model", served().header),
    ]

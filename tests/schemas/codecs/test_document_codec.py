import struct
import time
import tracemalloc
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson
import pytest
from fastavro import schemaless_writer
from hypothesis import given
from hypothesis import strategies as st

from schemas.codecs.codec import MAX_METADATA_LEVELS, MAX_METADATA_VALUES, DocumentCodec, Format
from schemas.codecs.schema_ids import LocalSchemaIds
from schemas.documents import DocumentEvent, Task
from schemas.errors import DecodeError, EncodeError, EventError, InvalidEvent, UnknownSchema

OLDER_WRITER = Path(__file__).parent.parent / "fixtures" / "older_writer"
IDS = LocalSchemaIds([OLDER_WRITER])
CODEC = DocumentCodec(IDS)

EVENT = DocumentEvent(
    id="loan-17",
    text="Interest 🙂 é\r\n\x00\u202e5 %",
    language="en",
    tasks=[Task(project="loans", deployment="production")],
    metadata={"any": ["json", 1, 0.5, None, {"a": True}]},
)
YESTERDAY: dict[str, bytes] = {
    "json": b'{"id":"loan-17","text":"Interest \xf0\x9f\x99\x82 \xc3\xa9\\r\\n\\u0000\xe2\x80\xae5 %","language":"en",'
    b'"tasks":[{"project":"loans","deployment":"production"}],'
    b'"metadata":{"any":["json",1,0.5,null,{"a":true}]}}',
    "avro": bytes.fromhex(
        "00000000010e6c6f616e2d313732496e74657265737420f09f998220c3a90d0a00e280ae3520250204656e020a6c6f616e73"
        "1470726f64756374696f6e004c7b22616e79223a5b226a736f6e222c312c302e352c6e756c6c2c7b2261223a747275657d5d7d"
    ),
}


def json_event(**fields: Any) -> bytes:
    return orjson.dumps({"id": "1", "text": "some text"} | fields)


def avro_bytes(schema_id: int, record: dict[str, Any]) -> bytes:
    stream = BytesIO()
    schemaless_writer(stream, IDS.schema_for(schema_id), record)
    return struct.pack(">bI", 0, schema_id) + stream.getvalue()


@pytest.mark.parametrize("written", ["json", "avro"])
def test_event_survives_the_round_trip(written: Format) -> None:
    assert CODEC.decode(DocumentCodec(format=written).encode(EVENT)) == EVENT


@pytest.mark.parametrize("written", ["json", "avro"])
def test_bytes_of_yesterday_still_decode(written: Format) -> None:
    assert CODEC.decode(YESTERDAY[written]) == EVENT


def test_older_writer_with_a_renamed_a_missing_and_a_dropped_field_is_read() -> None:
    value = avro_bytes(101, {"content": "older text", "priority": 3, "id": "old"})
    assert CODEC.decode(value) == DocumentEvent(id="old", text="older text")


def test_a_schema_that_does_not_fit_is_a_decode_error() -> None:
    with pytest.raises(DecodeError, match=r"Order \(schema id 102\) as lexstream\.DocumentEvent"):
        CODEC.decode(avro_bytes(102, {"total": 1.5}))


def test_only_id_and_text_are_required_and_unknown_fields_are_ignored() -> None:
    assert CODEC.decode(json_event(colour="red")) == DocumentEvent(id="1", text="some text")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "expected JSON or Avro, got a null value"),
        (b"", "got no bytes"),
        (b"{", "expected JSON: "),
        (b"\xff\xfe{}", "not valid UTF-8"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b'{"id": "1", "text": "a", "metadata": {"a": NaN}}', "expected JSON: "),
        (b'{"id": "1", "text": "a", "metadata": {"a": 1e400}}', "infinity"),
        (b'{"id": "1", "text": "a\x01"}', "control character"),
        (b'{"id": "1", "text": "\\ud83d", "metadata": ' + b"[" * 100_000, "expected JSON: "),
        (b"[" * 100_000 + b"]" * 100_000, "depth limit exceeded"),
        (b"[]", "expected a JSON object, got a list of 0"),
        (b'"text"', "expected a JSON object, got text of 4 characters"),
        (b"\x00\x00\x00", "four bytes of schema id, got 3 bytes"),
        (YESTERDAY["avro"][:20], "cannot read Avro record"),
        (YESTERDAY["avro"] + b"ab", "2 bytes left over"),
    ],
)
def test_what_is_neither_json_nor_avro_is_a_decode_error(value: bytes | None, message: str) -> None:
    with pytest.raises(DecodeError, match=message) as caught:
        CODEC.decode(value)
    assert caught.value.stage == "decode"


def test_unknown_schema_id_says_which_ones_are_known() -> None:
    with pytest.raises(UnknownSchema, match="unknown schema id 77, expected one of 1, 2, 101, 102"):
        CODEC.decode(b"\x00\x00\x00\x00\x4d\x00")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"{}", "id: expected a value, got nothing; text: expected a value, got nothing"),
        (json_event(id=7), "id: expected text, got a number"),
        (json_event(id=""), "id: expected at least 1 character, got empty text"),
        (json_event(id="x" * 2000), "id: expected at most 1024 characters, got text of 2000 characters"),
        (json_event(text=None), "text: expected text, got null"),
        (json_event(text=""), "text: expected some text, got nothing but white space"),
        (json_event(text=" \n"), "text: expected some text, got nothing but white space"),
        (json_event(language=["en"]), "language: expected text, got a list of 1"),
        (json_event(tasks={}), "tasks: expected a list, got an object"),
        (json_event(tasks=["a/b"]), "tasks[0]: expected an object, got text of 3 characters"),
        (json_event(tasks=[{"project": ""}]), "tasks[0].project: expected at least 1 character, got empty text"),
        (json_event(tasks=[{}] * 101), "tasks: expected at most 100 items, got a list of 101"),
        (json_event(metadata=[1]), "metadata: expected an object, got a list of 1"),
        (b'{"id":"1","text":"a \\ud83d"}', "text: expected text, got a lone surrogate at character 2"),
        (b'{"id":"1","text":"a","tasks":[{"project":"\\udc00"}]}', "tasks[0].project: expected text, got a lone"),
        (b'{"id":"1","text":"a","metadata":{"\\udc00":1}}', "metadata (name of a field): expected text, got a lone"),
    ],
)
def test_wrong_fields_are_named_with_what_was_expected_and_got(value: bytes, message: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        CODEC.decode(value)
    assert message in str(caught.value)
    assert caught.value.stage == "validate"


@pytest.mark.parametrize("text", ["{", "[1]", "\x01", '{"a": NaN}'])
def test_avro_metadata_that_is_no_object_is_invalid(text: str) -> None:
    record: dict[str, Any] = {"id": "1", "text": "a", "language": None, "tasks": [], "metadata": text}
    with pytest.raises(InvalidEvent, match="metadata: expected"):
        CODEC.decode(avro_bytes(1, record))


def test_messages_are_bounded_and_show_no_values() -> None:
    secret = "very private"
    value = json_event(text={secret: secret}, tasks=[{"project": secret, "deployment": [secret]}] * 90)
    with pytest.raises(InvalidEvent) as caught:
        CODEC.decode(value)
    assert len(str(caught.value)) <= 500
    assert str(caught.value).endswith(" more")
    assert secret not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("character", ["\x00", "\u202e", "\u2066", "\ufeff", "\u200b", "\U0001f642", "e\u0301"])
def test_text_comes_out_as_it_went_in(character: str) -> None:
    text = f"{character}a{character}"
    assert CODEC.decode(json_event(text=text)).text == text


def test_a_whole_number_beyond_64_bits_becomes_the_nearest_double() -> None:
    event = CODEC.decode(b'{"id":"1","text":"a","metadata":{"n":123456789012345678901234567890}}')
    assert event.metadata == {"n": 1.2345678901234568e29}


def nested(levels: int) -> bytes:
    return b'{"id":"1","text":"a","metadata":' + b'{"a":' * levels + b"1" + b"}" * levels + b"}"


def test_metadata_may_be_nested_as_deep_as_can_be_written_again() -> None:
    event = CODEC.decode(nested(MAX_METADATA_LEVELS))
    assert CODEC.decode(CODEC.encode(event)) == event
    with pytest.raises(InvalidEvent, match="metadata: expected at most 200 levels"):
        CODEC.decode(nested(MAX_METADATA_LEVELS + 1))


def test_brackets_in_the_text_are_no_levels() -> None:
    assert len(CODEC.decode(json_event(text="[{" * 1000)).text) == 2000


@pytest.mark.parametrize("written", ["json", "avro"])
def test_text_that_is_none_cannot_be_written(written: Format) -> None:
    with pytest.raises(EncodeError):
        DocumentCodec(format=written).encode(
            DocumentEvent.model_construct(id="1", text="\ud83d", tasks=[], metadata={})
        )


@given(st.binary(max_size=300))
def test_any_bytes_decode_or_are_an_event_error(value: bytes) -> None:
    decodes_or_refuses(value)


@given(st.integers(0, 3) | st.sampled_from([101, 102]), st.binary(max_size=200))
def test_any_avro_bytes_decode_or_are_an_event_error(schema_id: int, rest: bytes) -> None:
    decodes_or_refuses(struct.pack(">bI", 0, schema_id) + rest)


words = st.text("ab \x00é🙂\u202e", max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=10,
)


@given(
    st.dictionaries(st.sampled_from(["id", "text", "language", "tasks", "metadata", "more"]), json_values, max_size=6)
)
def test_any_json_object_decodes_or_is_an_event_error(fields: dict[str, Any]) -> None:
    decodes_or_refuses(orjson.dumps(fields))


def decodes_or_refuses(value: bytes) -> None:
    try:
        event = CODEC.decode(value)
    except EventError as error:
        assert 0 < len(str(error)) <= 500
    else:
        assert CODEC.decode(CODEC.encode(event)) == event


def test_a_task_whose_name_cannot_be_ours_is_left_to_whoever_serves_it() -> None:
    event = CODEC.decode(json_event(tasks=[{"project": "my project", "deployment": "x" * 60}]))
    assert event.tasks[0].project == "my project"


@pytest.mark.parametrize("inside", [b"0", b"[]", b'""'])
def test_metadata_of_more_values_than_memory_likes_is_refused(inside: bytes) -> None:
    def event(n: int) -> bytes:
        return b'{"id": "x", "text": "y", "metadata": {"a": [' + b",".join([inside] * n) + b"]}}"

    assert len(DocumentCodec().decode(event(MAX_METADATA_VALUES - 1)).metadata["a"]) == MAX_METADATA_VALUES - 1
    with pytest.raises(InvalidEvent, match="metadata: expected at most 100000 values"):
        DocumentCodec().decode(event(MAX_METADATA_VALUES))


def test_commas_in_the_text_are_no_values() -> None:
    event = b'{"id": "x", "text": "' + b"," * 200_000 + b'", "metadata": {"a": [1, 2]}}'
    assert DocumentCodec().decode(event).metadata == {"a": [1, 2]}


def test_a_lone_surrogate_among_a_million_deep_values_is_found_in_little_memory() -> None:
    deep = b'{"id": "x", "text": "\\ud800", "a": ' + b"[" * 900 + b"0," * 50_000 + b"0" + b"]" * 900 + b"}"
    tracemalloc.start()
    with pytest.raises(InvalidEvent, match=r"^text: expected text, got a lone surrogate at character 0$"):
        DocumentCodec().decode(deep)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * len(deep)


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (b'{"a": {"b": [0, "\\ud800"]}}', r"a\.b\[1\]"),
        (b'{"\\ud800": 1}', r"value \(name of a field\)"),
        (b'{"a": {"\\ud800": 1}}', r"a \(name of a field\)"),
        (b'["\\ud800"]', r"\[0\]"),
        (b'"\\ud800"', "value"),
        (b'{"no name": "\\ud800"}', "…"),
    ],
)
def test_a_lone_surrogate_is_named_by_its_place(value: bytes, place: str) -> None:
    with pytest.raises(InvalidEvent, match=rf"^{place}: expected text, got a lone surrogate at character 0$"):
        DocumentCodec().decode(value)


def test_an_avro_list_of_a_million_empty_tasks_costs_no_seconds() -> None:
    count = b"\x80\x89\x7a"  # 1,000,000
    record = b"\x02x\x02y\x00" + count + b"\0\0" * 1_000_000 + b"\x00\x04{}"
    started = time.process_time()
    with pytest.raises(DecodeError, match="EOFError"):
        DocumentCodec().decode(struct.pack(">bI", 0, 1) + record)
    assert time.process_time() - started < 2

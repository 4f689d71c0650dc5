"""A grammar of hostile events: what a publisher who means harm, or knows no better, may put onto an input topic.

All text that a publisher writes carries ``MARK``, so that a test can look for it where it must not be.
"""

import gzip
import json
import random
import struct
import zlib
from collections.abc import Sequence
from typing import Any, Final

import cramjam
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.hostile.raw_batches import Headers, Message

MARK: Final = "zQ7hush"
NAME: Final = "zQ7name"
"""Part of names of projects and deployments: an error says which of them there are not, a log does not."""
MEGABYTE: Final = 1024 * 1024
_ODD = "\x00\x01\x1b[2J\r\n\t\x7f\x85\u200b\u202e\u2066\u2028\ufeff\ufffe\U0001d54f😀é߷ก\u0301 "

texts = st.text(alphabet=st.one_of(st.sampled_from(_ODD), st.characters(codec="utf-8")), max_size=30).map(
    lambda text: f"{MARK} {text}"
)
numbers = st.sampled_from(
    [
        "0",
        "-0",
        "1e400",
        "-1e-400",
        "1E+2",
        "9" * 30,
        "9" * 400,
        "1." + "3" * 5000,
        "NaN",
        "-Infinity",
        "Infinity",
        "01",
        "0x10",
        "1_000",
        ".5",
        "9223372036854775808",
        "-9223372036854775809",
        "1e308",
        "+1",
        "1e",
        "--1",
    ]
)
junk: SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(["loans", "production", "nobody", "", "a/b", "..", NAME, "x" * 300, "\u202e", "\x00"])
tasks = st.lists(st.fixed_dictionaries({"project": names, "deployment": names}), max_size=3)


@st.composite
def objects(draw: st.DrawFn) -> dict[str, Any]:
    """A document event whose fields are mostly right."""
    event: dict[str, Any] = {"id": draw(texts), "text": draw(texts)}
    if draw(st.booleans()):
        event["metadata"] = draw(st.dictionaries(texts, junk, max_size=3))
    if draw(st.integers(0, 3)) == 0:
        event["tasks"] = draw(tasks)
    if draw(st.integers(0, 4)) == 0:
        event["language"] = draw(st.sampled_from(["en", "de", "", "en-" + "x" * 40, MARK, "\x00", "e" * 36]))
    return event


valid = objects().map(lambda event: json.dumps(event).encode())
utf8 = objects().map(lambda event: json.dumps(event, ensure_ascii=False).encode())


@st.composite
def wrong_types(draw: st.DrawFn) -> bytes:
    event = draw(objects())
    path = draw(st.sampled_from(["id", "text", "language", "tasks", "metadata", "task", "project", "deployment"]))
    wrong = draw(junk)
    match path:
        case "task":
            event["tasks"] = [wrong]
        case "project" | "deployment":
            event["tasks"] = [{"project": "loans", "deployment": "production", path: wrong}]
        case _:
            event[path] = wrong
    return json.dumps(event).encode()


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """Good bytes with some of them changed, doubled or missing."""
    value = bytearray(draw(st.one_of(valid, utf8, avro)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(value)))
        match draw(st.integers(0, 2)):
            case 0:
                del value[at:]
            case 1:
                value[at:at] = draw(st.binary(min_size=1, max_size=4))
            case _:
                value[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
    return bytes(value)


@st.composite
def odd_json(draw: st.DrawFn) -> bytes:
    """JSON that readers do not agree on."""
    text = json.dumps(draw(texts))
    inside = draw(
        st.one_of(
            numbers,
            st.integers(1, 1500).map(lambda n: "[" * n + "]" * n),
            st.integers(1, 1500).map(lambda n: '{"a":' * n + "0" + "}" * n),
            st.integers(1, 1500).map(lambda n: "[" * n),
            st.sampled_from(
                ['"\\ud800"', '"\\udfff\\ud800"', '"\\u0000"', '"\\x"', '"\x00\x1f"', '"unended', "tru", ""]
            ),
        )
    )
    field = draw(st.sampled_from(["metadata", "text", "id", "tasks", "language", "other", "\\ud800", MARK]))
    more = draw(st.sampled_from(["", f',"id":{text}', f',"text":{text},"text":7', ',"metadata":{}', ",", "}{"]))
    wrap = draw(st.sampled_from([inside, f'{{"a":{inside}}}', f"[{inside}]"]))
    return f'{{"id":{text},"text":{text},"{field}":{wrap}{more}}}'.encode("utf-8", "surrogatepass")


@st.composite
def avro_records(draw: st.DrawFn) -> bytes:
    def string(text: str) -> bytes:
        data = text.encode()
        return long(draw(st.sampled_from([len(data)] * 9 + [2**40, -1, -(2**62)]))) + data

    n_tasks = draw(st.sampled_from([0, 0, 0, 1, 2]))
    tasks = b"".join(string("loans") + string("production") for _ in range(n_tasks))
    end = draw(st.sampled_from([b"\x00"] * 5 + [long(2**50), long(-3)]))
    counted = (long(n_tasks) + tasks if n_tasks else b"") + end
    deep = '{"a": ' + "[" * 300 + "]" * 300 + "}"
    metadata = string(draw(st.sampled_from(["{}", f'{{"a": "{MARK}"}}', "", "[]", "NaN", deep])))
    language = draw(st.sampled_from([b"\x00", b"\x02\x04en", b"\x07"]))
    return string(draw(texts)) + string(draw(texts)) + language + counted + metadata


def long(number: int) -> bytes:
    """Avro's zigzag number."""
    value, out = (number << 1) ^ (number >> 63), bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


schema_ids = st.sampled_from([1, 1, 1, 1, 2, 0, 3, 2**31, 2**32 - 1])
avro = st.builds(lambda number, record: struct.pack(">bI", 0, number) + record, schema_ids, avro_records())

encodings = st.builds(
    lambda event, how: how(json.dumps(event)),
    objects(),
    st.sampled_from(
        [
            lambda text: text.encode("utf-16"),
            lambda text: text.encode("utf-32-be"),
            lambda text: b"\xef\xbb\xbf" + text.encode(),
            lambda text: gzip.compress(text.encode(), 1),
            lambda text: zlib.compress(text.encode(), 1),
            lambda text: bytes(cramjam.zstd.compress(text.encode())),
            lambda text: text.encode().replace(MARK.encode(), b"\xff\xfe" + MARK.encode()),
            lambda text: text.replace(MARK, "\\ud800" + MARK).encode(),
            lambda text: b"PK\x03\x04" + text.encode(),
        ]
    ),
)
_ASKED = {"project": "loans", "deployment": "production"}
little = st.sampled_from(
    [
        None,
        b"",
        b"\x00",
        b"\x00\x00\x00\x00\x01",
        b"null",
        b"[]",
        b'""',
        b"0",
        b"{}",
        b"\xff",
        b" ",
        b"{",
        b"\x00" * 1000,
    ]
)
blank = st.sampled_from(["", " ", "\n\t", "\u2003\u3000", "\x1c\x1f"]).map(
    lambda text: json.dumps({"id": MARK, "text": text}).encode()
)
long_things = st.one_of(
    st.integers(1, 40).map(lambda n: json.dumps({"id": MARK * n * 50, "text": MARK}).encode()),
    st.integers(1, 3000).map(
        lambda n: json.dumps(
            {"id": MARK, "text": MARK, "tasks": [{"project": "loans", "deployment": "production"}] * n}
        ).encode()
    ),
    st.integers(1, 300).map(
        lambda n: json.dumps(
            {"id": MARK, "text": MARK, "tasks": [{"project": NAME, "deployment": f"no-{i}"} for i in range(n)]}
        ).encode()
    ),
    st.integers(1, 3000).map(lambda n: json.dumps({"id": MARK, "text": MARK, "tasks": [n] * n}).encode()),
)
values: SearchStrategy[bytes | None] = st.one_of(
    valid, utf8, valid, wrong_types(), mangled(), mangled(), odd_json(), avro, encodings, little, blank, long_things
)

keys = st.sampled_from(
    [None, b"", MARK.encode(), b"\xff\x00" + MARK.encode(), b"\xed\xa0\x80", (MARK * 2000).encode(), b"k"]
)
_OURS = ("lexstream-source", "lexstream-model", "lexstream-replayed-from", "__connect.errors.topic")
_OTHERS = (
    "__connect.errors.offset",
    "__connect.errors.exception.message",
    "traceparent",
    "",
    MARK,
    "\u202e",
    "h" * 5000,
)
header = st.tuples(
    st.sampled_from([*_OURS, *_OTHERS]),
    st.sampled_from([None, b"", MARK.encode(), b"\xff\xfe" + MARK.encode(), b"loans/production=sha256:" + b"0" * 64]),
)
headers: SearchStrategy[Headers] = st.one_of(
    st.just(()),
    st.lists(header, max_size=4),
    st.builds(lambda one, n: [one] * n, header, st.sampled_from([2, 50, 3000])),
    st.sampled_from([1, 100_000]).map(lambda n: [("big", MARK.encode() * n)]),
)
# Rarely large: ten thousand of them have to fit into a test.
few_headers = st.integers(0, 60).flatmap(lambda n: headers if n == 0 else st.lists(header, max_size=2))
messages = st.builds(Message, value=values, key=keys, headers=few_headers)


def examples(strategy: SearchStrategy[Any], count: int) -> list[Any]:
    """Return ``count`` examples, the same ones each time."""
    found: list[Any] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(example: Any) -> None:
        found.append(example)

    collect()
    return found[:count]


def varied(drawn: Sequence[Message], count: int) -> list[Message]:
    """Return ``count`` messages: those ``drawn`` from the grammar, and what becomes of them when bytes go astray."""
    chance = random.Random(20260105)
    found = list(drawn[:count])
    while len(found) < count:
        one, other = chance.choice(drawn), chance.choice(drawn)
        value = one.value if chance.random() < 0.1 else _astray(one.value or b"", other.value or b"", chance)
        found.append(Message(value, key=other.key, headers=one.headers if len(one.headers) < 9 else ()))
    return found


def _astray(value: bytes, other: bytes, chance: random.Random) -> bytes:
    at, to = chance.randint(0, len(value)), chance.randint(0, len(other))
    match chance.randrange(5):
        case 0:
            return value[:at] + other[to:]
        case 1:
            return value[:at] + bytes([chance.randrange(256)]) + value[at + 1 :]
        case 2:
            return value[:at] + value[at // 2 :]
        case 3:
            return value.replace(MARK.encode(), f"{MARK} {chance.random()}".encode())
    return value[:at]


def giants() -> Sequence[Message]:
    """Events of megabytes, most of them of the wrong kind."""

    def event(**fields: Any) -> bytes:
        return json.dumps({"id": MARK, "text": MARK, **fields}).encode()

    deep = b'{"id": "x", "text": "\\ud800", "a": ' + b"[" * 900 + b"0," * MEGABYTE + b"0" + b"]" * 900 + b"}"
    wide = b'{"id": "x", "text": "y", "metadata": {"a": [' + b"[]," * (2 * MEGABYTE) + b"0]}}"
    avro_tasks = b"\0\0\0\0\1\x02x\x02y\x00" + long(3 * MEGABYTE) + b"\0\0" * (3 * MEGABYTE) + b"\x00\x04{}"
    large = [
        event(text=f"{MARK} word " * 300_000),
        event(text="😀" + "a" * 5 * MEGABYTE),
        event(text="x" * 16 * MEGABYTE),
        event(id=MARK * MEGABYTE),
        event(metadata={MARK: "y" * 6 * MEGABYTE}),
        event(metadata={MARK: [0] * 90_000}),
        event(tasks=[0] * 2 * MEGABYTE),
        event(tasks=[{"project": "loans", "deployment": "production"}] * 100_000),
        event(language="x" * 3 * MEGABYTE),
        deep,
        wide,
        b'{"id": "x", "text": "y", "other": [' + b"{}," * (2 * MEGABYTE) + b"0]}",
        b'{"a":' * MEGABYTE,
        b"[" * 7 * MEGABYTE,
        b"\x00" * 16 * MEGABYTE,
        avro_tasks,
        gzip.compress(b"0" * 500 * MEGABYTE, 1),
        bytes(cramjam.zstd.compress(b"0" * 500 * MEGABYTE)),
    ]
    return [
        *map(Message, large),
        Message(event(), key=MARK.encode() * MEGABYTE),
        Message(event(), headers=[("big", b"h" * 9 * MEGABYTE)]),
        Message(event(), headers=[(MARK, b"")] * 50_000),
        Message(event(), headers=[("h" * 30_000, b"\xff" * 1_000_000)]),
    ]

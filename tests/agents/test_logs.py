"""Logs."""

import io
import logging
from collections.abc import Iterator

import orjson
import pytest
from aiokafka.errors import GroupCoordinatorNotAvailableError, GroupLoadInProgressError

from agents.logs import PATIENCE_S, QUIET_S, JsonLines, Patience, RateLimit, Text, setup_logs


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in ("aiokafka", "faust", "mode", "kafka", "agents")}
    logging.getLogger("agents").setLevel(logging.NOTSET)
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def record(message: str = "broker %s away", *args: object, name: str = "aiokafka.conn") -> logging.LogRecord:
    return logging.LogRecord(name, logging.WARNING, __file__, 1, message, args or ("b",), None)


def test_a_client_that_repeats_itself_is_heard_every_five_seconds() -> None:
    now = [0.0]
    limit = RateLimit(clock=lambda: now[0])
    assert limit.filter(record())
    assert [limit.filter(record("broker %s away", n)) for n in range(50)] == [False] * 50
    assert limit.filter(record("something else"))
    now[0] = 5.0
    late = record()
    assert limit.filter(late)
    assert late.getMessage() == "broker b away (50 more like this were left out)"


def test_our_own_lines_are_never_left_out() -> None:
    limit = RateLimit(clock=lambda: 0.0)
    assert all(limit.filter(record(name="agents.worker")) for _ in range(10))


def test_json_lines_carry_the_extras() -> None:
    one = record()
    one.action = "retry"
    line = orjson.loads(JsonLines().format(one))
    assert line["message"] == "broker b away"
    assert (line["level"], line["logger"], line["action"]) == ("warning", "aiokafka.conn", "retry")
    assert line["at"].endswith("Z")
    assert set(line) == {"at", "level", "logger", "message", "action"}


def test_json_lines_take_any_extra() -> None:
    line = record()
    line.offsets, line.path = {0: (1, 2)}, Ellipsis
    found = orjson.loads(JsonLines().format(line))
    assert (found["offsets"], found["path"]) == ({"0": [1, 2]}, "Ellipsis")


def test_text_is_short() -> None:
    line = Text().format(record(name="agents.loader"))
    assert "loader: broker b away" in line
    assert "agents" not in line


def test_elsewhere_than_on_a_terminal_logs_are_json() -> None:
    out = io.StringIO()
    setup_logs("INFO", "auto", out)
    logging.getLogger("agents.x").info("hello")
    assert orjson.loads(out.getvalue())["message"] == "hello"


def test_clients_never_write_the_keys_and_values_they_send() -> None:
    out = io.StringIO()
    setup_logs("DEBUG", "text", out)
    logging.getLogger("aiokafka.producer.producer").debug("Sending (key=%s value=%s)", b"k", b"secret")
    logging.getLogger("agents.x").debug("ours")
    assert "secret" not in out.getvalue()
    assert "ours" in out.getvalue()


def no_coordinator() -> logging.LogRecord:
    error = GroupCoordinatorNotAvailableError()
    name = "aiokafka.consumer.group_coordinator"
    return logging.LogRecord(name, logging.ERROR, __file__, 1, "Group Coordinator Request failed: %s", (error,), None)


def test_a_fresh_kafka_without_a_coordinator_is_no_error_until_it_lasts() -> None:
    now = [0.0]
    patience = Patience(clock=lambda: now[0])
    for now[0] in (0.0, 0.1, PATIENCE_S):
        assert not patience.filter(no_coordinator())
    now[0] += 0.1
    assert patience.filter(no_coordinator())
    now[0] += QUIET_S + 0.1  # it was there meanwhile
    assert not patience.filter(no_coordinator())


def test_a_coordinator_that_comes_and_goes_is_written_although_it_is_never_away_for_long() -> None:
    now = [0.0]
    patience = Patience(clock=lambda: now[0])
    told = []
    for now[0] in (0.0, 15.0, 30.0, 45.0, 45.0 + QUIET_S):
        told.append(patience.filter(no_coordinator()))
    assert told == [False, True, True, True, True]


def test_a_coordinator_that_moves_is_no_error_either() -> None:
    patience = Patience(clock=lambda: 0.0)
    assert not patience.filter(record("Marking the coordinator dead (node %s)for group %s.", 1, "lexstream"))


def test_other_errors_of_a_client_are_written_at_once() -> None:
    patience = Patience(clock=lambda: 0.0)
    other = no_coordinator()
    other.args = (GroupLoadInProgressError(),)
    assert patience.filter(other)
    assert patience.filter(record("NotCoordinator %s", "[Error 15]"))


def test_logs_that_are_set_up_have_this_patience() -> None:
    out = io.StringIO()
    setup_logs("INFO", "json", out)
    logging.getLogger("aiokafka.x").handle(no_coordinator())
    assert out.getvalue() == ""

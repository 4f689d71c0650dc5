"""The command line from outside: help, JSON, errors in one line, exit codes, settings."""

import errno
import fcntl
import gc
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from agents.cli import context, errors
from agents.cli.main import program, run
from agents.cli.options import OPTIONS, PASSWORDS, arguments, flag
from agents.cli.up import children
from agents.settings import PREFIX, Settings, load_settings
from schemas.errors import InvalidInput, Unavailable

NOBODY = "localhost:1"


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("LEXSTREAM_BROKER_WAIT_S", "0")


def paths(command: object, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    inside = getattr(command, "commands", {})
    return [path] + [found for name, each in inside.items() for found in paths(each, (*path, name))]


COMMANDS = paths(program())


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_each_command_explains_itself(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*path, "--help"]) == 0
    said = capsys.readouterr().out
    assert "Usage: lexstream" in said
    if path and not any(other[: len(path)] == path and other != path for other in COMMANDS):
        assert f"Example: lexstream {' '.join(path)}" in " ".join(said.split())
        assert "--json" in said


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_a_terminal_of_80_columns_cuts_no_option(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run([*path, "--help"]) == 0
    said = capsys.readouterr().out
    assert re.findall(r"--[a-z-]+…", said) == []


def test_paragraphs_flow_in_a_terminal_of_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run(["prove", "--help"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert "model is swapped every few seconds and others are trained, by commands that" in lines


def test_the_commands_of_the_contract_are_there_and_later_ones_are_not() -> None:
    nouns = {path[0] for path in COMMANDS if path}
    assert nouns == {
        "analyze", "bench", "broker", "dead-letters", "demo", "deploy", "deployments", "evaluate", "events", "jobs",
        "labels", "models", "project", "prove", "publish", "report", "rollback", "routes", "settings", "swap", "topics",
        "train", "trainer", "up", "watch", "worker",
    }  # fmt: skip


def test_help_imports_no_heavy_library() -> None:
    code = (
        "import sys; from agents.cli.main import run; run(['--help']);"
        "heavy = {'torch', 'transformers', 'sklearn', 'onnx', 'onnxruntime', 'aiokafka', 'faust', 'pydantic', 'numpy'};"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize(
    "words",
    [
        ["train", "loans"],
        ["train", "loans", "--mdel", "v1"],
        ["nonsense"],
        ["publish", "missing.txt", "--task", "loans/production"],
        ["project", "create", "has space", "--kind", "entities"],
        ["project", "delete", "loans"],
        ["labels", "check", "missing.json"],
        ["analyze", "loans/production", "missing.txt"],
        ["watch"],
        ["project", "list"],
        ["broker", "start", "--brokers", "kafka.example.com:9092"],
        ["settings", "--threads", "-1"],
        ["settings", "--lane", "a"],
    ],
    ids=" ".join,
)
def test_what_cannot_work_is_one_line_on_stderr(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    given = words if "--brokers" in words else [*words, "--brokers", NOBODY]
    assert run(given) in {1, 2}
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("lexstream: ")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["publish", "-", "--topic", "control"], "lexstream.control is no input, expected an input of a lane"),
        (["publish", "-", "--task", "loans"], "task 'loans': expected PROJECT/DEPLOYMENT"),
        (["analyze", "loans", "missing.txt"], "task 'loans': expected PROJECT/DEPLOYMENT"),
        (["project", "create", "loans", "--kind", "poetry"], "--kind poetry: expected entities"),
        (["train", "loans", "--model", "v1", "--split", "150"], "--split 150: expected a percentage from 1 to 99"),
        (["dead-letters", "show", "first"], "first: expected PARTITION:OFFSET such as 0:17"),
        (["settings", "--schema-registry-url", "https://a:b@c"], "--schema-registry-url: got a user in the URL"),
        (["dead-letters", "list", "--since", "5x"], "--since 5x: expected a time such as"),
        (["dead-letters", "list", "--limit", "-1"], "--limit: got '-1', expected at least 0; see --help"),
        (["prove", "--kill-every", "inf"], "--kill-every: got 'inf', expected at most 86400"),
        (["prove", "--sabotage", "x"], "--sabotage: 'x' is not one of 'commit-before-produce', 'one-producer'; see"),
        (["dead-letters", "replay", "--until", "5x"], "--until 5x: expected a time such as"),
        (["dead-letters", "list", "--source", "a/b"], "--source a/b: expected TOPIC"),
        (["dead-letters", "list", "--source", "a/1@7-6"], "--source a/1@7-6: 6 is before 7, expected FROM-TO"),
        (["dead-letters", "list", "--since", "2h", "--until", "3h"], "expected --until to be later"),
        (["dead-letters", "replay", "--since", "2026-01-05", "--until", "2026-01-05"], "nothing is between them"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_wrong_values_of_options_end_with_2_before_kafka_is_asked(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*words, "--brokers", NOBODY]) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert shown.count("\n") == 1


def test_a_missing_broker_is_named_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["jobs", "list", "--brokers", NOBODY]) == 1
    assert capsys.readouterr().err == (
        f"lexstream: no Kafka answers at {NOBODY}; start one with `lexstream broker start`, "
        "or set its address with --brokers\n"
    )


def test_a_missing_broker_over_tls_is_told_with_what_else_may_be_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["jobs", "list", "--brokers", NOBODY, "--security-protocol", "SSL"]) == 1
    said = capsys.readouterr().err
    assert "answers at localhost:1 over SSL; " in said
    assert "--brokers, security_protocol, sasl_* and ssl_*" in said


def test_a_command_that_nobody_told_to_wait_waits_for_two_seconds_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert context.Cli({"broker_wait_s": 9.0}).client().settings.broker_wait_s == 9
    monkeypatch.delenv("LEXSTREAM_BROKER_WAIT_S")
    assert context.Cli({}).client().settings.broker_wait_s <= 2


def test_wrong_settings_end_with_2_wherever_they_stand(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
) -> None:
    assert run(["settings", "--threads", "-1"]) == 2
    (tmp_path / "lexstream.toml").write_text("threads = [")
    assert run(["settings"]) == 2
    (tmp_path / "lexstream.toml").write_text("")
    capsys.readouterr()
    monkeypatch.setenv("LEXSTREAM_THREADS", "many")
    assert run(["settings"]) == 2
    said = "threads: got 'many', expected an integer (threads is set in the environment)"
    assert capsys.readouterr().err == f"lexstream: {said}\n"
    monkeypatch.setenv("LEXSTREAM_THREDS", "2")
    for command in ("settings", "worker", "trainer", "jobs list"):
        assert run(command.split()) == 2
        assert capsys.readouterr().err == "lexstream: environment: threds is no setting\n"
    gc.collect()
    assert not [each for each in recwarn if "never awaited" in str(each.message)], "Python would say so"


def test_several_problems_are_a_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text('{"id": "a"}\nnonsense\n{"text": ""}\n{"text": "good"}\n[1]\n')
    assert run(["publish", str(file), "--brokers", NOBODY]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "lexstream: 4 problems:"
    assert [line.split(":")[1] for line in lines[1:]] == ["1", "2", "3", "5"]


def test_interrupting_gives_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(context.Cli, "run", interrupted)
    with pytest.warns(RuntimeWarning, match="never awaited"):
        assert run(["project", "list"]) == errors.INTERRUPTED


def test_an_unexpected_error_is_one_line_too() -> None:
    with pytest.raises(SystemExit) as end, errors.exit_codes():
        raise ZeroDivisionError("1/0")
    assert end.value.code == 1


@pytest.mark.parametrize(
    ("error", "lines"),
    [
        (Unavailable("the store\n  is away"), ["the store is away"]),
        (InvalidInput(["a"]), ["a"]),
        (InvalidInput(["a", "b"]), ["2 problems:", "  a", "  b"]),
        (FileNotFoundError(2, "No such file or directory", "x.txt"), ["no such file: x.txt"]),
        (FileNotFoundError(2, "No such file or directory", "/nosuch/x.txt"), ["no such folder: /nosuch"]),
        (PermissionError(13, "Permission denied", "x.txt"), ["x.txt: Permission denied"]),
        (OSError(errno.EFBIG, "File too large", "x.txt"), ["x.txt: File too large; free some and try again"]),
        (ValueError("our mistake"), None),
    ],
)
def test_errors_are_explained(error: Exception, lines: list[str] | None) -> None:
    assert errors.describe(error) == lines


def test_every_setting_but_passwords_is_an_option_with_the_same_sentence() -> None:
    assert set(OPTIONS) == set(Settings.model_fields) - PASSWORDS
    for name, option in OPTIONS.items():
        assert option.help == " ".join((Settings.model_fields[name].description or "").split())


def test_the_choices_of_options_are_those_of_the_settings() -> None:
    schema = Settings.model_json_schema()
    for name, option in OPTIONS.items():
        field = schema["properties"][name]
        allowed = field.get("enum") or schema.get("$defs", {}).get(field.get("$ref", "").rpartition("/")[2], {}).get(
            "enum"
        )
        assert list(get_args(option.annotation)) == (allowed or []) or option.annotation == list[str]


def settings_of(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, dict[str, object]]:
    assert run([*words]) == 0
    found: dict[str, dict[str, object]] = json.loads(capsys.readouterr().out)
    return found


def test_options_beat_the_file_and_the_file_beats_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LEXSTREAM_NAMESPACE", "environment")
    monkeypatch.setenv("LEXSTREAM_GROUP", "environment")
    monkeypatch.setenv("LEXSTREAM_THREADS", "1")
    (tmp_path / "lexstream.toml").write_text('namespace = "file"\ngroup = "file"\n')
    found = settings_of(capsys, "--threads", "7", "settings", "--namespace", "option", "--threads", "2", "--json")
    shown = {name: (found[name]["value"], found[name]["origin"]) for name in ("namespace", "group", "threads", "home")}
    assert shown["namespace"] == ("option", "option")
    assert shown["group"] == ("file", "file")
    assert shown["threads"] == (2, "option")
    assert shown["home"][1] == "default"


def test_the_help_of_settings_has_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["settings", "--help"]) == 0
    said = capsys.readouterr().out
    assert [flag(name) for name in OPTIONS if flag(name) not in said] == []


def test_an_error_at_the_debug_level_shows_where_and_ends_as_ever(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LEXSTREAM_LOG_LEVEL", "DEBUG")
    assert run(["settings", "--threads", "-1"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("Traceback")
    assert said.splitlines()[-1] == "lexstream: threads: got -1, expected at least 0"


@pytest.mark.parametrize("words", [["settings"], ["settings", "--json"], ["--help"]], ids=" ".join)
def test_a_pipe_that_nobody_reads_ends_a_command_with_141_and_no_word(words: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "agents.cli.main", *words]
    ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (141, b"")


def test_secrets_are_masked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("LEXSTREAM_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("LEXSTREAM_SASL_USERNAME", "anna")
    monkeypatch.setenv("LEXSTREAM_SASL_PASSWORD", "hunter2")
    monkeypatch.setenv("LEXSTREAM_SCHEMA_REGISTRY_URL", "https://user:hunter2@registry")
    monkeypatch.setenv("LEXSTREAM_STORE", "ftp://user:hunter2@host/store")
    found = settings_of(capsys, "settings", "--json")
    assert found["sasl_password"]["value"] == "******"
    assert found["ssl_password"]["value"] is None
    assert found["store"]["value"] == "ftp://******@host/store"
    assert run(["settings"]) == 0
    assert "hunter2" not in json.dumps(found) + capsys.readouterr().out


def test_output_without_a_terminal_has_no_control_codes(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["settings"], ["--help"], ["worker", "--help"]):
        run(words)
    assert "\x1b" not in capsys.readouterr().out


def test_options_can_be_given_to_another_process() -> None:
    options = {"namespace": "x", "lanes": ["a:b", "c:d"], "include_text": False, "threads": 2, "group": None}
    words = arguments(options)
    assert words == ["--namespace", "x", "--lane", "a:b", "--lane", "c:d", "--no-include-text", "--threads", "2"]
    assert flag("metrics_port") == "--metrics-port"


def test_up_gives_each_worker_a_lasting_name_and_one_the_metrics_port() -> None:
    cli = context.Cli({"group_instance_id": "here", "namespace": "x"})
    first, second, trainer = children(cli, workers=2, trainers=1)
    assert [first.name, second.name, trainer.name] == ["worker-1", "worker-2", "trainer-1"]
    assert first.argv[3:] == ["worker", "--group-instance-id", "here", "--namespace", "x"]
    assert second.argv[3:] == [
        "worker", "--group-instance-id", "here-2", "--namespace", "x", "--metrics-port", "0"
    ]  # fmt: skip
    assert trainer.argv[3] == "trainer"


@pytest.mark.parametrize("options", [{"group_instance_id": "here"}, {}])
def test_up_gives_no_two_trainers_the_same_name(options: dict[str, object]) -> None:
    made = children(context.Cli(options), workers=1, trainers=2)[1:]
    names = [each.argv[each.argv.index("--group-instance-id") + 1] for each in made]
    assert len(set(names)) == 2
    assert names[1].endswith("-2")


def test_a_second_up_of_one_home_is_told_what_runs_and_how_to_stop_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (tmp_path / "up.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        held.write("1234")
        held.flush()
        assert run(["up", "--home", str(tmp_path), "--brokers", NOBODY]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"lexstream: `lexstream up` runs already with the home {tmp_path} (process 1234); stop it ")
    assert "`kill 1234`" in said
    assert said.count("\n") == 1


def test_up_starts_nothing_when_its_metrics_port_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        assert run(["up", "--home", str(tmp_path), "--brokers", NOBODY, "--metrics-port", port]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"lexstream: port {port} of 127.0.0.1 cannot be had for /metrics (Address already in use); ")
    assert said.count("\n") == 1


def test_up_starts_no_child_again_that_says_that_no_restart_can_mend_it() -> None:
    assert {each.hopeless for each in children(context.Cli({}), workers=1, trainers=1)} == {frozenset({2, 5})}


def test_settings_of_the_command_line_are_those_of_the_processes() -> None:
    cli = context.Cli({"namespace": "x"})
    assert cli.settings == load_settings({"namespace": "x"})

"""What is published: which files, under which ids, and only what somebody would answer."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer

from agents.cli.inputs import Defaults, Source, check, find_sources, messages, nobody_asked, read_tasks, unknown_tasks
from agents.cli.topics import input_topic
from agents.registry import Registry
from schemas.documents import Task
from schemas.errors import InvalidInput
from schemas.records import DeploymentRecord, ModelReference, record_key
from tests.agents.control_kit import settings_of

AT = datetime(2026, 1, 5, tzinfo=UTC)
LIVE = Task(project="loans", deployment="live")


def registry_of(*tasks: Task) -> Registry:
    model = ModelReference(label="v1", digest=f"sha256:{'1' * 64}")
    made = [
        DeploymentRecord(project=each.project, name=each.deployment, model=model, deployed_at=AT, command_id="1")
        for each in tasks
    ]
    return Registry({record_key(record): record for record in made})


def ids(source: Source) -> list[str]:
    return [message.key.decode() for message in messages([source], Defaults()) if message.key]


def test_files_of_a_folder_that_are_left_out_are_told_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("letter")
    (tmp_path / "b.pdf").write_bytes(b"%PDF")
    (tmp_path / "c.md").write_text(" \n")
    (tmp_path / "d.jsonl").write_text("")
    found = find_sources([str(tmp_path)])
    assert [source.name for source in found.sources] == ["a.txt"]
    assert found.skipped == {
        str(tmp_path / "b.pdf"): "expected a file that ends with .txt, .md, .text, .jsonl or .ndjson",
        str(tmp_path / "c.md"): "it is empty",
        str(tmp_path / "d.jsonl"): "it is empty",
    }


def test_a_folder_without_a_document_and_an_empty_file_by_its_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text("")
    with pytest.raises(InvalidInput, match="expected a file with text in this folder"):
        find_sources([str(tmp_path)])
    with pytest.raises(InvalidInput, match="expected some text"):
        check(find_sources([str(tmp_path / "c.txt")]).sources, Defaults())


@pytest.mark.parametrize("text", ["one letter", '{"text": "a"}\n\n{"text": "b"}\n'])
def test_ids_from_stdin_are_others_in_each_run_and_the_same_within_it(text: str) -> None:
    first, second = Source.stdin(text), Source.stdin(text)
    assert ids(first) == ids(first)
    assert not set(ids(first)) & set(ids(second))
    assert all(each.startswith("stdin-") for each in ids(first))
    assert len(set(ids(first))) == len(ids(first))


def test_ids_of_files_are_the_same_in_each_run(tmp_path: Path) -> None:
    (tmp_path / "lines.jsonl").write_text('{"text": "a"}\n{"id": "own", "text": "b"}\n')
    (source,) = find_sources([str(tmp_path / "lines.jsonl")]).sources
    assert ids(source) == ["lines-1", "own"]


def test_all_tasks_that_documents_ask_are_known_before_anything_is_sent() -> None:
    own = '{"text": "a", "tasks": [{"project": "tickets", "deployment": "live"}]}\n{"text": "b"}'
    checked = check([Source.stdin(own)], Defaults(tasks=read_tasks(["loans/live"])))
    assert checked.count == 2
    assert checked.tasks == {LIVE, Task(project="tickets", deployment="live")}
    assert unknown_tasks(checked.tasks, registry_of(*checked.tasks)) == []
    assert unknown_tasks(checked.tasks, registry_of(LIVE)) == [
        "task tickets/live: there is no such deployment; expected one of: loans/live"
    ]
    assert "expected one of: none yet" in unknown_tasks(checked.tasks, registry_of())[0]


def test_documents_that_ask_nobody_are_told_where_no_default_task_is_set() -> None:
    own = '{"text": "a"}\n{"text": "b", "tasks": [{"project": "p", "deployment": "d"}]}'
    checked = check([Source.stdin(own)], Defaults())
    (said,) = nobody_asked(checked, SETTINGS, "ns.documents")
    assert said.startswith("1 of 2 documents name no task; unless the workers' default_tasks name one for ns.documents")
    assert nobody_asked(checked, SETTINGS, "theirs") == []
    answered = settings_of("nowhere:1", "ns", Path("/nowhere"), default_tasks=["loans/live"])
    assert nobody_asked(checked, answered, "ns.documents") == []
    asked = check([Source.stdin("a")], Defaults(tasks=(LIVE,)))
    assert nobody_asked(asked, SETTINGS, "ns.documents") == []


def same_named(tmp_path: Path, name: str, text: str) -> list[str]:
    for folder in ("april", "may"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(text)
    return [str(tmp_path / "april" / name), str(tmp_path / "may" / name)]


@pytest.mark.parametrize(("name", "text"), [("letter.txt", "a letter"), ("lines.jsonl", '{"text": "a"}')])
def test_files_of_one_name_whose_documents_would_have_one_id_are_refused(tmp_path: Path, name: str, text: str) -> None:
    files = same_named(tmp_path, name, text)
    with pytest.raises(InvalidInput) as error:
        check(find_sources(files).sources, Defaults())
    (problem,) = error.value.problems
    assert problem.startswith(f"{files[0]} and {files[1]} would give their documents the same ids")
    folders = [str(tmp_path / "april"), str(tmp_path / "may")]
    with pytest.raises(InvalidInput, match="same ids"):
        check(find_sources(folders).sources, Defaults())


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("letter.txt", "a letter", {"april/letter.txt", "may/letter.txt"}),
        ("lines.jsonl", '{"text": "a"}', {"april/lines-1", "may/lines-1"}),
    ],
)
def test_a_folder_that_holds_both_tells_them_apart(tmp_path: Path, name: str, text: str, found: set[str]) -> None:
    same_named(tmp_path, name, text)
    sources = find_sources([str(tmp_path)]).sources
    assert check(sources, Defaults()).count == 2
    assert {one for source in sources for one in ids(source)} == found


def test_a_text_called_as_a_file_of_json_lines_without_its_ending_has_another_id(tmp_path: Path) -> None:
    text, lines = tmp_path / "letter", tmp_path / "letter.jsonl"
    text.write_text("a letter")
    lines.write_text('{"text": "a"}')
    sources = find_sources([str(text), str(lines)]).sources
    assert check(sources, Defaults()).count == 2
    assert [one for source in sources for one in ids(source)] == ["letter", "letter-1"]


def test_json_lines_of_two_endings_but_one_stem_are_refused(tmp_path: Path) -> None:
    for name in ("lines.jsonl", "lines.ndjson"):
        (tmp_path / name).write_text('{"text": "a"}')
    with pytest.raises(InvalidInput, match="same ids"):
        check(find_sources([str(tmp_path)]).sources, Defaults())


def test_files_of_one_name_may_bring_their_own_ids_and_a_file_may_come_twice(tmp_path: Path) -> None:
    files = same_named(tmp_path, "lines.jsonl", '{"id": "lines-1", "text": "a"}')
    assert check(find_sources(files).sources, Defaults()).count == 2
    letter = tmp_path / "letter.txt"
    letter.write_text("a letter")
    assert check(find_sources([str(letter), str(letter)]).sources, Defaults()).count == 2


SETTINGS = settings_of("nowhere:1", "ns", Path("/nowhere"), lanes=["orders.in:orders.out", "ns.enriched:again"])


@pytest.mark.parametrize(
    "name",
    [
        "control", "control-events", "registry", "labels", "jobs", "replays", "dead-letters", "replies", "routes.fraud",
        "ns.control", "ns.routes.fraud", "orders.out", "again",
    ],
)  # fmt: skip
def test_a_topic_of_ours_that_is_no_input_takes_no_documents(name: str) -> None:
    with pytest.raises(typer.BadParameter) as caught:
        input_topic(SETTINGS, name)
    said = caught.value.message
    assert said.startswith(f"--topic {name}: ")
    assert "is no input, expected an input of a lane (ns.documents, ns.enriched, ns.requests, orders.in)" in said


@pytest.mark.parametrize(
    ("name", "topic"),
    [
        ("documents", "ns.documents"), ("requests", "ns.requests"), ("ns.requests", "ns.requests"),
        ("orders.in", "orders.in"), ("theirs", "theirs"), ("other.control", "other.control"),
        ("enriched", "ns.enriched"),  # a lane reads it
    ],
)  # fmt: skip
def test_inputs_of_lanes_and_topics_that_are_not_ours_take_documents(name: str, topic: str) -> None:
    assert input_topic(SETTINGS, name) == topic

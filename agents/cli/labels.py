"""``lexstream labels``: labelled documents, from many formats into the project and back."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agents.cli.context import Cli, command
from agents.cli.project import ProjectName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agents.client import Client
    from schemas.label_checks import Findings
    from schemas.label_set import LabelSet
    from schemas.labels import LabelledDocument
    from schemas.records import ProjectRecord

app = typer.Typer(no_args_is_help=True, help="Labels: documents with what is to be found in them.")
LabelsFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="Azure's labels file, CoNLL, JSON lines, Label Studio or CSV.")
]
Documents = Annotated[
    Path | None,
    typer.Option(
        help="Folder with the texts, where the format keeps them apart; default: documents/ beside the file, or its "
        "own folder."
    ),
]


@command(app, "check", example="lexstream labels check labels.json --documents documents/")
def check(
    cli: Cli,
    file: LabelsFile,
    documents: Documents = None,
    kind: Annotated[
        str | None, typer.Option(help="entities, single-label or multi-label; default: as it says.")
    ] = None,
) -> None:
    """Say all that is wrong with labels, without Kafka; the exit code is 0 only if they can be imported."""
    from agents.cli.project import read_kind
    from schemas.label_checks import check_labels

    labels = read_labels_of(file, documents)
    findings = check_labels(labels, kind=read_kind(kind) if kind else None)
    if cli.for_machines:
        cli.emit({**_facts(labels), "problems": list(findings.problems), "warnings": list(findings.warnings)})
        raise typer.Exit(1 if findings.problems else 0)
    _warn(cli, findings)
    _refuse(findings)
    facts = _facts(labels)
    cli.out.print(
        f"[good]✓[/good] {facts['documents']} documents, {facts['labelled']} of them labelled; "
        f"categories: {', '.join(facts['categories'])}"
    )


def _facts(labels: "LabelSet") -> dict[str, Any]:
    return {
        "kind": labels.kind.value if labels.kind else None,
        "documents": len(labels.documents),
        "labelled": sum(document.labelled for document in labels.documents),
        "categories": list(labels.categories),
    }


def _warn(cli: Cli, findings: "Findings") -> None:
    for warning in findings.warnings:
        cli.err.print(f"[middling]![/middling] {warning}", markup=True)


def _refuse(findings: "Findings") -> None:
    from schemas.errors import InvalidLabels

    if findings.problems:
        raise InvalidLabels(findings.problems)


def read_labels_of(file: Path, documents: Path | None) -> "LabelSet":
    """Return what a labels file says, with the texts."""
    from schemas.label_formats import detect_and_read

    return detect_and_read(file, documents or _texts_beside(file))


def _texts_beside(file: Path) -> Path:
    folder = file.parent / "documents"
    return folder if folder.is_dir() else file.parent


@command(app, "import", shown=("store",), example="lexstream labels import loans labels.json --documents documents/")
def import_labels(cli: Cli, project: ProjectName, file: LabelsFile, documents: Documents = None) -> None:
    """Replace a project's labelled documents by those of a file. All or nothing."""
    labels = read_labels_of(file, documents)

    async def work() -> None:
        async with cli.client() as client:
            await put_labels(cli, client, project, LabelsSource(file, labels))

    cli.run(work())
    _say_imported(cli, project, labels)


def _say_imported(cli: Cli, project: str, labels: "LabelSet") -> None:
    if not cli.for_machines:
        facts = _facts(labels)
        cli.out.print(
            f"[good]✓[/good] {project} has {facts['labelled']} labelled documents; "
            f"next: [bold]lexstream train {project} --model v1[/bold]"
        )


@dataclass(frozen=True, slots=True)
class LabelsSource:
    """A labels file and what was read from it."""

    file: Path
    labels: "LabelSet"


async def put_labels(cli: Cli, client: "Client", project: str, source: LabelsSource) -> None:
    """Check labels, put them into the store, and have them imported.

    Raises:
        InvalidInput: If there is no such project.
        InvalidLabels: With all that is wrong with the labels.
    """
    import asyncio

    from agents.cli.follow import perform
    from schemas.commands import ImportLabels, ImportLabelsCommand
    from schemas.errors import InvalidInput
    from schemas.label_checks import check_labels

    record = (await client.registry()).project(project)
    if record is None:
        raise InvalidInput([f"there is no project {project}; make it with `lexstream project create {project} …`"])
    findings = check_labels(source.labels, kind=record.kind)
    _warn(cli, findings)
    _refuse(findings)
    digest = await asyncio.to_thread(cli.store().put, bundle_of(record, source))
    await perform(cli, client, ImportLabelsCommand(project=project, parameters=ImportLabels(bundle=digest)))


def bundle_of(project: "ProjectRecord", source: LabelsSource) -> bytes:
    """Return labels and texts as one: Azure's file as it is, other formats turned into it.

    No two bundles are the same: each is deleted after its import, which must not take away another's.
    """
    from uuid import uuid4

    import orjson

    from schemas.label_set import documents_of
    from schemas.labels_export import labels_file

    labels = source.labels
    if labels.envelope is not None:
        file = orjson.loads(source.file.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    else:
        record = project.model_copy(update={"categories": list(labels.categories)})
        file = labels_file(record, documents_of(labels, project=project.name))
    texts = {document.id: document.text for document in labels.documents}
    return orjson.dumps({"labelsFile": file, "documents": texts, "nonce": uuid4().hex})


@command(app, "export", example="lexstream labels export loans labels.json --documents documents/")
def export(
    cli: Cli,
    project: ProjectName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Written: .json, .jsonl or .conll.")],
    documents: Annotated[Path | None, typer.Option(help="Folder that gets the texts.")] = None,
) -> None:
    """Write a project's labels: as Azure's labels file, or by the file's ending as .jsonl or .conll."""
    export_labels(cli, project, file, documents)


def export_labels(cli: Cli, project: str, file: Path, documents: Path | None) -> None:
    """Write labels and, if a folder is given, texts."""
    from models import files

    record, labelled = cli.run(_read_project(cli, project))
    if documents:
        for document in labelled:
            _write_text(documents, document.id, document.text)
    files.export(file, exported(record, labelled, suffix=file.suffix))
    if cli.for_machines:
        cli.emit({"file": str(file), "documents": len(labelled)})
    else:
        cli.out.print(f"[good]✓[/good] wrote {file} with {len(labelled)} documents")


async def _read_project(cli: Cli, project: str) -> "tuple[ProjectRecord, tuple[Any, ...]]":
    from agents.labels import read_labels
    from schemas.errors import InvalidInput

    async with cli.client() as client:
        record = (await client.registry()).project(project)
        if record is None:
            raise InvalidInput([f"there is no project {project}; see `lexstream project list`"])
        return record, (await read_labels(cli.settings, project)).documents


def exported(record: "ProjectRecord", labelled: "Sequence[LabelledDocument]", *, suffix: str) -> bytes:
    """Return labels in the format that a file's ending asks for: .jsonl, .conll, else Azure's labels file.

    Raises:
        InvalidInput: If the format has no place for the project's kind of labels.
    """
    import orjson

    from schemas.errors import InvalidInput
    from schemas.label_formats import write_conll, write_jsonl
    from schemas.labels_export import labels_file
    from schemas.names import Kind

    match suffix.lower():
        case ".jsonl" | ".ndjson":
            return "".join(write_jsonl(labelled, kind=record.kind)).encode()
        case ".conll" if record.kind is Kind.ENTITIES:
            return "".join(write_conll(labelled)).encode()
        case ".conll":
            raise InvalidInput([f"CoNLL holds entities, and {record.name} has classes; write .jsonl or .json"])
        case _:
            return orjson.dumps(labels_file(record, labelled), option=orjson.OPT_INDENT_2)


def _write_text(folder: Path, location: str, text: str) -> None:
    from models import files
    from schemas.errors import InvalidInput

    path = folder / location
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InvalidInput([f"document {location!r} would be written outside {folder}"])
    files.export(path, text.encode())


def import_whole_project(cli: Cli, folder: Path, name: str | None) -> None:
    """Make a project from a folder with labels.json and documents/, and import its labels."""
    file = _labels_file_in(folder)
    labels = read_labels_of(file, None)
    project = name or _project_name(file)

    async def work() -> None:
        async with cli.client() as client:
            await make_project(cli, client, project, LabelsSource(file, labels))

    cli.run(work())
    _say_imported(cli, project, labels)


async def make_project(cli: Cli, client: "Client", project: str, source: LabelsSource) -> None:
    """Make a project as the labels file describes it, and import its labels."""
    from agents.cli.follow import perform
    from schemas.commands import CreateProject, CreateProjectCommand
    from schemas.errors import InvalidLabels
    from schemas.label_checks import check_labels

    _refuse(check_labels(source.labels))
    labels = source.labels
    if labels.envelope is None or labels.kind is None:
        raise InvalidLabels([f"{source.file}: expected a labels file that says kind and language, such as Azure's"])
    parameters = CreateProject(
        kind=labels.kind,
        language=labels.envelope.language,
        multilingual=labels.envelope.multilingual,
        description=labels.envelope.description,
        confidence_threshold=labels.envelope.confidence_threshold,
    )
    await perform(cli, client, CreateProjectCommand(project=project, parameters=parameters))
    await put_labels(cli, client, project, source)


def _labels_file_in(folder: Path) -> Path:
    from schemas.errors import InvalidInput

    found = sorted(folder.glob("*.json"))
    if (folder / "labels.json") in found:
        return folder / "labels.json"
    if len(found) == 1:
        return found[0]
    raise InvalidInput([f"{folder}: expected labels.json, or exactly one .json file; found {len(found)}"])


def _project_name(file: Path) -> str:
    import orjson

    from schemas.errors import InvalidInput

    metadata = orjson.loads(file.read_bytes().removeprefix(b"\xef\xbb\xbf")).get("metadata", {})
    name = metadata.get("projectName")
    if not isinstance(name, str):
        raise InvalidInput([f"{file}: expected metadata.projectName; give a name with --name"])
    return name

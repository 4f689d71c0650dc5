"""``lexstream train``, ``evaluate`` and ``report``: models made, measured and looked at."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from agents.cli.context import TEACH, Cli, command
from agents.cli.project import ProjectName

if TYPE_CHECKING:
    from agents.client import Client
    from models.evaluation.results import Evaluation
    from schemas.commands import Command

ModelLabel = Annotated[str, typer.Argument(metavar="MODEL", help="The model's label.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the program."""
    command(app, "train", shown=("store",), example="lexstream train loans --model v1 --split 80", panel=TEACH)(train)
    command(app, "evaluate", shown=("store",), example="lexstream evaluate loans v1", panel=TEACH)(evaluate)
    command(app, "report", shown=("store",), example="lexstream report loans v1 --html report.html", panel=TEACH)(
        report
    )


def train(
    cli: Cli,
    project: ProjectName,
    *,
    model: Annotated[str, typer.Option(help="The label of the new model.")],
    split: Annotated[
        str, typer.Option(help="Percentage of the documents to train on, or manual: as the labels say.")
    ] = "80",
    method: Annotated[
        Literal["auto", "frozen", "fineTune"], typer.Option(help="frozen: seconds; fineTune: minutes, often better.")
    ] = "auto",
    encoder: Annotated[str | None, typer.Option(help="A Hugging Face encoder, by id or path.")] = None,
    epochs: Annotated[int | None, typer.Option(help="At most this many rounds.", min=1, max=1000)] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same model.", min=0)] = 0,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Show progress, then the evaluation.")] = True,
) -> None:
    """Train a model, show how it goes, then how good it is. Ctrl-C leaves the training running."""
    from schemas.commands import Method, Train, TrainCommand

    parameters = Train(
        model_label=model, method=Method(method), encoder=encoder, epochs=epochs, seed=seed, **read_split(split)
    )
    asked = TrainCommand(project=project, parameters=parameters)
    if wait:
        cli.run(_train_and_show(cli, asked, model))
    else:
        cli.run(_hand_in(cli, asked))


def read_split(text: str) -> dict[str, str | int]:
    """Read ``80`` or ``manual``.

    Raises:
        BadParameter: If it is neither.
    """
    if text == "manual":
        return {"split": "manual"}
    if text.isdecimal() and 1 <= int(text) <= 99:  # noqa: PLR2004 - a percentage that leaves something on both sides
        return {"training_split_percentage": int(text)}
    raise typer.BadParameter(f"--split {text}: expected a percentage from 1 to 99, or manual")


async def _hand_in(cli: Cli, asked: "Command") -> None:
    from agents.cli.follow import BAD_ENDS, problems_of
    from schemas.control_events import EventType
    from schemas.errors import InvalidInput

    async with cli.client() as client:
        async for event in client.command(asked):
            if cli.for_machines:
                cli.emit(event.payload())
            if event.event in BAD_ENDS:
                raise InvalidInput(problems_of(event))
            if event.event is EventType.ACCEPTED:
                break
    if not cli.for_machines:
        cli.out.print(f"[good]✓[/good] job {asked.id} is in the queue; see [bold]lexstream jobs list[/bold]")
        cli.out.print(f"[quiet]To stop it: [bold]lexstream jobs cancel {asked.id}[/bold]")


async def _train_and_show(cli: Cli, asked: "Command", model: str) -> None:
    import asyncio

    from agents.cli.follow import perform

    stop = f"[bold]lexstream jobs cancel {asked.id}[/bold]"

    def accepted() -> None:
        cli.err.print(f"[quiet]Ctrl-C leaves the job running; to stop it: {stop}")

    try:
        async with cli.client() as client:
            await perform(cli, client, asked, accepted=accepted)
            evaluation = await read_evaluation(cli, client, asked.project, model)
    except asyncio.CancelledError:
        cli.err.print(f"\nThe job goes on, see [bold]lexstream jobs list[/bold]; to stop it: {stop}")
        raise
    if not cli.for_machines:
        _show_brief(cli, evaluation, asked.project, model)


def _show_brief(cli: Cli, evaluation: "Evaluation", project: str, model: str) -> None:
    from agents.cli.render.evaluation import brief_report
    from agents.cli.theme import Palette

    cli.out.print(brief_report(evaluation, colours=Palette().colour))
    cli.out.print(
        f"\n[quiet]More:[/quiet] lexstream report {project} {model}   "
        f"[quiet]Use it:[/quiet] lexstream deploy {project} {model} --deployment production"
    )


def evaluate(cli: Cli, project: ProjectName, model: ModelLabel) -> None:
    """Measure a model again, on the project's labelled documents as they are now."""
    from schemas.commands import Evaluate, EvaluateCommand

    asked = EvaluateCommand(project=project, parameters=Evaluate(model_label=model))
    cli.run(_train_and_show(cli, asked, model))


async def read_evaluation(cli: Cli, client: "Client", project: str, model: str) -> "Evaluation":
    """Return a model's newest evaluation.

    Raises:
        InvalidInput: If there is no such model.
        ArtefactNotFound: If the store does not have the evaluation.
    """
    import asyncio

    from models.evaluation.results import Evaluation
    from schemas.errors import InvalidInput

    record = (await client.registry()).model(project, model)
    if record is None:
        raise InvalidInput([f"there is no model {model} in {project}; see `lexstream models list {project}`"])
    stored = await asyncio.to_thread(cli.store().get, record.evaluation)
    return Evaluation.model_validate_json(stored)


def report(
    cli: Cli,
    project: ProjectName,
    model: ModelLabel,
    html: Annotated[Path | None, typer.Option(help="Write a page for the browser instead.")] = None,
) -> None:
    """Show a model's evaluation: scores, confusion, calibration, wrong predictions, and what would help."""

    async def work() -> "Evaluation":
        async with cli.client() as client:
            return await read_evaluation(cli, client, project, model)

    evaluation = cli.run(work())
    if html:
        _write_html(cli, evaluation, html, title=f"{project} {model}")
    elif cli.for_machines:
        cli.emit(evaluation.payload())
    else:
        from agents.cli.render.evaluation import full_report
        from agents.cli.theme import Palette

        cli.out.print(full_report(evaluation, colours=Palette().colour))


def _write_html(cli: Cli, evaluation: "Evaluation", path: Path, *, title: str) -> None:
    from models import files
    from models.evaluation.report import render_html

    files.export(path, render_html(evaluation, title=title).encode())
    if cli.for_machines:
        cli.emit({"html": str(path)})
    else:
        cli.out.print(f"[good]✓[/good] wrote {path}")

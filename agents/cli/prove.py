"""``lexstream prove``: murder workers and the broker, and count what came out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from agents.cli.context import RUN, Cli, command

if TYPE_CHECKING:
    from agents.prove.run import Findings, Order

_LEAST_S = 60.0
_EVENTS_A_SECOND = 1500


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "prove", shown=("home",), example="lexstream prove --events 20000 --seed 7 --out proof", panel=RUN)(
        prove
    )


def prove(
    cli: Cli,
    *,
    events: Annotated[int, typer.Option(min=100, help="How many events.")] = 100_000,
    seed: Annotated[int, typer.Option(help="Of the events and of who dies when.")] = 1,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=10,
            help="How long events are published and processes murdered.",
            show_default="60, or longer for more than 90,000 events",
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=4, help="Workers at first; others join and leave.")] = 2,
    out: Annotated[
        Path | None, typer.Option(help="Folder for prove.json and prove.svg.", file_okay=False, metavar="DIR")
    ] = None,
    sabotage: Annotated[
        Literal["commit-before-produce", "one-producer"] | None,
        typer.Option(hidden=True, help="Make the workers wrong, to see that it is found."),
    ] = None,
) -> None:
    """Try to break exactly-once on this machine: events in, processes murdered, and an independent count.

    Publishes events, some of them broken on purpose and some very long, while a model is swapped every few seconds.
    Meanwhile, by the seed's schedule: workers are killed (kill -9) every 2 to 10 seconds, frozen for longer than
    Kafka waits for them and woken as zombies, cut off, slowed down, made to join and to leave; the broker is killed
    and started again, and frozen. Then a read_committed reader that shares no code with the worker counts: lost,
    duplicate, out of order, wrong dead letters, and events answered by another model than the switched records say.

    The model is an echo, so that many events are practical. The broker is one of its own in the temporary folder (about
    2 KB an event); with --brokers, yours, which is left alone. Exit code 0 only if each event came out exactly once.
    """
    report = _proven(cli, events=events, seed=seed, seconds=seconds, workers=workers, sabotage=sabotage)
    if out is not None:
        _write(report, out)
    if cli.for_machines:
        cli.emit(report)
    else:
        _show(cli, report, out)
    if report["verdict"] != "exactly once":
        raise typer.Exit(1)


def _show(cli: Cli, report: dict[str, Any], out: Path | None) -> None:
    from agents.prove.tables import show

    show(report, cli.out)
    if out is not None:
        cli.out.print(f"[good]✓[/good] wrote {out / 'prove.json'} and {out / 'prove.svg'}")
    if report["logs"] is not None:
        cli.out.print(f"the logs of the workers are in {report['logs']}")


def _proven(
    cli: Cli, *, events: int, seed: int, seconds: float | None, workers: int, sabotage: str | None
) -> dict[str, Any]:
    import shutil
    import tempfile

    from agents.bench.broker import terminated_like_interrupted
    from agents.cli.logs import quieten
    from agents.prove.report import report
    from agents.prove.run import Order
    from agents.prove.workers import Sabotage
    from schemas.errors import LexstreamError

    quieten()
    order = Order(
        seed,
        events,
        max(_LEAST_S, events / _EVENTS_A_SECOND) if seconds is None else seconds,
        n_workers=workers,
        sabotage=Sabotage(sabotage) if sabotage else None,
    )
    folder = Path(tempfile.mkdtemp(prefix="lexstream-prove-"))
    kept = None
    try:
        with terminated_like_interrupted():
            found = report(_findings(cli, order, folder))
        kept = None if found["verdict"] == "exactly once" else str(folder)
    except LexstreamError as error:
        kept = str(folder)
        raise LexstreamError(f"{error} (the workers' logs: {kept})") from error
    finally:
        shutil.rmtree(folder / "kafka" if kept else folder, ignore_errors=True)
    return found | {"logs": kept}


def _findings(cli: Cli, order: "Order", folder: Path) -> "Findings":
    import uuid

    from agents.prove.broker import at_brokers, own_broker
    from agents.prove.progress import shown
    from agents.prove.run import prove as run
    from agents.settings import origins

    name = f"lexstream-prove-{uuid.uuid4().hex[:8]}"
    ours = origins(cli.options, file=cli.file)["brokers"] == "default"
    place = own_broker(cli.settings, name, folder / "kafka") if ours else at_brokers(cli.settings, name)
    with shown(cli.err, order.n_events) as on_moment, place as (settings, broker):
        return run(settings, order, broker=broker, folder=folder, on_moment=on_moment)


def _write(report: dict[str, Any], out: Path) -> None:
    import orjson

    from agents.prove.plot import svg

    out.mkdir(parents=True, exist_ok=True)
    (out / "prove.json").write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))
    (out / "prove.svg").write_text(svg(report), "utf-8")

"""``lexstream bench``: how fast this machine is, as ratios."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agents.cli.context import RUN, Cli, command
from agents.cli.folders import make_folder

if TYPE_CHECKING:
    from agents.bench.timetable import Sizes


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "bench", shown=("home",), example="lexstream bench --quick --out speed", panel=RUN)(bench)


def bench(
    cli: Cli,
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="About two minutes: one round, and mostly too short to judge goals by.")
    ] = False,
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds of the realistic mix.", show_default="4")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for bench.json and bench.svg.", file_okay=False, metavar="DIR")
    ] = None,
) -> None:
    """Measure Kafka → model → Kafka beside the bare engine and a naive worker, in one run of at most five minutes.

    A figure of one machine says little about another; ratios of the same minute on the same machine do. So every
    round measures all of them in turn, with the same model and documents: [bold]Lexstream[/bold] exactly once and at
    least once; the [bold]bare engine[/bold], which has no Kafka around it (tokenise, forward, decode, all cores);
    [bold]torch[/bold] FP32 in padded batches of 32; and the [bold]naive worker[/bold], which calls
    transformers.pipeline for one event after the other.

    The clock of those that read Kafka runs from the first document sent to the last output that a read_committed
    consumer sees. Every output is compared with the bare engine's.

    Uses the Kafka at --brokers, and starts one of its own for the time if none answers there. Run nothing else
    meanwhile.
    """
    if out is not None:
        make_folder(out)
    report = cli.run(_measured(cli, _sizes(quick=quick, rounds=rounds)))
    if out is not None:
        _write(report, out)
    if cli.for_machines:
        cli.emit(report)
        return
    from agents.bench.tables import show

    show(report, cli.out)
    if out is not None:
        cli.out.print(f"[good]✓[/good] wrote {out / 'bench.json'} and {out / 'bench.svg'}")


def _sizes(*, quick: bool, rounds: int | None) -> "Sizes":
    from agents.bench.timetable import NORMAL, QUICK

    return (QUICK if quick else NORMAL).with_rounds(rounds)


async def _measured(cli: Cli, sizes: "Sizes") -> dict[str, Any]:
    import tempfile

    from agents.bench.broker import open_broker
    from agents.bench.progress import shown
    from agents.bench.report import report
    from agents.bench.run import measure
    from agents.bench.timetable import BROKER
    from agents.interrupts import terminated_like_interrupted
    from agents.prove.clients import require_client

    require_client()
    with tempfile.TemporaryDirectory(prefix="lexstream-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with terminated_like_interrupted(), shown(cli.err, sizes) as on_step:
            on_step(BROKER)
            async with open_broker(cli.settings, folder / "kafka") as settings:
                return report(await measure(settings, sizes=sizes, folder=folder, on_step=on_step))


def _write(report: dict[str, Any], out: Path) -> None:
    import orjson

    from agents.bench.plot import svg

    (out / "bench.json").write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))
    (out / "bench.svg").write_text(svg(report), "utf-8")

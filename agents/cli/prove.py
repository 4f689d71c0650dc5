"""``lexstream prove``: murder workers and the broker, and count what came out."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from agents.cli.broker import one_or_three
from agents.cli.context import RUN, Cli, command
from agents.cli.folders import make_folder

if TYPE_CHECKING:
    from agents.prove.run import Findings, Order

_LEAST_S = 60.0
_MOST_S = 24 * 3600.0
_EVENTS_A_SECOND = 2500
_ECHOED, _REAL = 100_000, 3_000
_REAL_A_SECOND = 25
_REAL_KILL_EVERY_S = (8.0, 20.0)
_ONLY = {
    "kill": "kill -9 a worker",
    "freeze": "freeze a worker",
    "join": "a worker joins",
    "leave": "a worker leaves",
    "cut": "cut a worker's connections",
    "slow": "slow a worker down",
    "broker-kill": "kill -9 the broker",
    "broker-freeze": "freeze the broker",
    "broker-restart": "restart the broker",
    "trainer-kill": "kill -9 a trainer",
    "trainer-freeze": "freeze a trainer",
}


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "prove", shown=("home",), example="lexstream prove --events 20000 --seed 7 --out proof", panel=RUN)(
        prove
    )


def prove(
    cli: Cli,
    *,
    events: Annotated[
        int | None,
        typer.Option(min=100, help="How many events.", show_default=f"{_ECHOED:,}, or {_REAL:,} with --model"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the events and of who dies when.")] = 1,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=10,
            max=_MOST_S,
            help="How long events are published and processes murdered.",
            show_default=f"the events / {_EVENTS_A_SECOND:,}, with --model / {_REAL_A_SECOND}; at least {_LEAST_S:.0f}",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Serve a real model of the store, PROJECT/LABEL or its digest, instead of an echo.", metavar="MODEL"
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=4, help="Workers at first; others join and leave.")] = 2,
    nodes: Annotated[
        int | None,
        typer.Option(
            callback=one_or_three,
            metavar="1|3",
            help="Of our broker: 1, or 3 for a cluster of which one dies at a time.",
            show_default="1",
        ),
    ] = None,
    members: Annotated[
        Literal["static", "dynamic", "both"],
        typer.Option(help="How workers belong to their group; both: every other one is static."),
    ] = "both",
    only: Annotated[
        list[str] | None,
        typer.Option(help=f"Do only this, again and again: {', '.join(_ONLY)}.", metavar="DEED", show_default=False),
    ] = None,
    kill_every: Annotated[
        float | None,
        typer.Option(
            min=1,
            max=_MOST_S,
            help="Seconds from one killed worker to the next.",
            show_default="2 to 10, with --model 8 to 20; at random",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for prove.json and prove.svg.", file_okay=False, metavar="DIR")
    ] = None,
    sabotage: Annotated[
        Literal["commit-before-produce", "one-producer"] | None,
        typer.Option(
            help="Make the workers wrong on purpose, to see that it is found: they commit offsets before they produce, "
            "or have transactional ids of their own instead of their partition's.",
        ),
    ] = None,
) -> None:
    """Try to break exactly-once on this machine: events in, processes murdered, and an independent count.

    Publishes events, some of them broken on purpose and some very long, while a model is swapped every few seconds and
    others are trained, by commands that are each handed in two or three times. Meanwhile, by the seed's schedule:
    workers are killed (kill -9) every 2 to 10 seconds (8 to 20 with --model), frozen for longer than Kafka waits for
    them and woken as zombies, cut off, slowed down, made to join and to leave; trainers are killed and frozen; the
    broker is killed and started again, restarted in order, and frozen. A slow consumer lags behind all the time. Then a
    read_committed reader that shares no code with the worker counts: lost, duplicate, out of order, wrong dead letters,
    events answered by another model than the switched records say, commands done twice, trainings that did not end in
    one model.

    The model is an echo, so that many events are practical: 100,000 take about a minute and a half on two cores, a
    million about eight minutes. With --model a real one serves: it has to answer what the bare engine answered before
    the run. The broker is one of its own in the temporary folder (about 2 KB an event); with --brokers, yours, which is
    left alone. Exit code 0 only if each event came out exactly once.
    """
    given: dict[str, Any] = {
        "events": events,
        "seed": seed,
        "seconds": seconds,
        "workers": workers,
        "sabotage": sabotage,
    }
    given |= {"model": model, "members": members, "only": only or [], "kill_every": kill_every}
    _check_nodes(cli, nodes)
    _check_backend(cli, model)
    order = _order(**given)
    _check_deeds(cli, order, only or [])
    if out is not None:
        make_folder(out)
    report = _proven(cli, order, model=model, nodes=nodes)
    if cli.for_machines:
        cli.emit(report)
    else:
        _show(cli, report)
    if out is not None:
        _write(cli, report, out)
    if report["verdict"] != "exactly once":
        raise typer.Exit(1)


def _check_nodes(cli: Cli, nodes: int | None) -> None:
    from schemas.errors import InvalidSettings

    if nodes and not _is_ours(cli):
        raise InvalidSettings([f"--nodes {nodes} is for a broker of our own, got the brokers {cli.settings.brokers}"])


def _check_backend(cli: Cli, model: str | None) -> None:
    from agents.prove.expected import BY_COMPANY
    from schemas.errors import InvalidSettings

    if model and cli.settings.backend == BY_COMPANY:
        raise InvalidSettings(
            [f"backend: got {BY_COMPANY}, whose answers depend on what is read beside; expected another, or auto"]
        )


def _check_deeds(cli: Cli, order: "Order", only: list[str]) -> None:
    """See before a run of minutes that somebody can be hurt in it; otherwise nothing would be proven."""
    from agents.prove.run import planned
    from agents.prove.schedule import BROKER_KINDS, Kind
    from schemas.errors import InvalidSettings

    spared = frozenset() if _is_ours(cli) else BROKER_KINDS
    if any(murder.kind.hurts for murder in planned(order, spared=spared)):
        return
    if order.sabotage or any(kind.hurts for kind in order.kinds - spared):
        short = f"--seconds {order.seconds:g}: nobody would be murdered in so short a time, expected more"
        raise InvalidSettings([f"{short} (or another --seed than {order.seed})"])
    why = f"the brokers {cli.settings.brokers} are spared" if order.kinds & spared else "that hurts nobody"
    able = ", ".join(name for name, kind in _ONLY.items() if Kind(kind).hurts and Kind(kind) not in spared)
    raise InvalidSettings([f"--only {', '.join(only)}: {why}, so nothing would be proven; expected one of {able}, too"])


def _show(cli: Cli, report: dict[str, Any]) -> None:
    from agents.prove.tables import show

    show(report, cli.out)
    if report["logs"] is not None:
        cli.out.print(f"the logs of the workers and of Kafka are in {report['logs']}")


def _proven(cli: Cli, order: "Order", *, model: str | None, nodes: int | None) -> dict[str, Any]:
    import shutil
    import tempfile
    from asyncio import CancelledError

    from agents.cli.errors import explained
    from agents.cli.logs import quieten
    from agents.interrupts import terminated_like_interrupted
    from agents.prove.report import report
    from schemas.errors import InvalidInput, LexstreamError

    quieten()
    folder = Path(tempfile.mkdtemp(prefix="lexstream-prove-"))
    kept: str | None = str(folder)  # whatever ends the run: what nobody foresaw is what logs are for
    try:
        with terminated_like_interrupted():
            found = report(_findings(cli, order, folder, model=model, nodes=nodes))
        if found["verdict"] == "exactly once" and not found["workers"]["mistakes"]:
            kept = None
    except (InvalidInput, KeyboardInterrupt):
        kept = None
        raise
    except (Exception, CancelledError) as error:
        if not any(folder.iterdir()):  # nothing was started
            kept = None
            raise
        said = "; ".join(explained(error))
        raise LexstreamError(f"{said} (the logs of the workers and of Kafka: {kept})") from error
    finally:
        for unwanted in list(folder.glob("kafka/**/data")) if kept else [folder]:
            shutil.rmtree(unwanted, ignore_errors=True)
    return found | {"logs": kept}


def _order(
    *, model: str | None, only: list[str], kill_every: float | None, sabotage: str | None, **given: Any
) -> "Order":
    from agents.prove.run import Order
    from agents.prove.schedule import KILL_EVERY_S, Kind
    from agents.prove.workers import Membership, Sabotage
    from schemas.errors import InvalidSettings

    events = given["events"] or (_REAL if model else _ECHOED)
    a_second = _REAL_A_SECOND if model else _EVENTS_A_SECOND
    seconds = given["seconds"] or max(_LEAST_S, events / a_second)
    problems = list(_problems(model=model, only=only, kill_every=kill_every, sabotage=sabotage))
    if seconds > _MOST_S:
        problems.append(_too_long(events, a_second))
    if problems:
        raise InvalidSettings(problems)
    kills = _REAL_KILL_EVERY_S if model else KILL_EVERY_S
    return Order(
        given["seed"],
        events,
        seconds,
        n_workers=given["workers"],
        sabotage=Sabotage(sabotage) if sabotage else None,
        membership=Membership(given["members"]),
        kinds=frozenset(Kind(_ONLY[name]) for name in only) or frozenset(Kind),
        kill_every_s=(kill_every, kill_every) if kill_every else kills,
    )


def _problems(*, model: str | None, only: list[str], kill_every: float | None, sabotage: str | None) -> Iterator[str]:
    """Say what of the options makes no sense, alone or together."""
    for name in only:
        if name not in _ONLY:
            yield f"--only: got {name!r}, expected one of {', '.join(_ONLY)}"
    if model is not None and not model.strip():
        yield f"--model: got {model!r}, expected PROJECT/LABEL or a digest"
    if sabotage and model:
        yield "--sabotage: got --model, too; workers that are wrong on purpose serve the echo"
    if sabotage and only:
        yield "--sabotage: got --only, too; only what finds that mistake is done to such workers"
    if kill_every and sabotage == "one-producer":
        yield "--kill-every: got --sabotage one-producer, too; such workers are frozen, and none is killed"
    elif kill_every and only and "kill" not in only:
        yield f"--kill-every: got --only {', '.join(only)}, too; expected --only kill among them: no worker is killed"


def _too_long(events: int, a_second: int) -> str:
    most = int(_MOST_S * a_second)
    return f"--events: got {events}, more than a day at {a_second} a second; expected at most {most}, or --seconds, too"


def _findings(cli: Cli, order: "Order", folder: Path, *, model: str | None, nodes: int | None) -> "Findings":
    import uuid
    from dataclasses import replace

    from agents.prove.asking import asked
    from agents.prove.broker import at_brokers, own_broker
    from agents.prove.progress import shown
    from agents.prove.run import prove as run

    name = f"lexstream-prove-{uuid.uuid4().hex[:8]}"
    place = (
        own_broker(cli.settings, name, folder / "kafka", nodes=nodes or 1)
        if _is_ours(cli)
        else at_brokers(cli.settings, name)
    )
    if model:
        order = replace(order, corpus=asked(cli.settings, model, folder))
    with shown(cli.err, order.n_events) as on_moment, place as (settings, broker):
        return run(settings, order, broker=broker, folder=folder, on_moment=on_moment)


def _is_ours(cli: Cli) -> bool:
    """Whether nobody named a Kafka, so that we start one."""
    from agents.settings import origins

    return origins(cli.options, file=cli.file)["brokers"] == "default"


def _write(cli: Cli, report: dict[str, Any], out: Path) -> None:
    import orjson

    from agents.prove.plot import svg

    (out / "prove.json").write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))
    (out / "prove.svg").write_text(svg(report), "utf-8")
    if not cli.for_machines:
        cli.out.print(f"[good]✓[/good] wrote {out / 'prove.json'} and {out / 'prove.svg'}")

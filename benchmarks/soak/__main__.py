"""A worker under a steady load for an hour: whether lag, memory and file descriptors stay flat, and nothing is lost.

    python -m benchmarks.soak --minutes 60 --rate 60 --out soak

Starts a broker of its own in the temporary folder (not with --brokers), makes three small real models, starts a real
``lexstream worker``, and publishes documents of mixed length, one of eight to the interactive lane, one of 200 kB
every minute, 1.8 % broken on purpose. Every five minutes another model is deployed, and fifteen while it warms up;
each has an encoder of its own, so it is loaded as a whole while the one before serves. Every five seconds lag,
memory, file descriptors, threads and processor time are read. At the end a read_committed reader that shares no code
with the worker has counted.

Linux only. Ctrl-C ends the run early, with a report of what there is; a second one ends the waiting for what has not
come out yet. Exit code 1: not steady.
"""

import argparse
import math
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import orjson
import psutil
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from agents.cli.logs import quieten
from agents.interrupts import interrupts_counted, terminated_like_interrupted
from agents.prove.broker import alone, at_brokers, own_broker
from agents.prove.clients import require_client
from agents.settings import load_settings
from benchmarks.soak.deploying import TASK
from benchmarks.soak.models import prepared
from benchmarks.soak.plot import svg
from benchmarks.soak.report import Verdict, judge, report
from benchmarks.soak.run import OnMoment, Order, Run
from benchmarks.soak.sampling import require_linux
from benchmarks.soak.tables import show
from schemas.errors import LexstreamError

CONSOLE = Console(stderr=True)
_LINE_EVERY_S = 60.0


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=60.0, help="events a second")
    parser.add_argument(
        "--swap-s", type=float, default=300.0, help="seconds from one swap of the model to the next, after the warm-up"
    )
    parser.add_argument("--brokers", help="a Kafka that is there; its topics are deleted in the end")
    parser.add_argument("--judge", type=Path, metavar="FILE", help="judge a soak.json again, in place of a run")
    parser.add_argument("--out", type=Path, default=Path("soak"), help="folder for soak.json and soak.svg")
    options = parser.parse_args()
    if not all(0 < value < math.inf for value in (options.minutes, options.rate, options.swap_s)):
        parser.error("expected --minutes, --rate and --swap-s above 0")
    if not Order(options.minutes, options.rate, options.swap_s).n_events:
        parser.error("expected --minutes and --rate that make an event at least")
    if options.judge and not options.judge.is_file():
        parser.error(f"expected --judge of a file; got {options.judge}")
    return options


@contextmanager
def shown(console: Console, seconds: float) -> Iterator[OnMoment]:
    """Show a bar with the time left; where nobody watches, a line a minute."""
    if not console.is_terminal:
        said = [-_LINE_EVERY_S]

        def say(at_s: float, doing: str) -> None:
            if at_s >= said[0] + _LINE_EVERY_S:
                said[0] = at_s
                console.print(f"{at_s / 60:.0f} of {seconds / 60:.0f} min: {doing}")

        yield say
        return
    columns = (
        BarColumn(),
        TextColumn("{task.percentage:.0f} %, {task.fields[left]}"),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=seconds, left="")

        def update(at_s: float, doing: str) -> None:
            left = f"{max(0.0, seconds - at_s) / 60:.1f} min left"
            progress.update(task, completed=at_s, description=doing, left=left)

        yield update


def soak(options: argparse.Namespace) -> dict[str, Any]:
    """Do a run and return its report."""
    require_linux()
    require_client()
    quieten()
    name = f"lexstream-soak-{secrets.token_hex(4)}"
    order = Order(options.minutes, options.rate, options.swap_s)
    settings = load_settings({"brokers": options.brokers})
    with ExitStack() as outer, ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lexstream-soak-")))
        CONSOLE.print("making three models, and finding out how they run best here: about a minute")
        store = (folder / "store").as_uri()
        models = prepared(store, folder / "transformers")
        place = at_brokers(settings, name) if options.brokers else own_broker(settings, name, folder / "kafka")
        reached, broker = stack.enter_context(place)
        pid = broker.status().pid if broker is not None else None
        run = Run(
            alone(reached, name, store=store, default_tasks=[TASK]),
            order,
            models,
            psutil.Process(pid) if pid else None,
            folder,
            stack,
            stack.enter_context(shown(CONSOLE, order.seconds)),
        )
        run.begin()
        run.go(outer.enter_context(interrupts_counted()))  # from here on nothing takes the report away
        found = report(run.findings())
        write(found, options.out)
        return found


def write(found: dict[str, Any], folder: Path) -> None:
    """Write a report and its picture."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "soak.json").write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    (folder / "soak.svg").write_text(svg(found), "utf-8")


def judged_again(options: argparse.Namespace) -> dict[str, Any]:
    """Return the report of a run that was, as it is judged today."""
    found = judge(options.judge)
    write(found, options.out)
    return found


def main() -> None:
    """Run, print and write."""
    options = parse()
    try:
        with terminated_like_interrupted():
            found = judged_again(options) if options.judge else soak(options)
    except LexstreamError as error:
        sys.exit(f"the run could not be done: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted before there was anything to report")
    show(found, Console())
    Console().print(f"wrote {options.out / 'soak.json'} and {options.out / 'soak.svg'}")
    sys.exit(1 if found["verdict"] == Verdict.NOT_STEADY else 0)


if __name__ == "__main__":
    main()

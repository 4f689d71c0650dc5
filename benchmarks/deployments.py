"""Speed with one deployment and with a hundred that share an encoder, one document asking one of them.

    python benchmarks/deployments.py

Both run in turns in one process, on the same documents; the ratio matters. Goal: at least 0.70.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from statistics import median

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from agents.bench.documents import BenchDocument, mixed, tickets
from agents.bench.model import make_model
from models.engine.engine import Answer, Engine, LoadedModel, Request
from models.heads import EntityHead, load_entity_head, save_head
from models.manifest import Manifest
from models.plans import Plan
from models.store import Store
from models.tuning.tuner import Tuner

WINDOW = 256
IN_MODEL = 2
CONSOLE = Console(stderr=True)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deployments", type=int, default=100)
    parser.add_argument("--documents", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="JSON on stdout")
    return parser.parse_args()


def relatives(manifest: Manifest, store: Store, count: int) -> list[str]:
    """Store as many models of the same encoder, each with a head of its own, and return their digests."""
    width, categories = manifest.encoder.hidden_size, len(manifest.categories)
    head = load_entity_head(store.get(manifest.head), n_categories=categories, hidden_size=width)
    random = np.random.default_rng(0)
    digests = []
    for number in range(count):
        weight = (head.weight * random.normal(1, 0.01, head.weight.shape)).astype(np.float32)
        other = store.put(save_head(EntityHead(weight, head.bias)))
        facts = {"project": f"project-{number}", "head": other, "self_test": []}
        digests.append(store.save_manifest(manifest.model_copy(update=facts)))
    return digests


def seconds(engine: Engine, documents: Sequence[BenchDocument], models: Sequence[LoadedModel]) -> float:
    """Return how long the documents take, each asking one of the models in turn."""
    requests = [Request(document.text, (models[at % len(models)],)) for at, document in enumerate(documents)]
    started = time.perf_counter()
    asked: list[Future[list[Answer]]] = []
    for start in range(0, len(requests), WINDOW):
        asked.append(engine.submit(requests[start : start + WINDOW]))
        if len(asked) >= IN_MODEL:
            asked[-IN_MODEL].result()
    for each in asked:
        each.result()
    return time.perf_counter() - started


def measure(folder: Path, options: argparse.Namespace) -> dict[str, object]:
    """Return the ratios of all rounds."""
    store = Store((folder / "store").as_uri())
    manifest = make_model(store)
    plan: Plan = Tuner(store).plan_of(manifest)
    found: dict[str, object] = {"plan": plan.payload(), "deployments": options.deployments}
    with Engine(store, plan_of=lambda _: plan) as engine:
        one = [engine.load(manifest.digest)]
        alone = engine.loaded_bytes()
        started = time.perf_counter()
        many = [engine.load(digest) for digest in relatives(manifest, store, options.deployments)]
        found |= {"loadMs": 1000 * (time.perf_counter() - started) / len(many)}
        found |= {"memoryMb": alone / 2**20, "memoryOfAllMb": engine.loaded_bytes() / 2**20}
        for name, make in (("mix", mixed), ("tickets", tickets)):
            documents = make(options.documents, seed=1)
            rounds = track(range(options.rounds), f"{name}: 1 and {options.deployments} in turns", console=CONSOLE)
            found[name] = sorted(seconds(engine, documents, one) / seconds(engine, documents, many) for _ in rounds)
    return found


def show(found: dict[str, object], options: argparse.Namespace) -> None:
    """Print a table."""
    table = Table(title=f"{options.deployments} deployments over 1, docs/s")
    for column in ("documents", "median", "least", "most", "goal"):
        table.add_column(column, justify="left" if column == "documents" else "right")
    for name in ("mix", "tickets"):
        ratios = found[name]
        if isinstance(ratios, list):
            table.add_row(name, *[f"{value:.2f}" for value in (median(ratios), ratios[0], ratios[-1])], "≥ 0.70")
    console = Console()
    console.print(table)
    console.print(
        f"loaded in {found['loadMs']:.1f} ms each; "
        f"{found['memoryMb']:.0f} MB with one, {found['memoryOfAllMb']:.0f} MB with all"
    )


def main() -> None:
    """Measure and print."""
    options = parse()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), options)
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        show(found, options)


if __name__ == "__main__":
    main()

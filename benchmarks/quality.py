"""Train on labelled documents as a trainer does, over several seeded splits, and print what came out.

    python benchmarks/quality.py labels.json --documents DIR [--seeds 0 1 2 3 4] [--percentage 80] [--method auto]
    python benchmarks/quality.py train.csv --test test.csv --per-class 10

The first form reads Azure's labels file, whose offsets count UTF-16 units; the second CSV files with the columns
text and category.
"""

import argparse
import csv
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from models.evaluation import Evaluation
from models.store import Store
from models.training.job import TrainingJob, write_job
from schemas.commands import Train
from schemas.labels import Dataset, EntityLabel, LabelledDocument, Region
from schemas.names import Kind


def spoken(trial: dict[str, Any]) -> str:
    """Return a tuning's trial in a few words."""
    plan = trial["plan"]
    words = [plan["backend"], f"{plan['streams']}x{plan['threads']}/{plan['maxPaddedTokens']}"]
    return " ".join([*words, f"{trial['tokensPerS']:.0f}/s", trial["verdict"]])


def main() -> None:
    arguments = parse()
    kind, documents = read(arguments)
    scores = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in arguments.seeds:
            chosen = choose(documents, per_class=arguments.per_class, seed=seed)
            evaluation, seconds, last = run(kind, chosen, seed=seed, arguments=arguments, folder=Path(folder))
            scores.append(evaluation.micro_f1)
            speeds = ", ".join(map(spoken, (last["tuning"] or {}).get("trials", [])))
            print(
                f"split {seed}: micro F1 {100 * evaluation.micro_f1:.1f}  macro F1 {100 * evaluation.macro_f1:.1f}  "
                f"ECE {evaluation.calibration.ece:.3f}  train {evaluation.n_train}  test {evaluation.n_test}  "
                f"{seconds:.1f} s  served {last['backend']} ({speeds})",
                flush=True,
            )
    spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
    print(f"micro F1 {100 * statistics.mean(scores):.1f} ± {100 * spread:.1f} over {len(scores)} splits")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--documents", type=Path, help="folder of the texts; by default that of the labels file")
    parser.add_argument("--test", type=Path, help="a second CSV file, to test on")
    parser.add_argument("--per-class", type=int, help="take so many training documents of each class")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], help="one split for each")
    parser.add_argument("--percentage", type=int, default=80)
    parser.add_argument("--method", default="auto")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--verbose", action="store_true")
    return parser.parse_args()


def read(arguments: argparse.Namespace) -> tuple[Kind, list[LabelledDocument]]:
    if arguments.labels.suffix == ".csv":
        train = read_csv(arguments.labels, Dataset.TRAIN)
        return Kind.SINGLE_LABEL, [*train, *(read_csv(arguments.test, Dataset.TEST) if arguments.test else [])]
    return read_azure(arguments.labels, arguments.documents or arguments.labels.parent)


def read_csv(path: Path, dataset: Dataset) -> list[LabelledDocument]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [
        LabelledDocument(
            project="quality",
            id=f"{dataset}-{number}",
            text=row["text"],
            dataset=dataset,
            classes=["".join(" " if c in ":$&%*()+~#/?" else c for c in row["category"])],
            position=number,
        )
        for number, row in enumerate(rows)
    ]


def read_azure(path: Path, folder: Path) -> tuple[Kind, list[LabelledDocument]]:
    labels = json.loads(path.read_text(encoding="utf-8-sig"))
    found = labels["assets"]["projectKind"].lower()
    kind = next(kind for kind in Kind if kind.value.lower() == found)
    documents = [
        azure_document(each, (folder / each["location"]).read_bytes().decode("utf-8-sig"), number)
        for number, each in enumerate(labels["assets"]["documents"])
    ]
    return kind, documents


def azure_document(each: dict[str, Any], text: str, number: int) -> LabelledDocument:
    points = [index for index, character in enumerate(text) for _ in range(2 if ord(character) > 0xFFFF else 1)]
    points.append(len(text))

    def place(offset: int, length: int) -> dict[str, int]:
        start, end = points[min(offset, len(points) - 1)], points[min(offset + length, len(points) - 1)]
        return {"offset": start, "length": end - start}

    regions = [
        Region(
            **place(region["regionOffset"], region["regionLength"]),
            labels=[
                EntityLabel(category=label["category"], **place(label["offset"], label["length"]))
                for label in region["labels"]
            ],
        )
        for region in each.get("entities", [])
    ]
    classes = [*([each["class"]] if "class" in each else []), *each.get("classes", [])]
    return LabelledDocument(
        project="quality",
        id=each["location"],
        text=text,
        regions=regions,
        classes=[one["category"] for one in classes],
        position=number,
    )


def choose(documents: list[LabelledDocument], *, per_class: int | None, seed: int) -> list[LabelledDocument]:
    if per_class is None:
        return documents
    shuffled = random.Random(seed).sample(documents, len(documents))
    taken: Counter[str] = Counter()
    chosen = []
    for document in shuffled:
        if document.dataset is Dataset.TRAIN:
            taken[document.classes[0]] += 1
        if document.dataset is Dataset.TEST or taken[document.classes[0]] <= per_class:
            chosen.append(document)
    return chosen


def run(
    kind: Kind, documents: list[LabelledDocument], *, seed: int, arguments: argparse.Namespace, folder: Path
) -> tuple[Evaluation, float, dict[str, Any]]:
    used = {label.category for each in documents for region in each.regions for label in region.labels}
    manual = any(document.dataset is Dataset.TEST for document in documents)
    job = TrainingJob(
        job_id=f"quality-{seed}",
        project="quality",
        kind=kind,
        categories=sorted(used | {name for each in documents for name in each.classes}),
        train=Train(
            model_label="quality",
            split="manual" if manual else "percentage",
            training_split_percentage=arguments.percentage,
            method=arguments.method,
            epochs=arguments.epochs,
            seed=seed,
        ),
        store=f"file://{folder / 'store'}",
    )
    write_job(folder / "job", job, documents)
    started = time.monotonic()
    child = subprocess.Popen(
        [sys.executable, "-m", "models.training", str(folder / "job")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    last: dict[str, Any] = {}
    for line in child.stdout:
        last = json.loads(line)
        if arguments.verbose and last["event"] == "progress":
            print(line, end="", file=sys.stderr)
    child.wait()
    if last.get("event") != "succeeded":
        sys.exit(f"training failed: {last.get('problems')}")
    blob = Store(job.store).get(last["evaluation"])
    return Evaluation.model_validate_json(blob), time.monotonic() - started, last


if __name__ == "__main__":
    main()

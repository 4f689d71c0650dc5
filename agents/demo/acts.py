"""The steps of the demo. Each does what a user would do with the commands that it names."""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from rich.text import Text

from agents.cli.broker import start_broker
from agents.cli.context import Cli
from agents.cli.deployments import served_words
from agents.cli.follow import perform
from agents.cli.labels import LabelsSource, make_project, read_labels_of
from agents.cli.render.dead_letters import letter_lines
from agents.cli.render.documents import document_panel, document_plain, latency_s
from agents.cli.render.evaluation import brief_report
from agents.cli.render.records import table
from agents.cli.render.text import counted, duration
from agents.cli.theme import Palette
from agents.cli.train import read_evaluation
from agents.client import Client
from agents.demo.flow import Flow, median_s, recount
from agents.demo.ledger import Ledger, Switch, answers_of, contradictions, labels_of, switches_of
from agents.demo.narrator import Narrator
from agents.demo.samples import BAD_EVENTS, SAMPLES, endless, mixed
from agents.demo.stage import Stage
from agents.topics import create_topics
from models.evaluation.results import Evaluation
from schemas.commands import (
    Deploy,
    DeployCommand,
    Method,
    SwapDeployments,
    SwapDeploymentsCommand,
    Train,
    TrainCommand,
)
from schemas.enriched import EnrichedDocument
from schemas.errors import LexstreamError

SHOWN_PER_PROJECT = 2
FEED_EVERY_S = 0.03
SWAPPED = "tickets"


def introduce(narrator: Narrator) -> None:
    """Say what is going to happen."""
    narrator.console.print(
        Text.assemble(
            ("\nLexstream", "bold cyan"),
            " finds your own entities and classes in the documents of a Kafka stream.\n",
            (
                "This is the whole story on this machine, in less than three minutes. Ctrl-C ends it.",
                "quiet",
            ),
        )
    )


def start_kafka(narrator: Narrator, stage: Stage) -> None:
    """Start the broker."""
    with narrator.tell("Apache Kafka", "A real broker as a child process, in a temporary folder and on a free port."):
        status = start_broker(stage.broker, narrator.console)
        narrator.done(f"Kafka {status.version} answers at {status.address}")


async def start_processes(narrator: Narrator, stage: Stage) -> None:
    """Make the topics; start a worker and a trainer."""
    sentence = "The topics, then two processes: a worker that enriches documents and a trainer that makes models."
    with narrator.tell("Topics, worker, trainer", sentence):
        made = await create_topics(stage.cli.settings)
        narrator.done(f"made {counted(len(made), 'topic')}")
        for name in ("worker", "trainer"):
            stage.start(name)
            narrator.done(f"started the {name}")


async def import_samples(narrator: Narrator, cli: Cli, client: Client) -> None:
    """Make the projects with their labelled documents."""
    sentence = "Three projects with labelled documents in Azure's format, sent as commands through the control topic."
    with narrator.tell("Projects and labels", sentence):
        for sample in SAMPLES:
            labels = read_labels_of(sample.labels, None)
            await make_project(cli, client, sample.name, LabelsSource(sample.labels, labels))
            narrator.done(f"{sample.name}: {len(labels.documents)} labelled documents; {sample.what}")


async def train_samples(narrator: Narrator, cli: Cli, client: Client) -> dict[str, Evaluation]:
    """Train a model for each project and show how good it is."""
    sentence = "One model for each project; a part of the documents is held out and tells how good the model is."
    evaluations: dict[str, Evaluation] = {}
    with narrator.tell("Training", sentence):
        for sample in SAMPLES:
            await _train(cli, client, sample.name, Train(model_label="v1"))
            evaluation = await read_evaluation(cli, client, sample.name, "v1")
            evaluations[sample.name] = evaluation
            narrator.done(f"{sample.name}: {sample.what}")
            narrator.console.print(brief_report(evaluation, colours=Palette().colour))
    return evaluations


async def _train(cli: Cli, client: Client, project: str, parameters: Train) -> None:
    await perform(cli, client, TrainCommand(project=project, parameters=parameters))


async def deploy_samples(narrator: Narrator, cli: Cli, client: Client) -> None:
    """Let the deployment ``production`` of each project point at its model."""
    sentence = "Documents ask for a deployment, not for a model: here production of each project."
    with narrator.tell("Deployment", sentence):
        for sample in SAMPLES:
            await _deploy(narrator, cli, client, sample.name, Deploy(model_label="v1", deployment="production"))


async def _deploy(narrator: Narrator, cli: Cli, client: Client, project: str, parameters: Deploy) -> None:
    for event in await perform(cli, client, DeployCommand(project=project, parameters=parameters)):
        narrator.done(served_words(event))


async def enrich(narrator: Narrator, flow: Flow, palette: Palette) -> None:
    """Publish unlabelled documents and show some of what comes out."""
    documents = mixed()
    sentence = f"{len(documents)} documents that no model has seen go in; some of what comes out is shown as it comes."
    with narrator.tell("Documents in, enriched documents out", sentence):
        flow.show = _show_some(narrator, palette)
        for document in documents:
            await flow.publish(document)
        await flow.wait_until(lambda: flow.ledger.complete, what="an enriched document for each that went in")
        flow.show = lambda _: None
        latency = median_s(map(latency_s, flow.documents))
        narrator.done(f"{len(flow.documents)} enriched documents; from event to answer {duration(latency)} (median)")


def _show_some(narrator: Narrator, palette: Palette) -> Callable[[EnrichedDocument], None]:
    shown: Counter[str] = Counter()
    draw = document_panel if narrator.console.is_terminal else document_plain

    def show(document: EnrichedDocument) -> None:
        project = document["results"][0]["project"] if document["results"] else ""
        if shown[project] < SHOWN_PER_PROJECT and _says_something(document):
            shown[project] += 1
            narrator.console.print(draw(document, colours=palette.colour))

    return show


def _says_something(document: EnrichedDocument) -> bool:
    return any(result.get("entities") or result.get("classes") for result in document["results"])


async def swap_in_the_flow(narrator: Narrator, cli: Cli, flow: Flow) -> None:
    """Put a second model in the place of the first one while documents flow."""
    sentence = f"{SWAPPED} gets a second model, which takes over between two documents, while they keep coming."
    with narrator.tell("Another model, in the flow", sentence):
        await _train(cli, flow.client, SWAPPED, Train(model_label="v2", method=Method.FROZEN, seed=7))
        narrator.done(f"trained v2 of {SWAPPED}")
        await _deploy(narrator, cli, flow.client, SWAPPED, Deploy(model_label="v2", deployment="staging"))
        await _swap(narrator, cli, flow)
        await flow.wait_until(lambda: flow.ledger.complete, what="an enriched document for each that went in")
        _show_switches(narrator, flow)


async def _swap(narrator: Narrator, cli: Cli, flow: Flow) -> None:
    tickets = next(sample for sample in SAMPLES if sample.name == SWAPPED).stream
    feeding = asyncio.create_task(flow.publish_slowly(endless(tickets), every_s=FEED_EVERY_S))
    try:
        before = len(flow.documents)
        await flow.wait_until(lambda: len(flow.documents) > before + len(tickets), what="the flow")
        parameters = SwapDeployments(first="production", second="staging")
        for event in await perform(cli, flow.client, SwapDeploymentsCommand(project=SWAPPED, parameters=parameters)):
            narrator.done(served_words(event))
        partitions = {partition for partition, _ in flow.ledger.came_in}
        await flow.wait_until(
            lambda: {switch.partition for switch in _swapped(flow)} == partitions,
            what="the new model on every partition",
        )
        after = len(flow.documents)
        await flow.wait_until(lambda: len(flow.documents) > after + len(tickets), what="the flow")
    finally:
        feeding.cancel()
        with suppress(asyncio.CancelledError):
            await feeding


def _switches(flow: Flow) -> list[Switch]:
    return switches_of(flow.switches, topic=flow.topics.documents, project=SWAPPED, deployment="production")


def _swapped(flow: Flow) -> list[Switch]:
    return [switch for switch in _switches(flow) if switch.before]


def _show_switches(narrator: Narrator, flow: Flow) -> None:
    labels = labels_of(flow.documents)
    made = table("#partition", "#from offset on", "model before", "model now")
    for switch in _swapped(flow):
        names = labels.get(switch.before or "", ""), Text(labels.get(switch.digest, ""), "name")
        made.add_row(str(switch.partition), str(switch.offset), *names)
    narrator.console.print(made)
    answers = answers_of(flow.documents, project=SWAPPED)
    if wrong := contradictions(answers, _switches(flow)):
        raise LexstreamError(f"{len(wrong)} documents were answered by another model than the log says: {wrong[:5]}")
    shares = ", ".join(f"{labels[digest]}: {count}" for digest, count in Counter(answers.values()).items())
    narrator.done(f"all {len(answers)} answers come from the model that the log says ({shares})")


async def send_bad_events(narrator: Narrator, flow: Flow) -> None:
    """Send what cannot be enriched."""
    sentence = "Broken JSON, an event without text, and one for a deployment that is not there."
    with narrator.tell("Three bad events", sentence):
        for key, value in BAD_EVENTS:
            await flow.publish_bytes(key, value)
        await flow.wait_until(lambda: len(flow.letters) == len(BAD_EVENTS), what="a dead letter for each bad event")
        for letter in flow.letters:
            narrator.console.print(letter_lines(letter))


async def add_up(narrator: Narrator, flow: Flow) -> Ledger:
    """Count everything again, as an independent reader of committed records."""
    sentence = "Every event that went in must have come out exactly once, enriched or as a dead letter."
    with narrator.tell("Adding up", sentence):
        ledger = await recount(flow.client)
        if problems := ledger.problems():
            raise LexstreamError("; ".join(problems))
        if ledger.came_in != flow.ledger.came_in or ledger.dead.total() != len(BAD_EVENTS):
            raise LexstreamError(f"{len(flow.ledger.came_in)} events were sent, the log has {len(ledger.came_in)}")
        narrator.done(
            f"{len(ledger.came_in)} in = {ledger.enriched.total()} enriched + {ledger.dead.total()} dead letters"
        )
    return ledger


def summarise(narrator: Narrator, cli: Cli, flow: Flow, ledger: Ledger, models: dict[str, Evaluation]) -> None:
    """Say what happened and what to try next."""
    scores = {name: round(evaluation.micro_f1, 3) for name, evaluation in models.items()}
    if cli.for_machines:
        cli.emit(
            {
                "seconds": round(narrator.took_s, 1),
                "documents": len(ledger.came_in),
                "enriched": ledger.enriched.total(),
                "deadLetters": ledger.dead.total(),
                "microF1": scores,
                "medianLatencyS": round(median_s(map(latency_s, flow.documents)), 4),
                "switches": len(_swapped(flow)),
            }
        )
    lines = [
        Text(f"{counted(len(models), 'project')} trained: " + ", ".join(f"{n} F1 {f:.2f}" for n, f in scores.items())),
        Text(f"{len(ledger.came_in)} documents in, each out exactly once; one model swapped while they flowed"),
        Text(f"all of it in {duration(narrator.took_s)}"),
        Text(""),
        Text("Try next", "title"),
        *(_command(words, what) for words, what in NEXT),
    ]
    narrator.summary("It worked", lines)


NEXT = (
    ("lexstream up", "Kafka, worker and trainer that stay"),
    ("lexstream project import FOLDER", "a project from labels.json and documents/"),
    ("lexstream train PROJECT --model v1", "a model, with its evaluation"),
    ("lexstream deploy PROJECT v1 --deployment production", "which answers from now on"),
    ("lexstream publish FILES --task PROJECT/production", "documents in"),
    ("lexstream watch", "enriched documents as they come"),
)


def _command(words: str, what: str) -> Text:
    return Text.assemble((f"  {words:<52}", "name"), (f" {what}", "quiet"))

"""The story from the first to the last sentence."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from agents.cli.context import Cli
from agents.cli.errors import describe
from agents.cli.theme import Palette
from agents.client import Client
from agents.demo import acts
from agents.demo.flow import Flow
from agents.demo.narrator import Narrator
from agents.demo.stage import Stage, open_stage
from schemas.errors import LexstreamError


def tell(cli: Cli) -> int:
    """Play the demo; return the exit code, which is 0 only if all of it worked. Nothing is left running."""
    narrator = Narrator(cli.out)
    acts.introduce(narrator)
    with open_stage(cli) as stage:
        try:
            acts.start_kafka(narrator, stage)
            stage.cli.run(_play(narrator, stage))
        except KeyboardInterrupt:
            narrator.console.print("\nending everything", style="quiet")
            raise
        except Exception as error:
            lines = describe(error)
            if lines is None:
                raise
            narrator.failed("; ".join(lines), [(str(file), tail) for file, tail in stage.tails()])
            return 1
    narrator.done("nothing is left running, and the temporary folder is gone", style="quiet")
    return 0


async def _play(narrator: Narrator, stage: Stage) -> None:
    guard = asyncio.create_task(stage.guard())
    play = asyncio.create_task(_acts(narrator, stage))
    try:
        await asyncio.wait((guard, play), return_when=asyncio.FIRST_COMPLETED)
        if guard.done():
            guard.result()
        await play
    finally:
        await _cancel(guard, play)


async def _acts(narrator: Narrator, stage: Stage) -> None:
    cli = stage.cli
    await acts.start_processes(narrator, stage)
    async with cli.client() as client:
        await acts.import_samples(narrator, cli, client)
        models = await acts.train_samples(narrator, cli, client)
        await acts.deploy_samples(narrator, cli, client)
        async with _flow(client) as flow:
            await acts.enrich(narrator, flow, Palette())
            await acts.swap_in_the_flow(narrator, cli, flow)
            await acts.send_bad_events(narrator, flow)
            ledger = await acts.add_up(narrator, flow)
            acts.summarise(narrator, cli, flow, ledger, models)


@asynccontextmanager
async def _flow(client: Client) -> AsyncIterator[Flow]:
    topics = client.settings.topics
    async with client.follow([topics.enriched, topics.dead_letters, topics.control_events]) as follower:
        flow = Flow(client, follower)
        async with beside(flow.read()):
            yield flow


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do ``work`` while the block runs, and end it with the block.

    Raises:
        LexstreamError: If the work failed before: also where the block failed, since it waited for what the work does.
    """
    task = asyncio.create_task(work)
    try:
        yield
    except Exception:
        _require_sound(task)
        raise
    else:
        _require_sound(task)
    finally:
        await _cancel(task)


def _require_sound(task: asyncio.Task[None]) -> None:
    if task.done() and not task.cancelled() and (error := task.exception()):
        raise LexstreamError(str(error) or type(error).__name__) from error


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)  # our own cancellation comes out of it

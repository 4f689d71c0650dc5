"""A replay as a process, in transactions of a few letters: BROKERS NAMESPACE. Says so before each of them."""

import asyncio
import sys

from agents import replay
from agents.client import Client
from agents.hotloop.answers import Outgoing
from agents.letters import Letter, Selection
from agents.settings import Settings

_LETTERS = 20


class TalkingSender(replay.TransactionSender):
    async def send(self, letters: list[tuple[Letter, Outgoing]]) -> None:
        print("sending", flush=True)
        await super().send(letters)


async def main(brokers: str, namespace: str) -> None:
    replay._TRANSACTION_LETTERS = _LETTERS
    replay.TransactionSender = TalkingSender  # type: ignore[misc]
    async with Client(Settings(brokers=brokers, namespace=namespace, group=namespace)) as client:
        report = await replay.replay(client, Selection())
    print(f"sent {report.n_letters}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

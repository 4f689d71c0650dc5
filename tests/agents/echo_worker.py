"""A worker with the echo engine, as a process: BROKERS NAMESPACE NAME SECONDS_A_WINDOW. Ends at SIGTERM."""

import asyncio
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future

from agents.hotloop.service import HotLoopThread
from agents.inference import Answer, CallThread, Request, Urgency
from agents.leaving import leave
from agents.metrics import Metrics
from agents.settings import Settings
from tests.agents.echo import EchoEngine, FixedTables, served, table


class ThinkingEngine(EchoEngine):
    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds
        self._thread = CallThread("thinking")

    def submit(self, requests: Sequence[Request], urgency: Urgency) -> "Future[list[Answer]]":
        def think() -> list[Answer]:
            time.sleep(self._seconds)
            return self.answers(requests)

        return self._thread.submit(think)


async def main(brokers: str, namespace: str, name: str, seconds: str) -> None:
    settings = Settings(
        brokers=brokers,
        namespace=namespace,
        group=namespace,
        group_instance_id=name,
        default_tasks=["loans/production"],
        window_documents=32,
    )
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    loop = HotLoopThread(
        settings,
        engine=ThinkingEngine(float(seconds)),
        tables=FixedTables(table(served())),
        metrics=Metrics(),
        failed=leave,
    )
    await loop.start()
    print("running", flush=True)
    await stop.wait()
    await loop.stop()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

"""A Faust agent, one document at a time, exactly once as Faust offers it."""

from typing import Any

import faust

from benchmarks.peers.programs.common import Setup, answer, load_pipeline

SETUP = Setup.from_environment()
PIPELINE = load_pipeline(SETUP.model)

app = faust.App(
    SETUP.group,
    broker=f"kafka://{SETUP.brokers}",
    processing_guarantee="exactly_once",
    # By default 2.8 s; the last answers of a measurement should not wait for that.
    broker_commit_interval=1.0,
    consumer_auto_offset_reset="earliest",
    value_serializer="json",
    datadir=SETUP.state,
    topic_allow_declare=False,
    topic_disable_leader=True,
    web_enabled=False,
)
documents = app.topic(SETUP.input, key_serializer="raw")
answers = app.topic(SETUP.output, key_serializer="raw")


@app.agent(documents)
async def read(stream: Any) -> None:
    """Answer each document."""
    async for event in stream.events():
        found = PIPELINE(event.value["text"])
        await answers.send(key=event.key, value=answer(event.value, found))


if __name__ == "__main__":
    app.main()

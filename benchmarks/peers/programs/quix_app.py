"""Quix Streams: batches are count windows, as its documentation has them; exactly once."""

from typing import Any

from quixstreams import Application  # type: ignore[import-not-found]
from quixstreams.dataframe.windows.aggregations import Collect  # type: ignore[import-not-found]

from benchmarks.peers.programs.common import BATCH_SIZE, Setup, answer, load_pipeline


def main() -> None:
    """Answer documents until killed."""
    setup = Setup.from_environment()
    pipeline = load_pipeline(setup.model)
    app = Application(
        broker_address=setup.brokers,
        consumer_group=setup.group,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        # By default 5 s; the last answers of a measurement should not wait for that.
        commit_interval=1.0,
        state_dir=setup.state,
    )

    def read(window: dict[str, Any]) -> list[dict[str, Any]]:
        batch = window["documents"]
        found = pipeline([document["text"] for document in batch], batch_size=BATCH_SIZE)
        return [answer(document, entities) for document, entities in zip(batch, found, strict=True)]

    documents = app.topic(setup.input, key_deserializer="str", value_deserializer="json")
    answers = app.topic(setup.output, key_serializer="str", value_serializer="json")
    frame = app.dataframe(documents)
    windows = frame.tumbling_count_window(count=BATCH_SIZE).agg(documents=Collect()).final()
    windows.apply(read, expand=True).to_topic(answers)
    app.run()


if __name__ == "__main__":
    main()

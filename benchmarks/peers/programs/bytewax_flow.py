"""A Bytewax dataflow: batches by its ``collect``; at least once, which is what its Kafka sink offers.

Started with ``python -m bytewax.run`` and a recovery folder.
"""

import json
from datetime import timedelta
from typing import Any

import bytewax.operators as op  # type: ignore[import-not-found]
from bytewax.connectors.kafka import KafkaSinkMessage  # type: ignore[import-not-found]
from bytewax.connectors.kafka import operators as kafka
from bytewax.dataflow import Dataflow  # type: ignore[import-not-found]

from benchmarks.peers.programs.common import BATCH_SIZE, Setup, answer, load_pipeline

SETUP = Setup.from_environment()
PIPELINE = load_pipeline(SETUP.model)


def read(keyed: tuple[str, list[Any]]) -> list[Any]:
    """Answer one batch."""
    _, messages = keyed
    batch = [json.loads(message.value) for message in messages]
    found = PIPELINE([document["text"] for document in batch], batch_size=BATCH_SIZE)
    return [
        KafkaSinkMessage(message.key, json.dumps(answer(document, entities)).encode())
        for message, document, entities in zip(messages, batch, found, strict=True)
    ]


flow = Dataflow("peer")
documents = kafka.input("documents", flow, brokers=[SETUP.brokers], topics=[SETUP.input])
by_partition = op.key_on("by_partition", documents.oks, lambda message: str(message.partition))
# Long enough that no batch goes half full because the model was busy with another one.
batches = op.collect("batches", by_partition, timeout=timedelta(seconds=5), max_size=BATCH_SIZE)
answers = op.flat_map("read", batches, read)
kafka.output("answers", answers, brokers=[SETUP.brokers], topic=SETUP.output)

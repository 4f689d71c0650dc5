"""Publish a document and wait for its enriched one, with nothing but a Kafka client.

Run: python examples/publish_and_read.py PROJECT/DEPLOYMENT "Some text" (needs ``pip install confluent-kafka``).
"""

import json
import sys
import uuid

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

BROKERS, NAMESPACE = "localhost:9092", "lexstream"
PATIENCE_S = 30


def outputs() -> Consumer:
    """Follow enriched documents and dead letters from now on, and see only what was committed."""
    consumer = Consumer(
        {
            "bootstrap.servers": BROKERS,
            "group.id": f"example-{uuid.uuid4()}",
            # Lexstream writes in transactions: without this, aborted results would be seen too.
            "isolation.level": "read_committed",
        }
    )
    for topic in (f"{NAMESPACE}.replies", f"{NAMESPACE}.dead-letters"):
        found = consumer.list_topics(topic, timeout=PATIENCE_S).topics[topic].partitions
        places = [TopicPartition(topic, partition) for partition in found]
        for place in places:
            place.offset = consumer.get_watermark_offsets(place)[1]
        consumer.incremental_assign(places)
    return consumer


def publish(text: str, *, project: str, deployment: str) -> str:
    """Send a document to the interactive lane and return its id, once Kafka has it."""
    document_id = f"example-{uuid.uuid4()}"
    event = {"id": document_id, "text": text, "tasks": [{"project": project, "deployment": deployment}]}
    producer = Producer({"bootstrap.servers": BROKERS, "enable.idempotence": True})
    producer.produce(f"{NAMESPACE}.requests", key=document_id, value=json.dumps(event).encode())
    if producer.flush(PATIENCE_S):
        sys.exit(f"Kafka at {BROKERS} did not take the document within {PATIENCE_S} s")
    return document_id


def main() -> None:
    """Publish what the command line says and print what comes back."""
    if len(sys.argv) != 3 or "/" not in sys.argv[1]:  # noqa: PLR2004
        sys.exit(__doc__)
    project, deployment = sys.argv[1].split("/")
    consumer = outputs()
    document_id = publish(sys.argv[2], project=project, deployment=deployment)
    while message := consumer.poll(PATIENCE_S):
        if error := message.error():
            raise KafkaException(error)
        if message.key() == document_id.encode():
            print(f"{message.topic()}: {(message.value() or b'').decode()}")
            consumer.close()
            return
    sys.exit(f"no answer within {PATIENCE_S} s: is a worker running?")


if __name__ == "__main__":
    main()

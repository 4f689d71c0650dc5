"""The worker that one writes first: aiokafka, one document at a time. At least once, since offsets follow answers."""

import asyncio
import json

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from benchmarks.peers.programs.common import Setup, answer, load_pipeline


async def main() -> None:
    """Answer documents until killed."""
    setup = Setup.from_environment()
    pipeline = load_pipeline(setup.model)
    consumer = AIOKafkaConsumer(
        setup.input, bootstrap_servers=setup.brokers, group_id=setup.group, auto_offset_reset="earliest"
    )
    producer = AIOKafkaProducer(bootstrap_servers=setup.brokers)
    async with consumer, producer:
        async for record in consumer:
            document = json.loads(record.value)
            found = pipeline(document["text"])
            await producer.send_and_wait(setup.output, json.dumps(answer(document, found)).encode(), key=record.key)


if __name__ == "__main__":
    asyncio.run(main())

"""What the libraries below may say on the terminal of a command: nothing that the command does not say better."""

import logging


def quieten() -> None:
    """Keep Kafka's client from writing every failed connection; the command reports the outcome in one line."""
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    for name in ("aiokafka", "kafka", "asyncio", "agents"):
        logging.getLogger(name).setLevel(logging.CRITICAL)

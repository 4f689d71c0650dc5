"""Which topics events go into, and where what comes of them has to be. The judge is told: it knows none of ours."""

from agents.prove.checker import Input
from agents.prove.events import LaneName
from schemas.topics import Topics


def inputs_of(topics: Topics) -> dict[str, Input]:
    """Return the two inputs of a namespace."""
    return {
        topics.documents: Input(LaneName.BULK, frozenset({topics.enriched, topics.dead_letters})),
        topics.requests: Input(LaneName.INTERACTIVE, frozenset({topics.replies, topics.dead_letters})),
    }

"""What aiokafka's clients do otherwise in processes of ours, each with its reason."""

from agents.batches import guard_batches
from agents.closing import guard_closing
from agents.lookups import guard_lookups
from agents.offsets import guard_offsets
from agents.settings import Settings


def guard_clients(settings: Settings) -> None:
    """Let every client of this process, Faust's too, read, look up and close as we need it.

    A process calls it before it makes its first client: the registry is read long before there is an app.
    """
    guard_batches(settings.max_message_bytes)
    guard_offsets()
    guard_lookups()
    guard_closing()

"""Whether somebody still reads what we write: a pipe tells only those who write or ask, and we may wait for long."""

import io
import select
import sys


def nobody_reads() -> bool:
    """Return whether the other end of our stdout is closed (``man 2 poll``: an error of a pipe)."""
    try:
        descriptor = sys.stdout.fileno()
    except io.UnsupportedOperation:  # something in memory, as in tests
        return False
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))

"""The broker of a run, to be murdered: one node at a time, and the next only when all are whole again."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import psutil

from agents.prove.schedule import Kind, Murder
from schemas.errors import LexstreamError

BROKER: Final = "broker"
_WHOLE_S: Final = 60.0
"""How long a cluster may take until it could lose a node again."""
_ASK_EVERY_S: Final = 0.2


class Node(Protocol):
    """A process of a broker that is ours."""

    def start(self) -> Any:
        """Start it, and return when it answers."""

    def stop(self) -> bool:
        """Stop it in order, and return when it is gone."""

    def kill(self) -> bool:
        """Kill it."""

    def status(self) -> Any:
        """Return its process id, among others."""


class Broker(Protocol):
    """A broker that is ours: one node, or a cluster."""

    @property
    def nodes(self) -> Sequence[Node]:
        """Its processes."""

    def is_whole(self) -> bool:
        """Whether all nodes are there, each with all that was written."""


class Nodes:
    """Hurts a node and brings it back. Belongs to one thread; what takes seconds is done in another.

    Attributes:
        hurt: Whether one is away, or not yet whole: more than that a cluster cannot bear.
        error: Why it could not be brought back.
    """

    def __init__(self, broker: Broker | None) -> None:
        self._broker = broker
        self._restoring: threading.Thread | None = None
        self._closing = threading.Event()
        self.hurt = False
        self.error: BaseException | None = None

    def begin(self, murder: Murder) -> tuple[str, Callable[[], None]] | None:
        """Hurt one; return its name and what brings it back, or ``None`` if there is none to be hurt."""
        nodes = self._broker.nodes if self._broker is not None else ()
        number = int(murder.pick * len(nodes))
        pid = nodes[number].status().pid if nodes else None
        if pid is None:
            return None
        self.hurt = True
        name = BROKER if len(nodes) == 1 else f"{BROKER}-{number + 1}"
        return name, _hurt(murder.kind, nodes[number], psutil.Process(pid))

    def restore(self, back: Callable[[], None], ended: Callable[[], None]) -> None:
        """Do ``back`` in a thread, tell ``ended``, and wait until all is whole."""

        def restore() -> None:
            try:
                back()
                ended()
                self._until_whole()
            except Exception as error:  # whatever it is, it ends the run and not only this thread
                self.error = error

        self._restoring = threading.Thread(target=restore, name="broker", daemon=True)
        self._restoring.start()

    def look_after(self) -> None:
        """Note when all is whole again."""
        if self._restoring is not None and not self._restoring.is_alive():
            self._restoring, self.hurt = None, False

    def close(self) -> None:
        """Return when nothing is being brought back any more; whole it need not be."""
        self._closing.set()
        if self._restoring is not None:
            self._restoring.join()

    def _until_whole(self) -> None:
        end = time.monotonic() + _WHOLE_S
        while self._broker is not None and not self._broker.is_whole():
            if time.monotonic() > end:
                raise LexstreamError(f"not all brokers had all partitions again within {_WHOLE_S:.0f} s")
            if self._closing.wait(_ASK_EVERY_S):
                return


def _hurt(kind: Kind, node: Node, process: psutil.Process) -> Callable[[], None]:
    """Do it to a node; return what brings it back."""
    match kind:
        case Kind.FREEZE_BROKER:
            process.suspend()
            wake: Callable[[], None] = process.resume
            return wake
        case Kind.KILL_BROKER:
            node.kill()
        case _:
            process.terminate()

    def back() -> None:
        node.stop()  # one that goes in order may not be gone yet
        node.start()

    return back

"""Where the demo plays: a temporary home with a Kafka of its own, a worker and a trainer; nothing of it stays."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from agents.broker import LocalBroker
from agents.broker.address import free_port
from agents.cli.context import Cli
from agents.cli.options import arguments
from agents.interrupts import terminated_like_interrupted
from schemas.errors import LexstreamError

_PATIENCE_S = 20.0
_TAIL_LINES = 15
NAMESPACE = "lexstream-demo"


@dataclass
class Stage:
    """The processes of one demo."""

    cli: Cli
    broker: LocalBroker
    home: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str) -> None:
        """Start ``lexstream <name>``; what it says goes to a file."""
        command = [sys.executable, "-m", "agents.cli.main", name, *arguments(self.cli.options)]
        # Its own session: Ctrl-C reaches us alone, and we end the others in order.
        with self._log(name).open("wb") as log:
            self.processes[name] = subprocess.Popen(
                command, cwd=self.home, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    async def guard(self) -> None:
        """Wait until a process ends, which none should.

        Raises:
            LexstreamError: If one did.
        """
        while True:
            for name, process in self.processes.items():
                if process.poll() is not None:
                    raise LexstreamError(f"the {name} ended with exit code {process.returncode}")
            await asyncio.sleep(0.2)

    def stop(self) -> None:
        """End everything, in order where that works."""
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        for process in self.processes.values():
            try:
                process.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                pass
            finally:
                _kill_session(process)
        self.broker.stop()

    def tails(self) -> list[tuple[Path, str]]:
        """Return the last lines of every log."""
        files = [self._log(name) for name in self.processes] + [self.broker.status().log]
        return [(file, _tail(file)) for file in files if file.exists()]

    def _log(self, name: str) -> Path:
        return self.home / f"{name}.log"


def _kill_session(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _tail(file: Path) -> str:
    return "\n".join(file.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:])


@contextmanager
def open_stage(cli: Cli) -> Iterator[Stage]:
    """Make the stage and take all of it down again, whatever happens.

    Kafka's jars are kept in the user's own home, so that only the first demo has to get them.
    """
    jars = cli.settings.home.absolute() / "jars"
    with tempfile.TemporaryDirectory(prefix="lexstream-demo-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        address = f"127.0.0.1:{free_port()}"
        stage = Stage(_own_cli(cli, home, address), LocalBroker(home, address, cache=jars), home)
        with terminated_like_interrupted(), _without_our_environment():
            try:
                yield stage
            finally:
                stage.stop()


def _own_cli(cli: Cli, home: Path, address: str) -> Cli:
    options = {
        "brokers": address,
        "namespace": NAMESPACE,
        "home": home,
        "store": (home / "store").as_uri(),
        "metrics_port": 0,
        "group_instance_id": "demo",
    }
    return Cli(options, for_machines=cli.for_machines, file=home / "lexstream.toml")


@contextmanager
def _without_our_environment() -> Iterator[None]:
    """Keep the user's settings out of the demo, which must not touch the user's Kafka."""
    kept = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("LEXSTREAM_")}
    try:
        yield
    finally:
        os.environ.update(kept)

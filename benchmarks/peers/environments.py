"""The peers' virtual environments: one each, made by uv, which links files that other environments have."""

import hashlib
import subprocess
import sys
import sysconfig
from pathlib import Path

from benchmarks.peers.subject import ROOT

_REQUIREMENTS = ROOT / "benchmarks" / "peers" / "requirements"
_PATIENCE_S = 1800.0


class NotInstalled(Exception):
    """A peer's environment could not be made; the message is the last line of what uv said."""


def python_of(name: str, work: Path) -> Path:
    """Return the interpreter of a peer's environment."""
    return work / f"venv-{name}" / "bin" / "python"


def install(name: str, work: Path) -> None:
    """Make the environment of a peer, unless it is there with the same pins.

    Raises:
        NotInstalled: It cannot be made.
    """
    pins = _REQUIREMENTS / f"{name}.txt"
    digest = hashlib.sha256(pins.read_bytes()).hexdigest()
    python = python_of(name, work)
    mark = work / f"venv-{name}" / "installed"
    if mark.exists() and mark.read_text("utf-8") == digest:
        return
    _uv("venv", "--clear", "--python", sys.executable, str(python.parents[1]))
    _uv("pip", "sync", "--python", str(python), str(pins))
    mark.write_text(digest, "utf-8")


def versions(name: str, *packages: str) -> str:
    """Return the pinned versions of ``packages``, as in ``quixstreams 3.28.1``."""
    lines = (_REQUIREMENTS / f"{name}.txt").read_text("utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    return ", ".join(f"{package} {pinned[package]}" for package in packages)


def _uv(*arguments: str) -> None:
    uv = Path(sysconfig.get_path("scripts")) / "uv"
    done = subprocess.run(
        [str(uv), *arguments], capture_output=True, text=True, check=False, timeout=_PATIENCE_S, cwd=ROOT
    )
    if done.returncode:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise NotInstalled(said[-1] if said else f"uv left with {done.returncode}")

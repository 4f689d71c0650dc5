"""Which machine this is."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from models.engine.cpus import available_cpus, read_cpuinfo
from models.plans import Machine

_CPUINFO: Final = Path("/proc/cpuinfo")
_NVIDIA: Final = Path("/proc/driver/nvidia/gpus")
_RUNTIMES: Final = ("onnxruntime", "openvino", "torch")
_FEATURES: Final = frozenset(
    {
        *("sse4_2", "avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
        *("amx_tile", "amx_bf16", "amx_int8", "amx_fp16"),
        *("asimd", "asimddp", "bf16", "i8mm", "sve", "sve2", "svebf16"),
    }
)
_BF16: Final = frozenset({"avx512_bf16", "amx_bf16", "bf16", "svebf16"})


def this_machine(
    cpus: int | None = None, *, cpuinfo: Path = _CPUINFO, graphics: Path = _NVIDIA, cgroup: Path | None = None
) -> Machine:
    """Return the machine that this process runs on.

    Args:
        cpus: Processors that models may use; by default all that are ours.
        cpuinfo: Where Linux describes its processors; elsewhere the ``platform`` module is asked.
        graphics: Where NVIDIA's driver describes what it drives. No library is loaded to find out.
        cgroup: Where the container's limits are, if not in the usual place.
    """
    name, features = read_cpuinfo(cpuinfo.read_text(errors="replace") if cpuinfo.exists() else "")
    return Machine(
        processor=name or platform.processor() or platform.machine() or "unknown",
        cpus=cpus or (available_cpus(cgroup) if cgroup else available_cpus()),
        features=sorted(features & _FEATURES),
        gpu=_graphics(graphics),
        runtimes={name: found for name in _RUNTIMES if (found := _version(name))},
    )


def has_bf16(machine: Machine) -> bool:
    """Whether the processor computes in BF16; another one would imitate it, many times slower."""
    return not _BF16.isdisjoint(machine.features)


def _graphics(folder: Path) -> str:
    try:
        cards = sorted(folder.glob("*/information"))
        names = [line.partition(":")[2].strip() for card in cards for line in _lines(card) if line.startswith("Model:")]
    except OSError:
        return ""
    if not names:
        return ""
    return names[0] if len(names) == 1 else f"{len(names)} x {names[0]}"


def _lines(path: Path) -> list[str]:
    return path.read_text(errors="replace").splitlines()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""

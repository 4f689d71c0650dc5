import subprocess
import sys
from pathlib import Path

from models.engine.cpus import read_cpuinfo
from models.plans import Machine
from models.tuning.machine import has_bf16, this_machine

X86 = """processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R)  Platinum 8481C CPU @ 2.70GHz
flags\t\t: fpu avx2 avx512_bf16 amx_bf16 hypervisor avx512_vnni

processor\t: 1
model name\t: another
flags\t\t: fpu
"""
ARM = """processor\t: 0
BogoMIPS\t: 243.75
Features\t: fp asimd i8mm bf16
CPU implementer\t: 0x41
CPU part\t: 0xd40
"""


def machine(folder: Path, text: str = X86, *, cpus: int | None = None, gpus: tuple[str, ...] = ()) -> Machine:
    (folder / "cpuinfo").write_text(text)
    for number, name in enumerate(gpus):
        card = folder / "gpus" / str(number)
        card.mkdir(parents=True)
        (card / "information").write_text(f"Model: \t\t {name}\nIRQ: 5\n")
    return this_machine(cpus, cpuinfo=folder / "cpuinfo", graphics=folder / "gpus")


def test_the_first_processor_is_read() -> None:
    name, features = read_cpuinfo(X86)
    assert name == "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz"
    assert "amx_bf16" in features
    assert read_cpuinfo(ARM) == ("0xd40", frozenset({"fp", "asimd", "i8mm", "bf16"}))
    assert read_cpuinfo("") == ("", frozenset())
    assert read_cpuinfo("no colon\n\n") == ("", frozenset())


def test_only_what_matters_names_a_machine(tmp_path: Path) -> None:
    one = machine(tmp_path)
    assert one.features == ["amx_bf16", "avx2", "avx512_bf16", "avx512_vnni"]
    assert machine(tmp_path, X86.replace("hypervisor", "other")).key == one.key
    assert machine(tmp_path, X86.replace("amx_bf16", "")).key != one.key
    assert machine(tmp_path, cpus=one.cpus + 1).key != one.key
    assert machine(tmp_path, gpus=("NVIDIA H200",)).key != one.key


def test_a_machine_without_cpuinfo_has_a_name_too(tmp_path: Path) -> None:
    found = this_machine(cpuinfo=tmp_path / "absent", graphics=tmp_path / "absent")
    assert found.processor
    assert found.features == []
    assert found.gpu == ""
    assert "onnxruntime" in found.runtimes


def test_graphics_processors_are_named(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    assert machine(tmp_path / "one", gpus=("NVIDIA H200",)).gpu == "NVIDIA H200"
    found = machine(tmp_path, cpus=2, gpus=("NVIDIA L4", "NVIDIA L4"))
    assert found.gpu == "2 x NVIDIA L4"
    assert str(found).endswith("2 processors, 2 x NVIDIA L4")


def test_bf16_is_seen(tmp_path: Path) -> None:
    assert has_bf16(machine(tmp_path))
    assert has_bf16(machine(tmp_path, ARM))
    assert not has_bf16(machine(tmp_path, "model name: old\nflags: avx2 avx512f\n"))


def test_a_machine_survives_the_way_into_json_and_back(tmp_path: Path) -> None:
    found = machine(tmp_path)
    assert Machine.model_validate_json(found.model_dump_json(by_alias=True)).key == found.key


def test_asking_for_the_machine_imports_nothing_heavy() -> None:
    script = (
        "import sys; from models.tuning.machine import this_machine; this_machine(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)

"""Child processes: what they report, how they end, and that they never stay."""

import asyncio
import sys
from pathlib import Path

import psutil
import pytest

from agents.trainer.child import Crashed, Failed, Report, Succeeded, run_child
from schemas.errors import NoSpace, Unavailable

GOOD = '{"event": "succeeded", "digest": "d", "evaluation": "e"}'


async def run(code: str, folder: Path) -> tuple[object, list[Report]]:
    reports: list[Report] = []

    async def keep(report: Report) -> None:
        reports.append(report)

    return await run_child(folder, keep, command=(sys.executable, "-c", code)), reports


async def test_reports_come_in_order_and_other_output_is_no_report(tmp_path: Path) -> None:
    code = f"""
import sys
print("loading...")
print('{{"event": "progress", "fraction": 0.1}}')
print('[1, 2]')
print('{{"event": "progress", "fraction": 0.2}}')
print({GOOD!r})
assert sys.argv[1] == {str(tmp_path)!r}
"""
    how, reports = await run(code, tmp_path)
    assert isinstance(how, Succeeded)
    assert how.report["digest"] == "d"
    assert [report["fraction"] for report in reports] == [0.1, 0.2]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("""print('{"event": "failed", "problems": ["a", "b"]}'); exit(1)""", Failed(["a", "b"])),
        ("raise MemoryError('too big')", Crashed("the training process ended with exit code 1: MemoryError")),
        (
            "class DataError(ValueError): pass\nraise DataError('Mrs Smith, born 1970\\nBuyer: Jones')",
            Crashed("the training process ended with exit code 1: DataError"),
        ),
        ("pass", Crashed("the training process ended with exit code 0: it raised no error")),
        (f"print({GOOD!r}); exit(4)", Crashed("the training process ended with exit code 4: it raised no error")),
        (
            """print('{"event": "succeeded"}')""",
            Crashed("the training process ended with exit code 0: it raised no error"),
        ),
        (
            "import os; os.kill(os.getpid(), 9)",
            Crashed("the training process ended with signal SIGKILL (out of memory?): it raised no error"),
        ),
    ],
)
async def test_every_end_has_its_meaning(code: str, expected: object, tmp_path: Path) -> None:
    assert (await run(code, tmp_path))[0] == expected


async def test_a_training_that_ends_because_the_store_is_away_has_not_failed(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="store away"):
        await run("""print('{"event": "failed", "problems": ["store away"]}'); exit(75)""", tmp_path)


async def test_a_training_that_ends_because_a_disk_is_full_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoSpace, match="full: free some"):
        await run("""print('{"event": "failed", "problems": ["full: free some"]}'); exit(74)""", tmp_path)


async def test_much_on_standard_error_blocks_nothing(tmp_path: Path) -> None:
    code = f"import sys; sys.stderr.write(('y' * 99 + chr(10)) * 20000); print({GOOD!r})"
    assert isinstance((await run(code, tmp_path))[0], Succeeded)


@pytest.mark.parametrize("stubborn", ["", "signal.signal(signal.SIGTERM, signal.SIG_IGN)"])
async def test_a_cancelled_training_is_gone_within_seconds(stubborn: str, tmp_path: Path) -> None:
    code = f"""
import os, signal, time
{stubborn}
print('{{"event": "progress", "pid": %d}}' % os.getpid(), flush=True)
time.sleep(60)
"""
    said: asyncio.Queue[Report] = asyncio.Queue()
    training = asyncio.create_task(run_child(tmp_path, said.put, command=(sys.executable, "-c", code)))
    child = (await said.get())["pid"]
    training.cancel()
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            await training
    assert not psutil.pid_exists(child)

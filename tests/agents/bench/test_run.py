"""A whole run against a real Kafka, as small as it can be."""

import asyncio
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from agents.bench.findings import MIX, TICKETS
from agents.bench.report import report
from agents.bench.run import measure
from agents.bench.timetable import MIXED_SUBJECTS, TICKET_SUBJECTS, Sizes
from agents.settings import Settings

TINY = Sizes(
    rounds=1, ticket_rounds=1, fast_s=0.5, slow_s=0.5, tuning_s=2.0, latency_s=1.0, latency_warm_s=0.2, n_echo=2000
)


async def bench_topics(brokers: str) -> set[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=brokers)
    await admin.start()
    try:
        return {name for name in await admin.list_topics() if name.startswith("lexstream-bench-")}
    finally:
        await admin.close()


@pytest.mark.broker
@pytest.mark.slow
def test_a_run_measures_every_subject_loses_nothing_and_leaves_no_topics(kafka: str, tmp_path: Path) -> None:
    steps: list[str] = []
    measured = measure(
        Settings(brokers=kafka), sizes=TINY, folder=tmp_path, on_step=lambda step: steps.append(step.name)
    )
    findings = asyncio.run(measured)
    found = report(findings)
    assert [row["subject"] for row in found[MIX]] == list(MIXED_SUBJECTS)
    assert [row["subject"] for row in found[TICKETS]] == list(TICKET_SUBJECTS)
    for row in (*found[MIX], *found[TICKETS]):
        assert row["documentsPerS"] > 0
        assert (row["lost"], row["extra"]) == (0, 0)
        assert row["agreementWithBare"] > 0.9
    assert found["leftovers"] == 0
    assert found["echoCpuUsPerEvent"] > 0
    assert found["stages"]["exactly-once"]["forward"] > 0
    assert {each["subject"]: each["p99Ms"] > 0 for each in found["latency"]} == {"exactly-once": True, "naive": True}
    assert any("latency" in step for step in steps)
    assert asyncio.run(bench_topics(kafka)) == set()

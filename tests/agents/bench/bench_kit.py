"""Findings as a run would bring them."""

from agents.bench.findings import MIX, TICKETS, Findings, Latency, Pass
from agents.bench.stats import Spans
from agents.bench.timetable import MIXED_SUBJECTS, TICKET_SUBJECTS
from models.plans import Machine, Plan, Trial, Tuning, Verdict

SPEEDS = {"exactly-once": 95.0, "bare": 100.0, "at-least-once": 96.0, "torch": 10.0, "naive": 8.0, "echo": 20_000.0}
RENT: Spans = frozenset({("Rent", 3, 4)})


def one_pass(
    subject: str,
    documents: str = MIX,
    *,
    spans: Spans = RENT,
    lost: int = 0,
    others: float | None = 0.02,
    seconds: float | None = None,
) -> Pass:
    return Pass(
        subject,
        documents,
        n_documents=500,
        n_tokens=50_000,
        seconds=seconds or 500 / SPEEDS[subject],
        cpu_s=0.025 if subject == "echo" else 2.0,
        rss_mb=300.0,
        spans={"a": spans},
        lost=lost,
        stages={"model_forward": 0.9, "commit": 0.1, "poll": 5.0, "model": 1.0} if "once" in subject else {},
        others=others,
    )


def findings(**changed: Pass) -> Findings:
    plan = Plan(backend="openvino-bf16", streams=2, threads=1, max_padded_tokens=512)
    trial = Trial(plan=plan, tokens_per_s=15_000, agreement=0.996, verdict=Verdict.SERVED)
    machine = Machine(processor="A processor", cpus=2, runtimes={"openvino": "1"})
    found = Findings(Tuning(machine=machine, plan=plan, trials=[trial]), seconds=60.0)
    found.passes += [changed.get(name.replace("-", "_"), one_pass(name)) for name in MIXED_SUBJECTS]
    found.passes += [one_pass(name, TICKETS) for name in TICKET_SUBJECTS]
    found.passes.append(one_pass("echo"))
    found.latencies += [Latency("exactly-once", 70.0, [0.01, 0.02, 0.03]), Latency("naive", 5.0, [0.2])]
    return found

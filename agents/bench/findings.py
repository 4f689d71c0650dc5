"""What a run finds out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agents.bench.stats import Spans
from models.plans import Tuning

MIX, TICKETS = "mix", "tickets"


@dataclass(frozen=True)
class Pass:
    """Documents through one subject, once.

    Attributes:
        subject: A key of ``TITLES``.
        documents: Which kind: ``MIX`` or ``TICKETS``.
        n_documents: How many.
        n_tokens: In all of them.
        seconds: From the first sent to the last output seen; without Kafka, of the call.
        cpu_s: Processor time of the subject's process meanwhile.
        rss_mb: The most memory that its process has had.
        spans: What it found, by document.
        lost: Documents without an output.
        extra: Outputs too many.
        stages: Seconds of each stage.
        others: The share of the processors that other processes took meanwhile, where that is known.
    """

    subject: str
    documents: str
    n_documents: int
    n_tokens: int
    seconds: float
    cpu_s: float
    rss_mb: float
    spans: Mapping[str, Spans] = field(default_factory=dict, repr=False)
    lost: int = 0
    extra: int = 0
    stages: Mapping[str, float] = field(default_factory=dict)
    others: float | None = None

    @property
    def documents_per_s(self) -> float:
        """The speed in documents."""
        return self.n_documents / self.seconds

    @property
    def tokens_per_s(self) -> float:
        """The speed in tokens; subjects that get fewer documents get the same mix only nearly."""
        return self.n_tokens / self.seconds


@dataclass(frozen=True)
class Latency:
    """How long documents took at a steady rate."""

    subject: str
    per_s: float
    seconds: Sequence[float]


@dataclass
class Findings:
    """All that a run found out.

    Attributes:
        tuning: The machine, the plans that were measured, and the one that serves.
        seconds: How long all of it took.
    """

    tuning: Tuning
    passes: list[Pass] = field(default_factory=list)
    latencies: list[Latency] = field(default_factory=list)
    n_leftovers: int = 0
    seconds: float = 0.0

    @property
    def others(self) -> float | None:
        """The largest share of the processors that others took while the bare engine worked, where that is known."""
        return max(
            (each.others for each in self.passes if each.subject == "bare" and each.others is not None), default=None
        )

    @property
    def shortest_s(self) -> float:
        """The seconds of the shortest pass of the mix through Kafka."""
        return min(each.seconds for each in self.of("exactly-once", MIX))

    def of(self, subject: str, documents: str) -> list[Pass]:
        """Return the passes of a subject, in the order of the rounds."""
        return [each for each in self.passes if (each.subject, each.documents) == (subject, documents)]

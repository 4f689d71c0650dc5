"""What the worker measures, and what to do about it."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_SHARES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0, 2.0)


class Metrics:
    """The worker's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self.events = Counter(
            "lexstream_events", "Events answered, by input topic and outcome.", ["topic", "outcome"], registry=r
        )
        self.dead_letters = Counter(
            "lexstream_dead_letters",
            "Events that became dead letters, by reason: look at them with `lexstream dead-letters list`.",
            ["reason"],
            registry=r,
        )
        self.replayed = Counter(
            "lexstream_replayed_events",
            "Events that `lexstream dead-letters replay` sent back, by what became of them: enriched or dead_letter.",
            ["outcome"],
            registry=r,
        )
        self.task_failures = Counter(
            "lexstream_task_failures", "Tasks that could not be served, by code.", ["code"], registry=r
        )
        self.routed = Counter("lexstream_routed", "Copies sent to routes, by topic.", ["topic"], registry=r)
        self.lag = Gauge(
            "lexstream_lag_events",
            "Offsets not yet committed, by partition: if it grows, add workers.",
            ["topic", "partition"],
            registry=r,
        )
        self.buffered = Gauge("lexstream_buffered_bytes", "Memory of the events read ahead.", registry=r)
        self.paused = Gauge("lexstream_paused_partitions", "Partitions paused: enough is read ahead.", registry=r)
        self.partitions = Gauge("lexstream_assigned_partitions", "Partitions that are ours.", registry=r)
        self.window_documents = Histogram(
            "lexstream_window_documents", "Events a window took.", buckets=_SIZES, registry=r
        )
        self.window_fill = Histogram(
            "lexstream_window_fill",
            "Estimated tokens of a window as a share of window_tokens.",
            buckets=_SHARES,
            registry=r,
        )
        self.stage = Histogram(
            "lexstream_stage_seconds", "Seconds a window spent in a stage.", ["stage"], buckets=_SECONDS, registry=r
        )
        self.aborts = Counter(
            "lexstream_aborted_transactions", "Transactions given up and done again: look at the broker.", registry=r
        )
        self.stale = Counter(
            "lexstream_stale_events",
            "Events dropped because their partition moved on; they are read again.",
            registry=r,
        )
        self.retries = Counter(
            "lexstream_retries", "Things tried again because Kafka did not answer, by what.", ["what"], registry=r
        )
        self.switches = Counter("lexstream_switches", "Partitions that began to use another model.", registry=r)
        self.models = Gauge("lexstream_loaded_models", "Models in memory.", registry=r)
        self.model_bytes = Gauge(
            "lexstream_loaded_models_bytes",
            "Memory of the loaded models; what they share counts once. Bounded by models_mb.",
            registry=r,
        )
        self.deployed_bytes = Gauge(
            "lexstream_deployed_models_bytes",
            "Memory that all deployed models would take that were loaded so far: models_mb above it unloads none.",
            registry=r,
        )
        self.parked = Gauge(
            "lexstream_parked_deployments",
            "Deployments whose model is not in memory: their next document waits for it.",
            registry=r,
        )
        self.loads = Counter(
            "lexstream_model_loads",
            "Models loaded: if it grows while nothing is deployed, models take turns in memory; raise models_mb.",
            registry=r,
        )
        self.unloads = Counter(
            "lexstream_model_unloads",
            "Models unloaded, to make room or because nothing deploys them any more.",
            registry=r,
        )
        self.load_failures = Counter(
            "lexstream_model_load_failures", "Models that could not be loaded: the old ones serve on.", registry=r
        )
        self.commit_age = Gauge(
            "lexstream_last_commit_age_seconds",
            "Time since the last commit; matters only while something waits.",
            registry=r,
        )

    def observe_stage(self, stage: str, seconds: float) -> None:
        """Note how long a stage took."""
        self.stage.labels(stage).observe(seconds)

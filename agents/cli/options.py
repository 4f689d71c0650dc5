"""The settings as options. Written out, because reading them off the settings would take a third of a second."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

PASSWORDS = frozenset({"sasl_password", "sasl_oauth_client_secret", "ssl_password"})
"""Settings without an option: everybody on a machine can read the options of a process."""


@dataclass(frozen=True, slots=True)
class SettingOption:
    """An option that sets a setting."""

    annotation: Any
    help: str
    flag: str = ""
    panel: str = "Worker"
    metavar: str | None = None


Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]
IndexType = Literal["UnicodeCodePoint", "Utf16CodeUnit", "Utf8CodeUnit"]
Backend = Literal[
    "auto", "torch-fp32", "torch-bf16", "onnx-int8", "onnx-fp32", "openvino-int8", "openvino-bf16", "openvino-fp32"
]
Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
LogFormat = Literal["auto", "text", "json"]


def _kafka(annotation: Any, text: str) -> SettingOption:
    return SettingOption(annotation, text, panel="Kafka")


def _output(annotation: Any, text: str, metavar: str | None = None) -> SettingOption:
    return SettingOption(annotation, text, panel="Output", metavar=metavar)


OPTIONS: dict[str, SettingOption] = {
    "brokers": _kafka(str, "Kafka's bootstrap addresses, parted by commas; the local broker listens at the first."),
    "namespace": _kafka(str, "What all topic names begin with."),
    "security_protocol": _kafka(Protocol, "How to speak to Kafka."),
    "sasl_mechanism": _kafka(Mechanism, "How to log in, with a SASL protocol."),
    "sasl_username": _kafka(str, "User of SASL."),
    "sasl_oauth_token_url": _kafka(
        str, "Where OAUTHBEARER gets its tokens (OAuth 2.0, client credentials); https, or http on loopback."
    ),
    "sasl_oauth_client_id": _kafka(str, "Who we are at the token endpoint."),
    "sasl_oauth_scope": _kafka(str, "Scope to ask the token for; default: the endpoint's."),
    "ssl_cafile": _kafka(Path, "Certificates (PEM) that the broker's is checked against; default: the system's."),
    "ssl_certfile": _kafka(Path, "Our own certificate (PEM), for mutual TLS."),
    "ssl_keyfile": _kafka(Path, "The key of our certificate (PEM)."),
    "broker_wait_s": _kafka(float, "How long a process waits for Kafka when it starts."),
    "home": SettingOption(
        Path, "Folder of the local broker's data, downloaded jars, and the store unless that is set.", panel="Places"
    ),
    "store": SettingOption(
        str,
        "Where models are kept: any fsspec URL (file://, s3://, gs://, abfs://); default: store/ in the home.",
        panel="Places",
    ),
    "schema_registry_url": SettingOption(
        str,
        "URL of a Confluent Schema Registry for Avro; without it the ids of schemas/avro/ids.json hold.",
        panel="Places",
    ),
    "group": SettingOption(
        str, "The workers' consumer group; also the prefix of transactional ids and of the control plane's groups."
    ),
    "group_instance_id": SettingOption(
        str,
        "A lasting name for this worker (static membership): its partitions wait session_timeout_s for it to be back.",
    ),
    "lanes": SettingOption(
        list[str],
        "Further lanes, INPUT:OUTPUT or INPUT:OUTPUT:interactive, beside the two of the namespace.",
        flag="--lane",
        metavar="LANE",
    ),
    "default_tasks": SettingOption(
        list[str],
        "Tasks of documents that name none: PROJECT/DEPLOYMENT, or TOPIC=PROJECT/DEPLOYMENT for one input topic.",
        flag="--default-task",
        metavar="TASK",
    ),
    "include_text": _output(bool, "Whether enriched documents carry the text."),
    "string_index_type": _output(
        IndexType,
        "Unit of the offsets and lengths in enriched documents: UnicodeCodePoint, Utf16CodeUnit or Utf8CodeUnit.",
        metavar="UNIT",
    ),
    "output_format": _output(Literal["json", "avro"], "Format of enriched documents. Input topics may mix both."),
    "window_tokens": SettingOption(int, "Most tokens (estimated from the length) that go through the model together."),
    "window_documents": SettingOption(int, "Most documents that go through the model together."),
    "buffer_mb": SettingOption(int, "Most megabytes of documents read ahead; then their partitions pause."),
    "max_message_bytes": SettingOption(
        int, "Largest document event; a larger one is a dead letter. Output topics take 2.5 times as much."
    ),
    "dead_letter_limit": SettingOption(
        float, "Stop when more than this share of the last 1,000 events became dead letters."
    ),
    "backend": SettingOption(
        Backend,
        "What runs the encoder: torch-fp32, torch-bf16, onnx-int8, onnx-fp32, openvino-int8, openvino-bf16, "
        "openvino-fp32, or auto: the fastest on this machine that answers as well as torch-fp32.",
        metavar="BACKEND",
    ),
    "tuning_s": SettingOption(
        float,
        "Most seconds in which a starting worker measures how a model runs best, if nobody knows; 0: none.",
    ),
    "threads": SettingOption(int, "Threads of the model, all streams together; 0: as many as there are cores for us."),
    "models_mb": SettingOption(
        int,
        "Most megabytes of models in memory; the least recently used are unloaded, and loaded again when asked for.",
    ),
    "session_timeout_s": SettingOption(
        float, "How long Kafka waits for a dead worker before others get its partitions."
    ),
    "transaction_timeout_s": SettingOption(
        float, "How long a dead worker's open transaction may hold back readers of its partitions."
    ),
    "metrics_host": SettingOption(str, "Address of /metrics, /livez and /readyz."),
    "metrics_port": SettingOption(int, "Port of /metrics, /livez and /readyz; 0: none."),
    "log_level": SettingOption(Level, "Least important lines that are logged.", panel="Logs"),
    "log_format": SettingOption(LogFormat, "auto: text on a terminal, JSON lines elsewhere.", panel="Logs"),
}

ALWAYS_SHOWN = ("brokers", "namespace")
SHOWN_AT_FIRST = (*ALWAYS_SHOWN, "home", "store")
OF_WORKERS = tuple(name for name, option in OPTIONS.items() if option.panel in {"Worker", "Output"})


def flag(name: str) -> str:
    """Return the option of a setting, such as ``--metrics-port``."""
    return OPTIONS[name].flag or "--" + name.replace("_", "-")


def arguments(options: Mapping[str, object]) -> list[str]:
    """Return the command line that gives ``options`` to another process of ours."""
    return [word for name, value in options.items() if value is not None for word in _words(name, value)]


def _words(name: str, value: object) -> Iterable[str]:
    if isinstance(value, bool):
        return [flag(name) if value else flag(name).replace("--", "--no-", 1)]
    values = value if isinstance(value, list) else [value]
    return [word for each in values for word in (flag(name), str(each))]

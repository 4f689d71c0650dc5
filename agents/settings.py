"""The settings: environment ``LEXSTREAM_…``, then ``lexstream.toml``, then options; the later wins."""

import os
import re
import tomllib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from platformdirs import user_data_path
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from agents.lanes import Lane, default_lanes, default_task_problem, lane_problem, lane_tasks, parse_lane
from agents.login import login_problem
from agents.secret_urls import registry_url_problem, token_url_problem
from schemas.codecs.validation import shown_problems
from schemas.documents import Task
from schemas.errors import InvalidSettings
from schemas.names import StringIndexType
from schemas.topics import Topics

PREFIX = "LEXSTREAM_"
FILE = Path("lexstream.toml")
Origin = Literal["default", "environment", "file", "option"]
Words = Annotated[list[str], NoDecode]
"""A list; in the environment its items are parted by commas."""


class Settings(BaseSettings):
    """Everything that can be set. The sentence below a field is what ``lexstream settings`` shows."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True
    )

    brokers: Annotated[str, Field(min_length=1)] = "localhost:9092"
    """Kafka's bootstrap addresses, parted by commas; the local broker listens at the first."""
    namespace: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$", max_length=100)] = "lexstream"
    """What all topic names begin with."""
    group: Annotated[str, Field(min_length=1, max_length=200)] = "lexstream"
    """The workers' consumer group; also the prefix of transactional ids and of the control plane's groups."""
    group_instance_id: str | None = None
    """A lasting name for this worker (static membership): its partitions wait session_timeout_s for it to be back."""
    lanes: Words = []
    """Further lanes, INPUT:OUTPUT or INPUT:OUTPUT:interactive, beside the two of the namespace."""
    default_tasks: Words = []
    """Tasks of documents that name none: PROJECT/DEPLOYMENT, or TOPIC=PROJECT/DEPLOYMENT for one input topic."""
    home: Path = Field(default_factory=lambda: user_data_path("lexstream"))
    """Folder of the local broker's data, downloaded jars, and the store unless that is set."""
    store: str = ""
    """Where models are kept: any fsspec URL (file://, s3://, gs://, abfs://); default: store/ in the home."""

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """How to speak to Kafka."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = "PLAIN"
    """How to log in, with a SASL protocol."""
    sasl_username: str | None = None
    """User of SASL."""
    sasl_password: SecretStr | None = None
    """Password of SASL."""
    sasl_oauth_token_url: str | None = None
    """Where OAUTHBEARER gets its tokens (OAuth 2.0, client credentials); https, or http on loopback."""
    sasl_oauth_client_id: str | None = None
    """Who we are at the token endpoint."""
    sasl_oauth_client_secret: SecretStr | None = None
    """Our secret at the token endpoint."""
    sasl_oauth_scope: str | None = None
    """Scope to ask the token for; default: the endpoint's."""
    ssl_cafile: Path | None = None
    """Certificates (PEM) that the broker's is checked against; default: the system's."""
    ssl_certfile: Path | None = None
    """Our own certificate (PEM), for mutual TLS."""
    ssl_keyfile: Path | None = None
    """The key of our certificate (PEM)."""
    ssl_password: SecretStr | None = None
    """Password of the key."""

    include_text: bool = True
    """Whether enriched documents carry the text."""
    string_index_type: StringIndexType = StringIndexType.CODE_POINT
    """Unit of the offsets and lengths in enriched documents: UnicodeCodePoint, Utf16CodeUnit or Utf8CodeUnit."""
    output_format: Literal["json", "avro"] = "json"
    """Format of enriched documents. Input topics may mix both."""
    schema_registry_url: SecretStr | None = None
    """URL of a Confluent Schema Registry for Avro; without it the ids of schemas/avro/ids.json hold."""

    window_tokens: Annotated[int, Field(ge=256, le=1_000_000)] = 16_384
    """Most tokens (estimated from the length) that go through the model together."""
    window_documents: Annotated[int, Field(ge=1, le=10_000)] = 256
    """Most documents that go through the model together."""
    buffer_mb: Annotated[int, Field(ge=1)] = 64
    """Most megabytes of documents read ahead; then their partitions pause."""
    max_message_bytes: Annotated[int, Field(ge=1024)] = 8 * 1024 * 1024
    """Largest document event; a larger one is a dead letter. Output topics take 2.5 times as much."""
    dead_letter_limit: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Stop when more than this share of the last 1,000 events became dead letters."""
    backend: Literal[
        "auto",
        "torch-fp32",
        "torch-bf16",
        "onnx-int8",
        "onnx-fp32",
        "openvino-int8",
        "openvino-bf16",
        "openvino-fp32",
    ] = "auto"
    """What runs the encoder: torch-fp32, torch-bf16, onnx-int8, onnx-fp32, openvino-int8, openvino-bf16, openvino-fp32,
    or auto: the fastest on this machine that answers as well as torch-fp32."""
    tuning_s: Annotated[float, Field(ge=0, le=600)] = 50.0
    """Most seconds in which a starting worker measures how a model runs best, if nobody knows; 0: none."""
    threads: Annotated[int, Field(ge=0)] = 0
    """Threads of the model, all streams together; 0: as many as there are cores for us."""
    models_mb: Annotated[int, Field(ge=16)] = 4096
    """Most megabytes of models in memory; the least recently used are unloaded, and loaded again when asked for."""
    session_timeout_s: Annotated[float, Field(ge=6, le=300)] = 6.0
    """How long Kafka waits for a dead worker before others get its partitions."""
    transaction_timeout_s: Annotated[float, Field(ge=1, le=900)] = 10.0
    """How long a dead worker's open transaction may hold back readers of its partitions."""

    metrics_host: str = "127.0.0.1"
    """Address of /metrics, /livez and /readyz."""
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = 9464
    """Port of /metrics, /livez and /readyz; 0: none."""
    broker_wait_s: Annotated[float, Field(ge=0)] = 60.0
    """How long a process waits for Kafka when it starts."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least important lines that are logged."""
    log_format: Literal["auto", "text", "json"] = "auto"
    """auto: text on a terminal, JSON lines elsewhere."""

    @field_validator("*", mode="before")
    @classmethod
    def _empty_is_not_set(cls, value: object, info: ValidationInfo) -> object:
        # As templates of environments have it: NAME=${OTHER:-}.
        assert info.field_name  # noqa: S101 - pydantic names the field
        return None if value == "" and cls.model_fields[info.field_name].default is None else value

    @field_validator("lanes", "default_tasks", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _lanes_and_tasks_go_together(self) -> Self:
        lanes = self.all_lanes
        if problem := lane_problem(lanes, self.topics) or default_task_problem(self.default_tasks, lanes):
            raise ValueError(problem)
        return self

    @model_validator(mode="after")
    def _logins_are_whole_and_safe(self) -> Self:
        fields = type(self).model_fields
        given = {name for name in fields if (value := getattr(self, name)) and value != fields[name].default}
        if self.sasl_oauth_token_url and (problem := token_url_problem(self.sasl_oauth_token_url)):
            raise ValueError(f"sasl_oauth_token_url: {problem}")
        if self.schema_registry_url and (problem := registry_url_problem(self.schema_registry_url.get_secret_value())):
            raise ValueError(f"schema_registry_url: {problem}")
        if problem := login_problem(given, protocol=self.security_protocol, mechanism=self.sasl_mechanism):
            raise ValueError(problem)
        return self

    @cached_property
    def topics(self) -> Topics:
        """The names of our topics."""
        return Topics(self.namespace)

    @cached_property
    def all_lanes(self) -> tuple[Lane, ...]:
        """The two lanes of the namespace and the further ones, interactive ones first."""
        return tuple(
            sorted((*default_lanes(self.topics), *map(parse_lane, self.lanes)), key=lambda lane: lane.priority)
        )

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with other values, which are not checked; what was worked out from the old ones is not kept."""
        copied = super().model_copy(update=update, deep=deep)
        for name in copied.__dict__.keys() - type(self).model_fields.keys():
            del copied.__dict__[name]
        return copied

    def tasks_of(self, topic: str) -> tuple[Task, ...]:
        """The default tasks of documents from ``topic``."""
        return lane_tasks(self.default_tasks, topic)

    @property
    def store_url(self) -> str:
        """Where models are kept."""
        return self.store or (self.home / "store").absolute().as_uri()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Leave out .env files and secret folders: three places to look are enough."""
        return init_settings, env_settings


def on_own_kafka(brokers: str) -> dict[str, Any]:
    """Return what to change for a Kafka that we started at ``brokers``: nobody logs in there, in the clear."""
    fields = Settings.model_fields
    login = {name: field.default for name, field in fields.items() if name.startswith(("sasl_", "ssl_"))}
    return login | {"security_protocol": "PLAINTEXT", "brokers": brokers}


_SECRETS = {name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}


def _unknown(names: Mapping[str, object], where: str) -> list[str]:
    return [f"{where}: {name} is no setting" for name in names if name.lower() not in Settings.model_fields]


def _environment() -> dict[str, str]:
    return {name.removeprefix(PREFIX).lower(): v for name, v in os.environ.items() if name.startswith(PREFIX)}


def _file(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise InvalidSettings([f"{path}: {error}"]) from error


def load_settings(options: Mapping[str, Any] | None = None, *, file: Path = FILE) -> Settings:
    """Read the settings from all three places.

    Args:
        options: What the command line gave; ``None`` values count as not given.
        file: A TOML file; it need not be there.

    Raises:
        InvalidSettings: With every setting that is unknown or wrong, and where it stands.
    """
    given = {name: value for name, value in (options or {}).items() if value is not None}
    from_file = _file(file)
    problems = _unknown(_environment(), "environment") + _unknown(from_file, str(file))
    if problems:
        raise InvalidSettings(problems)
    try:
        return Settings(**(from_file | given))
    except ValidationError as error:
        # NOTE: the cause shows the values, secret ones too, so it does not go along into a log.
        whence = origins(options, file=file)
        raise InvalidSettings([_placed(each, whence) for each in shown_problems(error, secret=_SECRETS)]) from None


def _placed(problem: str, whence: Mapping[str, Origin]) -> str:
    """Return a problem with the places of the settings that it names, where these are not on the command line."""
    places = {"environment": "in the environment", "file": f"in {FILE}"}
    named = [name for name in whence if whence[name] in places and re.search(rf"(?<![\w.]){name}(?![\w.])", problem)]
    told = ", ".join(f"{name} is set {places[whence[name]]}" for name in named)
    return f"{problem} ({told})" if told else problem


def origins(options: Mapping[str, Any] | None = None, *, file: Path = FILE) -> dict[str, Origin]:
    """Return where each setting's value comes from."""
    layers: list[tuple[Origin, Mapping[str, Any]]] = [
        ("environment", _environment()),
        ("file", _file(file)),
        ("option", {name: value for name, value in (options or {}).items() if value is not None}),
    ]
    found: dict[str, Origin] = dict.fromkeys(Settings.model_fields, "default")
    for origin, layer in layers:
        found.update(dict.fromkeys(layer, origin))
    return found

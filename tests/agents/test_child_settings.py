import json
from typing import Any

import pytest

from agents.child_settings import child_settings
from agents.settings import Settings

SECRETS = [name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)]
TLS: dict[str, Any] = {
    "security_protocol": "SASL_SSL",
    "ssl_cafile": "ca.pem",
    "ssl_certfile": "worker.pem",
    "string_index_type": "Utf16CodeUnit",
    "default_tasks": ["loans/production"],
}
PASSWORD = TLS | {"sasl_username": "worker"}
OAUTH = TLS | {
    "sasl_mechanism": "OAUTHBEARER",
    "sasl_oauth_token_url": "https://id.example.com/token",
    "sasl_oauth_client_id": "worker",
}


def on_the_other_side(settings: Settings) -> Settings:
    return Settings(**json.loads(json.dumps(child_settings(settings))))


@pytest.mark.parametrize(
    ("way", "unused"), [(PASSWORD, "sasl_oauth_client_secret"), (OAUTH, "sasl_password")], ids=["password", "OAuth"]
)
def test_every_secret_arrives_as_it_is(way: dict[str, Any], unused: str) -> None:
    secrets = {name: f"https://the.{name}" for name in SECRETS if name != unused}
    assert len(secrets) == len(SECRETS) - 1
    given = Settings(**way | secrets)
    assert on_the_other_side(given) == given
    assert {name: getattr(on_the_other_side(given), name).get_secret_value() for name in secrets} == secrets


def test_what_is_not_set_is_not_taken_from_the_childs_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    given = Settings(**OAUTH, sasl_oauth_client_secret="s")
    monkeypatch.setenv("LEXSTREAM_GROUP_INSTANCE_ID", "somebody")
    monkeypatch.setenv("LEXSTREAM_SASL_PASSWORD", "of somebody")
    arrived = on_the_other_side(given)
    assert (arrived.group_instance_id, arrived.sasl_password) == (None, None)
    assert arrived == given

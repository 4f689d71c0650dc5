"""The settings as a child process is told them: JSON in a pipe that nobody else reads."""

from typing import Any

from pydantic import SecretStr

from agents.settings import Settings


def child_settings(settings: Settings) -> dict[str, Any]:
    """Return all of them, secrets too and what is not set, so that a child takes nothing from the environment.

    ``Settings(**child_settings(settings))`` are the same settings, also on the other side of JSON.
    """
    secrets = {name: value.get_secret_value() for name, value in settings if isinstance(value, SecretStr)}
    return settings.model_dump(mode="json") | secrets

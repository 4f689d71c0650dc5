"""What the processes of a run are told."""

from typing import Any

from agents.settings import Settings


def process_settings(settings: Settings) -> dict[str, Any]:
    """Return what processes are told: everything, so that nothing comes from the environment."""
    secrets = {
        name: value.get_secret_value()
        for name in ("sasl_password", "ssl_password")
        if (value := getattr(settings, name)) is not None
    }
    return settings.model_dump(mode="json") | secrets | {"log_format": "json"}

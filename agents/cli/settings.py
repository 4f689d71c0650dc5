"""``lexstream settings``: what holds, and where it comes from."""

from typing import TYPE_CHECKING, Any

import typer

from agents.cli.context import RUN, Cli, command
from agents.cli.options import OPTIONS

if TYPE_CHECKING:
    from agents.settings import Settings

MASK = "******"


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "settings", shown=tuple(OPTIONS), example="lexstream settings --brokers kafka:9092", panel=RUN)(
        show_settings
    )


def show_settings(cli: Cli) -> None:
    """Show every setting: its value, where that comes from, and what it is for. Secrets are masked."""
    from agents.settings import origins

    rows = rows_of(cli.settings, origins(cli.options, file=cli.file))
    if cli.for_machines:
        cli.emit({row["name"]: {key: row[key] for key in ("value", "origin", "help")} for row in rows})
        return
    from rich.text import Text

    from agents.cli.render.records import table

    made = table("setting", "value", "from", "what it is for")
    for row in rows:
        changed = "" if row["origin"] == "default" else "title"
        value = Text(_words(row["value"]), changed)
        made.add_row(Text(row["name"], "name"), value, Text(row["origin"], changed or "quiet"), row["help"])
    cli.out.print(made)
    cli.out.print("environment LEXSTREAM_… < lexstream.toml < options; the later wins", style="quiet", markup=False)


def rows_of(settings: "Settings", origin: "dict[str, Any]") -> list[dict[str, Any]]:
    """Return name, value, origin and sentence of every setting, secrets masked."""
    values = settings.model_dump(mode="json")
    return [
        {
            "name": name,
            "value": _value(name, settings, values),
            "origin": origin[name],
            "help": " ".join((field.description or "").split()),
        }
        for name, field in type(settings).model_fields.items()
    ]


def _value(name: str, settings: "Settings", values: dict[str, Any]) -> object:
    from pydantic import SecretStr

    from schemas.urls import without_login

    if isinstance(getattr(settings, name), SecretStr):
        return MASK
    return without_login(settings.store_url) if name == "store" else values[name]


def _words(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)

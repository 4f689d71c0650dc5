"""The part of docs/security.md that is made from ``agents.acls``. Run it to write that part anew."""

import shlex
from pathlib import Path

from agents.acls import PURPOSES, Grant, Pattern, Role, acls_of, command, grants
from agents.settings import Settings

DOCUMENT = Path(__file__).parents[3] / "docs" / "security.md"
_BEGIN = "<!-- made from agents/acls.py: python -m tests.agents.security.document -->"
_END = "<!-- end of what is made -->"
_WIDTH = 110


def section() -> str:
    """Return the tables and commands of all roles, for the default settings."""
    return "\n".join([_BEGIN, *(line for role in Role for line in _role(role)), "", _END])


def _role(role: Role) -> list[str]:
    found = grants(acls_of(role, Settings()))
    rows = [f"| {grant.resource.replace('-', ' ')} | {_names(grant)} | {_operations(grant)} |" for grant in found]
    commands = [line for grant in found for line in _command(grant, principal=f"lexstream-{role}")]
    table = ["| on | name | operations |", "|---|---|---|", *rows]
    return ["", f"### {role}", "", f"{PURPOSES[role]}.", "", *table, "", "```sh", *commands, "```"]


def _names(grant: Grant) -> str:
    begins = "begins with " if grant.pattern is Pattern.PREFIXED else ""
    return ", ".join(f"{begins}`{name}`" for name in grant.names)


def _operations(grant: Grant) -> str:
    return ", ".join(f"`{operation}`" for operation in grant.operations)


def _command(grant: Grant, *, principal: str) -> list[str]:
    """Return the command in lines that fit."""
    first, *options = command(grant, principal=principal)
    lines = [f'{first} --bootstrap-server "$KAFKA" --command-config admin.properties']
    for word in map(shlex.quote, options):
        if word.startswith("--") and len(lines[-1]) + len(word) > _WIDTH - 40:
            lines[-1] += " \\"
            lines.append(f"  {word}")
        else:
            lines[-1] += f" {word}"
    return lines


def renewed(text: str) -> str:
    """Return the document with that part made anew."""
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{section()}{after}"


if __name__ == "__main__":
    DOCUMENT.write_text(renewed(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")

"""What Typer makes of help texts, made readable in narrow terminals, too."""

from inspect import cleandoc
from typing import Any


def tidy(command: Any) -> None:
    """Let the paragraphs of a command and of all below it flow, and give flags no ``<bool>`` to take."""
    command.help = _flowing(command.help or "")
    for parameter in command.params:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    for each in getattr(command, "commands", {}).values():
        tidy(each)


def _flowing(text: str) -> str:
    """Join each paragraph's lines: Typer keeps the breaks of the source, which are wider than a terminal."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in cleandoc(text).split("\n\n"))

"""Reading the registry and showing records."""

import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from agents.cli.context import Cli
from schemas.errors import InvalidInput
from schemas.records import Record

if TYPE_CHECKING:
    from rich.table import Table

    from agents.registry import Registry

R = TypeVar("R", bound=Record)


def read_registry(cli: Cli) -> "Registry":
    """Return the registry's present state."""

    async def work() -> "Registry":
        async with cli.client() as client:
            return await client.registry()

    return cli.run(work())


def records_of(cli: Cli, kind: type[R], *, project: str | None = None) -> list[R]:
    """Return every record of one kind; of one project if that is given.

    Raises:
        InvalidInput: If there is no such project.
    """
    registry = read_registry(cli)
    if project is None:
        return registry.all(kind)
    if registry.project(project) is None:
        raise InvalidInput([f"there is no project {project}; see `lexstream project list`"])
    return registry.of_project(project, kind)


def show_all(
    cli: Cli,
    kind: type[R],
    table: "Callable[[Iterable[R]], Table]",
    *,
    nothing: str,
    project: str | None = None,
) -> None:
    """Show every record of one kind; of one project if that is given."""
    found = records_of(cli, kind, project=project)
    if cli.for_machines:
        cli.emit([record.payload() for record in found])
    elif found:
        cli.out.print(table(found))
    else:
        cli.out.print(nothing, style="quiet", markup=False)


def confirm(question: str, *, sure: bool) -> None:
    """Ask ``question`` unless the caller is ``sure``.

    Raises:
        InvalidInput: If the answer is no, or nobody is there to answer.
    """
    if sure:
        return
    if not sys.stdin.isatty():
        raise InvalidInput([f"{question} Say --yes, since nobody can be asked here."])
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise InvalidInput(["nothing was done"])

"""``lexstream jobs``: trainings and evaluations that wait, run or have ended."""

from typing import TYPE_CHECKING, Annotated

import typer

from agents.cli.context import Cli, command
from agents.cli.listing import ListByDefault

if TYPE_CHECKING:
    from agents.registry import Registry
    from schemas.records import JobRecord

app = typer.Typer(cls=ListByDefault, help="Jobs: trainings and evaluations that wait, run or have ended.")


@command(app, "list", example="lexstream jobs list loans")
def list_jobs(
    cli: Cli, project: Annotated[str | None, typer.Argument(metavar="[PROJECT]", help="Only this project's.")] = None
) -> None:
    """List the jobs, the newest first."""
    from agents.cli.records import show_all
    from agents.cli.render.records import jobs_table
    from schemas.records import JobRecord

    show_all(cli, JobRecord, jobs_table, nothing="no jobs yet: lexstream train PROJECT --model LABEL", project=project)


@command(app, "cancel", example="lexstream jobs cancel 5e6f…")
def cancel(
    cli: Cli, job: Annotated[str, typer.Argument(metavar="JOB", help="The job's id, or as much of it as is unique.")]
) -> None:
    """Stop a job."""
    cli.run(_cancel(cli, job))


async def _cancel(cli: Cli, text: str) -> None:
    from agents.cli.follow import perform
    from schemas.commands import CancelJob, CancelJobCommand

    async with cli.client() as client:
        job = find_job(await client.registry(), text)
        await perform(cli, client, CancelJobCommand(project=job.project, parameters=CancelJob(job_id=job.id)))
    if not cli.for_machines:
        cli.out.print(f"[good]✓[/good] cancelled {job.id} of {job.project}")


def find_job(registry: "Registry", text: str) -> "JobRecord":
    """Return the job whose id is ``text``, or begins so; one that runs before those that have ended.

    Raises:
        InvalidInput: If there is none, or several.
    """
    from schemas.errors import InvalidInput
    from schemas.records import JobRecord

    if exact := registry.job(text):
        return exact
    found = [job for job in registry.all(JobRecord) if text and job.id.startswith(text)]
    found = [job for job in found if not job.status.ended] or found
    if len(found) == 1:
        return found[0]
    if found:
        raise InvalidInput([f"{len(found)} jobs begin with {text}: {', '.join(job.id for job in found[:5])}"])
    raise InvalidInput([f"there is no job {text}; see `lexstream jobs list`"])

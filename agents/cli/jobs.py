"""``lexstream jobs``: trainings and evaluations that wait, run or have ended."""

from typing import Annotated

import typer

from agents.cli.context import Cli, command
from agents.cli.listing import ListByDefault
from agents.cli.project import ProjectName

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


@command(app, "cancel", example="lexstream jobs cancel loans 5e6f…")
def cancel(
    cli: Cli, project: ProjectName, job: Annotated[str, typer.Argument(metavar="JOB", help="The job's id.")]
) -> None:
    """Stop a job."""
    from agents.cli.follow import do
    from schemas.commands import CancelJob, CancelJobCommand

    asked = CancelJobCommand(project=project, parameters=CancelJob(job_id=job))
    do(cli, asked, done=f"cancelled {job}")

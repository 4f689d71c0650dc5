"""Deployments, and where a worker stands with them."""

from datetime import UTC, datetime, timedelta

from agents.standing import Standing
from schemas.records import DeploymentRecord, ModelReference

_DAWN = datetime(2026, 1, 5, tzinfo=UTC)


def reference(digest: str) -> ModelReference:
    return ModelReference(label=f"label-{digest}", digest=digest)


def deployment(
    digest: str,
    *,
    name: str = "production",
    command: str = "c1",
    previous: str | None = None,
    earlier: tuple[str, ...] = (),
    minute: int = 0,
) -> DeploymentRecord:
    return DeploymentRecord(
        project="loans",
        name=name,
        model=reference(digest),
        previous=reference(previous) if previous else None,
        earlier=[reference(one) for one in earlier],
        deployed_at=_DAWN + timedelta(minutes=minute),
        command_id=command,
    )


def standing(record: DeploymentRecord) -> Standing:
    return Standing(record, record.model, "model")


def parked(record: DeploymentRecord) -> Standing:
    return standing(record).without_model()


def refused(record: DeploymentRecord) -> Standing:
    return Standing(record, None, None, ("broken",))

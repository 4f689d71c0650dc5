"""Commands of the control topic: one discriminated union, told apart by ``command``.

Each command's parameters are a class of their own. ``COMMAND.validate_python`` reads any of them.
"""

from enum import StrEnum
from typing import Annotated, Literal
from uuid import uuid4

from pydantic import Field, StringConstraints, TypeAdapter, model_validator

from schemas.base import Message, Strict, Timestamp, now
from schemas.names import Category, Digest, Kind, Name, RouteName

Identifier = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Language = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$")]

Categories = Annotated[list[Category], Field(max_length=200)]
"""As many as a project may have."""


class Nothing(Strict):
    """A command without parameters."""


class CreateProject(Strict):
    """Parameters of ``createProject``. Categories may also come with the labels."""

    kind: Kind
    language: Language = "en"
    multilingual: bool = False
    description: Annotated[str, Field(max_length=1000)] = ""
    categories: Categories = []
    confidence_threshold: Annotated[float, Field(ge=0, le=1)] | None = None


class ImportLabels(Strict):
    """Parameters of ``importLabels``: a bundle (labels file and texts) that was put into the store before."""

    bundle: Digest


class Method(StrEnum):
    """How a model is trained."""

    AUTO = "auto"
    FROZEN = "frozen"
    FINE_TUNE = "fineTune"


class Train(Strict):
    """Parameters of ``train``. With ``split="manual"`` the documents' own dataset decides what is held out."""

    model_label: Name
    split: Literal["percentage", "manual"] = "percentage"
    training_split_percentage: Annotated[int, Field(ge=1, le=99)] = 80
    method: Method = Method.AUTO
    encoder: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = None
    epochs: Annotated[int, Field(ge=1, le=1000)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0


class CancelJob(Strict):
    """Parameters of ``cancelJob``."""

    job_id: Identifier


class Evaluate(Strict):
    """Parameters of ``evaluate``: measure a model again on the project's labelled documents as they are now."""

    model_label: Name


class Deploy(Strict):
    """Parameters of ``deploy``."""

    model_label: Name
    deployment: Name


class OneDeployment(Strict):
    """Parameters of ``deleteDeployment`` and ``rollback``."""

    deployment: Name


class SwapDeployments(Strict):
    """Parameters of ``swapDeployments``."""

    first: Name
    second: Name


class OneModel(Strict):
    """Parameters of ``deleteModel``."""

    model_label: Name


class Rule(Strict):
    """Which results a route takes.

    Only results with ``confidenceAtLeast`` <= confidence < ``confidenceBelow`` count. Of those there must be one in
    ``any``, one for each in ``all``, and none in ``none``. Without any list, one result of any category is enough.
    """

    any: Categories = []
    all: Categories = []
    none: Categories = []
    confidence_at_least: Annotated[float, Field(ge=0, le=1)] = 0.0
    confidence_below: Annotated[float, Field(gt=0, le=1)] | None = None

    @model_validator(mode="after")
    def _some_confidence_fits(self) -> "Rule":
        if self.confidence_below is not None and self.confidence_below <= self.confidence_at_least:
            raise ValueError("expected confidenceBelow to be greater than confidenceAtLeast: nothing would ever match")
        return self


class SetRoute(Strict):
    """Parameters of ``setRoute``. Without ``deployment`` the rule reads the results of all the project's."""

    name: RouteName
    deployment: Name | None = None
    rule: Rule = Rule()


class OneRoute(Strict):
    """Parameters of ``deleteRoute``."""

    name: RouteName


class _Command(Message):
    id: Identifier = Field(default_factory=lambda: str(uuid4()))
    project: Name
    at: Timestamp = Field(default_factory=now)


class CreateProjectCommand(_Command):
    """Make a project."""

    command: Literal["createProject"] = "createProject"
    parameters: CreateProject


class DeleteProjectCommand(_Command):
    """Delete a project with its records, labels and models."""

    command: Literal["deleteProject"] = "deleteProject"
    parameters: Nothing = Nothing()


class ImportLabelsCommand(_Command):
    """Replace a project's labelled documents."""

    command: Literal["importLabels"] = "importLabels"
    parameters: ImportLabels


class TrainCommand(_Command):
    """Train and evaluate a model."""

    command: Literal["train"] = "train"
    parameters: Train


class CancelJobCommand(_Command):
    """Stop a job."""

    command: Literal["cancelJob"] = "cancelJob"
    parameters: CancelJob


class EvaluateCommand(_Command):
    """Evaluate a model."""

    command: Literal["evaluate"] = "evaluate"
    parameters: Evaluate


class DeployCommand(_Command):
    """Let a deployment point at a model."""

    command: Literal["deploy"] = "deploy"
    parameters: Deploy


class DeleteDeploymentCommand(_Command):
    """Take a deployment away."""

    command: Literal["deleteDeployment"] = "deleteDeployment"
    parameters: OneDeployment


class SwapDeploymentsCommand(_Command):
    """Exchange the models of two deployments."""

    command: Literal["swapDeployments"] = "swapDeployments"
    parameters: SwapDeployments


class RollbackCommand(_Command):
    """Let a deployment point at its previous model again."""

    command: Literal["rollback"] = "rollback"
    parameters: OneDeployment


class DeleteModelCommand(_Command):
    """Delete a model that no deployment uses."""

    command: Literal["deleteModel"] = "deleteModel"
    parameters: OneModel


class SetRouteCommand(_Command):
    """Make or replace a route."""

    command: Literal["setRoute"] = "setRoute"
    parameters: SetRoute


class DeleteRouteCommand(_Command):
    """Take a route away."""

    command: Literal["deleteRoute"] = "deleteRoute"
    parameters: OneRoute


Command = Annotated[
    CreateProjectCommand
    | DeleteProjectCommand
    | ImportLabelsCommand
    | TrainCommand
    | CancelJobCommand
    | EvaluateCommand
    | DeployCommand
    | DeleteDeploymentCommand
    | SwapDeploymentsCommand
    | RollbackCommand
    | DeleteModelCommand
    | SetRouteCommand
    | DeleteRouteCommand,
    Field(discriminator="command"),
]

COMMAND: TypeAdapter[Command] = TypeAdapter(Command)

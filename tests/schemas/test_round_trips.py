"""What has no Avro form: commands, control events, records and labelled documents."""

import orjson
import pytest
from pydantic import ValidationError

from schemas.base import Message, now
from schemas.commands import (
    COMMAND,
    CancelJob,
    CancelJobCommand,
    Command,
    CreateProject,
    CreateProjectCommand,
    DeleteDeploymentCommand,
    DeleteModelCommand,
    DeleteProjectCommand,
    DeleteRouteCommand,
    Deploy,
    DeployCommand,
    Evaluate,
    EvaluateCommand,
    ImportLabels,
    ImportLabelsCommand,
    OneDeployment,
    OneModel,
    OneRoute,
    RollbackCommand,
    Rule,
    SetRoute,
    SetRouteCommand,
    SwapDeployments,
    SwapDeploymentsCommand,
    Train,
    TrainCommand,
)
from schemas.control_events import ControlEvent, EventType
from schemas.labels import Dataset, EntityLabel, LabelledDocument, Region
from schemas.names import Kind

DIGEST = "sha256:" + "0" * 64
COMMANDS: list[Command] = [
    CreateProjectCommand(project="p", parameters=CreateProject(kind=Kind.ENTITIES, categories=["Date"])),
    DeleteProjectCommand(project="p"),
    ImportLabelsCommand(project="p", parameters=ImportLabels(bundle=DIGEST)),
    TrainCommand(project="p", parameters=Train(model_label="v1", split="manual", epochs=3)),
    CancelJobCommand(project="p", parameters=CancelJob(job_id="j")),
    EvaluateCommand(project="p", parameters=Evaluate(model_label="v1")),
    DeployCommand(project="p", parameters=Deploy(model_label="v1", deployment="production")),
    DeleteDeploymentCommand(project="p", parameters=OneDeployment(deployment="production")),
    SwapDeploymentsCommand(project="p", parameters=SwapDeployments(first="a", second="b")),
    RollbackCommand(project="p", parameters=OneDeployment(deployment="production")),
    DeleteModelCommand(project="p", parameters=OneModel(model_label="v1")),
    SetRouteCommand(project="p", parameters=SetRoute(name="legal", rule=Rule(any=["Date"], confidence_below=0.5))),
    DeleteRouteCommand(project="p", parameters=OneRoute(name="legal")),
]


def there_and_back(message: Message) -> object:
    return orjson.loads(orjson.dumps(message.payload()))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.command)
def test_command_survives_the_round_trip(command: Command) -> None:
    again = COMMAND.validate_python(there_and_back(command))
    assert type(again) is type(command)
    assert again.payload() == command.payload()


def test_there_is_a_round_trip_for_every_command() -> None:
    assert {command.command for command in COMMANDS} == set(COMMAND.json_schema()["discriminator"]["mapping"])


def test_yesterdays_command_is_still_read() -> None:
    value = (
        b'{"id":"1","command":"train","project":"loans","at":"2026-01-05T10:00:00.123Z",'
        b'"parameters":{"modelLabel":"v3","trainingSplitPercentage":80}}'
    )
    command = COMMAND.validate_python(orjson.loads(value))
    assert isinstance(command, TrainCommand)
    assert (command.parameters.model_label, command.payload()["at"]) == ("v3", "2026-01-05T10:00:00.123Z")


def test_a_parameter_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError, match="modellabel"):
        COMMAND.validate_python({"command": "train", "project": "p", "parameters": {"modellabel": "v1"}})


@pytest.mark.parametrize(
    "message",
    [
        ControlEvent(project="p", event=EventType.PROGRESS, at=now(), details={"fraction": 0.31, "from": None}),
        LabelledDocument(
            project="p",
            id="a.txt",
            text="Ann 🙂\r\n",
            dataset=Dataset.TEST,
            regions=[Region(offset=0, length=7, labels=[EntityLabel(category="Name", offset=0, length=3)])],
            position=4,
        ),
    ],
)
def test_message_survives_the_round_trip(message: Message) -> None:
    again = type(message).model_validate(there_and_back(message))
    assert again.payload() == message.payload()

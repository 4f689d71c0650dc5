"""The document event: what a publisher sends to an input topic."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints, field_validator

from schemas.base import Message

Asked = Annotated[str, StringConstraints(min_length=1, max_length=200)]
"""A name that may be one of ours or not: a task that asks for a wrong one fails, its document does not."""


class Task(Message):
    """One deployment of one project, asked of a document."""

    project: Asked
    deployment: Asked

    def __str__(self) -> str:
        return f"{self.project}/{self.deployment}"


class DocumentEvent(Message):
    """A document to be enriched.

    Without ``tasks`` the lane's default tasks are asked. Without ``language`` the project's own is taken.
    """

    id: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    text: str
    language: Annotated[str, StringConstraints(min_length=1, max_length=35)] | None = None
    # Factories: pydantic makes a deep copy of every other default, which costs more than all the rest of the check.
    tasks: Annotated[list[Task], Field(max_length=100, default_factory=list)]
    metadata: Annotated[dict[str, Any], Field(default_factory=dict)]

    @field_validator("text")
    @classmethod
    def _text_is_there(cls, value: str) -> str:
        if not value or value.isspace():
            raise ValueError("expected some text, got nothing but white space")
        return value

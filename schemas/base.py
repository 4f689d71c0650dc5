"""The two kinds of pydantic model that everything in this package is made of."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, PlainSerializer
from pydantic.alias_generators import to_camel


def utc_timestamp(moment: datetime) -> str:
    """Return ISO 8601 in UTC with milliseconds, such as ``2026-01-05T10:00:00.123Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def now() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(UTC)


Timestamp = Annotated[AwareDatetime, PlainSerializer(utc_timestamp, return_type=str, when_used="json")]


class Message(BaseModel):
    """Something read from outside: camelCase names, unknown fields ignored so that it can evolve."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")

    def payload(self) -> dict[str, Any]:
        """Return the JSON form: camelCase keys, timestamps as text."""
        return self.model_dump(mode="json", by_alias=True)


class Strict(Message):
    """Something where an unknown field is a mistake that its author wants to hear of."""

    model_config = ConfigDict(extra="forbid")

"""Names and the rules they keep. The limits are Azure's, so that its projects move over unchanged."""

import re
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+$", min_length=1, max_length=50)]
"""A project, model or deployment: letters, digits, ``_ . -``; at most 50; its case counts."""

RouteName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$", min_length=1, max_length=50)]
"""A route: part of a topic's name."""

_FORBIDDEN_IN_CATEGORY = re.compile(r"[:$&%*()+~#/?]")


def _category(value: str) -> str:
    if found := _FORBIDDEN_IN_CATEGORY.search(value):
        raise ValueError(f"a category must not contain {found.group()!r} (nor any of : $ & % * ( ) + ~ # / ?)")
    return value


Category = Annotated[str, StringConstraints(min_length=1, max_length=50), AfterValidator(_category)]
"""An entity type or a class."""

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]


class Kind(StrEnum):
    """What a project's models do."""

    ENTITIES = "CustomEntityRecognition"
    SINGLE_LABEL = "CustomSingleLabelClassification"
    MULTI_LABEL = "CustomMultiLabelClassification"


class StringIndexType(StrEnum):
    """The unit in which offsets and lengths are counted."""

    CODE_POINT = "UnicodeCodePoint"
    UTF16 = "Utf16CodeUnit"
    UTF8 = "Utf8CodeUnit"

"""Names and the rules they keep. The limits are Azure's, so that its projects move over unchanged."""

import re
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

_NAME = r"^[A-Za-z0-9_.-]+$"
_ROUTE = r"^[A-Za-z0-9_-]+$"
_DIGEST = r"^sha256:[0-9a-f]{64}$"

PATTERNS = {
    _NAME: "letters, digits, _ . - and nothing else",
    _ROUTE: "letters, digits, _ - and nothing else",
    _DIGEST: "a digest such as sha256:0123…, with 64 hexadecimal digits",
}
"""What the patterns of names ask for, in words."""

Name = Annotated[str, StringConstraints(pattern=_NAME, min_length=1, max_length=50)]
"""A project, model or deployment: letters, digits, ``_ . -``; at most 50; its case counts."""

RouteName = Annotated[str, StringConstraints(pattern=_ROUTE, min_length=1, max_length=50)]
"""A route: part of a topic's name."""

_FORBIDDEN_IN_CATEGORY = re.compile(r"[:$&%*()+~#/?]")


def _category(value: str) -> str:
    if found := _FORBIDDEN_IN_CATEGORY.search(value):
        raise ValueError(
            f"expected a category with none of : $ & % * ( ) + ~ # / ? in it, got one with {found.group()}"
        )
    return value


Category = Annotated[str, StringConstraints(min_length=1, max_length=50), AfterValidator(_category)]
"""An entity type or a class."""

Digest = Annotated[str, StringConstraints(pattern=_DIGEST)]


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

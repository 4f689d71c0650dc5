"""What all readers share: the one who collects documents and problems."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from schemas.label_set import LabelSet, RawDocument, RawLabel, categories_in, whole_text
from schemas.names import Kind


@dataclass
class Assembly:
    """A label set in the making.

    Attributes:
        name: What documents are called that have no name of their own; a number follows.
    """

    name: str
    documents: list[RawDocument] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    n_unreadable: int = 0

    def add(
        self,
        text: str,
        *,
        place: str,
        id: str | None = None,  # noqa: A002 - what it is called everywhere
        entities: Iterable[RawLabel] | None = None,
        classes: Iterable[str] = (),
        language: str | None = None,
        dataset: str | None = None,
    ) -> None:
        """Add a document; with ``entities``, even none, all of its text counts as labelled."""
        regions = () if entities is None else whole_text(text, entities)
        name = id or f"{self.name}-{len(self.documents) + 1:05}.txt"
        self.documents.append(
            RawDocument(
                place=place,
                id=name,
                text=text,
                language=language,
                dataset=dataset,
                regions=regions,
                classes=tuple(classes),
            )
        )

    def refuse(self, place: str, problem: str) -> None:
        """Note that a document cannot be read."""
        self.problems.append(f"{place}: {problem}")
        self.n_unreadable += 1

    def finished(self) -> LabelSet:
        """Return the label set.

        One class in every document fits single-label and multi-label projects alike, so then the kind stays open.
        """
        kind = None
        if any(document.regions for document in self.documents):
            kind = Kind.ENTITIES
        elif any(len(document.classes) > 1 for document in self.documents):
            kind = Kind.MULTI_LABEL
        return LabelSet(
            kind=kind,
            categories=categories_in(self.documents),
            documents=tuple(self.documents),
            problems=tuple(self.problems),
            n_unreadable=self.n_unreadable,
        )

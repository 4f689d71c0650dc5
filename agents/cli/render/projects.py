"""What a project is: its facts, and how many labels each of its types or classes has."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Group
from rich.table import Table
from rich.text import Text

from agents.cli.render.records import KINDS, table
from agents.cli.render.text import counted, moment, safe
from schemas.labels import LabelledDocument
from schemas.names import Kind
from schemas.records import ProjectRecord

_FEW = 10
"""Fewer documents than this with a category, and a model will hardly learn it."""


@dataclass(frozen=True, slots=True)
class CategoryCount:
    """How often a type or class was labelled, and in how many documents."""

    category: str
    labels: int
    documents: int


def count_labels(project: ProjectRecord, documents: Iterable[LabelledDocument]) -> list[CategoryCount]:
    """Return a count for each of the project's categories, in their order; those that nobody labelled, too."""
    labels: Counter[str] = Counter()
    in_documents: Counter[str] = Counter()
    for document in documents:
        found = [*document.classes, *(label.category for region in document.regions for label in region.labels)]
        labels.update(found)
        in_documents.update(set(found))
    names = dict.fromkeys([*project.categories, *labels])
    return [CategoryCount(name, labels[name], in_documents[name]) for name in names]


def project_facts(project: ProjectRecord) -> Group:
    """Return a project's name, kind, language and documents, and what it is for."""
    language = project.language + (" and others" if project.multilingual else "")
    head = Text.assemble((project.name, "name"), f"  {KINDS[project.kind]}, {language}")
    documents = f"{counted(project.n_documents, 'document')}, {project.n_labelled:,} of them labelled"
    lines = [head, Text(f"{documents}; changed {moment(project.updated_at)}", "quiet")]
    if project.confidence_threshold is not None:
        lines.append(Text(f"below a confidence of {project.confidence_threshold:g} the answer is None", "quiet"))
    return Group(*lines, *([Text(safe(project.description))] if project.description else []))


def labels_table(project: ProjectRecord, counts: Iterable[CategoryCount]) -> Table:
    """Return a row for each type or class; those with too few labels to be learned stand out."""
    made = table("type" if project.kind is Kind.ENTITIES else "class", "#labels", "#documents")
    for each in counts:
        style = "" if each.documents >= _FEW else "middling" if each.documents else "bad"
        made.add_row(Text(safe(each.category)), Text(f"{each.labels:,}", style), Text(f"{each.documents:,}", style))
    return made

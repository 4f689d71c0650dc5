"""CSV and TSV: a row a document, with a heading.

The column ``text``, and ``label`` (or ``category``, ``class``, ``intent``) with one class, or ``labels`` with several,
parted by ``|``, ``;`` or ``,``. ``id``, ``language`` and ``dataset`` are taken where they are.
"""

import csv
import re
from io import StringIO

from schemas.errors import InvalidLabels
from schemas.label_formats.assembly import Assembly
from schemas.label_set import LabelSet

_ONE = ("label", "category", "class", "intent")
_SEVERAL = ("labels", "categories", "classes")
_PARTS = re.compile(r"[|;,]")
_LARGEST_FIELD_CHARS = 64 * 1024 * 1024


def read_table(content: str, *, name: str) -> LabelSet:
    """Return the documents in ``content``.

    Raises:
        InvalidLabels: If the heading lacks a column.
    """
    csv.field_size_limit(_LARGEST_FIELD_CHARS)
    heading = content.partition("\n")[0]
    rows = csv.DictReader(StringIO(content, newline=""), delimiter="\t" if "\t" in heading else ",", strict=True)
    columns = {(column or "").strip().casefold(): column for column in _heading(rows)}
    one = next((columns[column] for column in _ONE if column in columns), None)
    several = next((columns[column] for column in _SEVERAL if column in columns), None)
    if "text" not in columns or not (one or several):
        raise InvalidLabels(["line 1: expected a heading with the columns text and label (or labels)"])
    assembly = Assembly(name)
    try:
        for row in rows:
            if None in row:
                assembly.refuse(f"line {rows.line_num}", f"expected {len(columns)} columns, got more")
                continue
            classes = _PARTS.split(row[several] or "") if several else [row[one or ""] or ""]
            fields = {key: row[column] for key, column in columns.items()}
            _add(assembly, fields, classes, place=f"line {rows.line_num}")
    except csv.Error as error:
        assembly.refuse(f"line {rows.reader.line_num}", f"expected a row of CSV: {error}")
    return assembly.finished()


def _heading(rows: "csv.DictReader[str]") -> list[str]:
    try:
        return list(rows.fieldnames or ())
    except csv.Error as error:
        raise InvalidLabels([f"line 1: expected a heading of CSV: {error}"]) from error


def _add(assembly: Assembly, fields: dict[str, str | None], classes: list[str], *, place: str) -> None:
    text = fields["text"]
    if text is None:
        assembly.refuse(place, "text: expected text, got nothing")
        return
    assembly.add(
        text,
        place=place,
        id=fields.get("id") or None,
        classes=[category.strip() for category in classes if category.strip()],
        language=fields.get("language") or None,
        dataset=fields.get("dataset") or None,
    )

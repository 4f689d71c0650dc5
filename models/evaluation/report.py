"""An evaluation as one HTML page that needs nothing else: no script, no network."""

from jinja2 import Environment, PackageLoader, StrictUndefined

from models.evaluation.results import Evaluation
from schemas.names import Kind

_KINDS = {
    Kind.ENTITIES: "Entities",
    Kind.SINGLE_LABEL: "Single-label classification",
    Kind.MULTI_LABEL: "Multi-label classification",
}


def render_html(evaluation: Evaluation, *, title: str) -> str:
    """Return the report; everything in it that comes from documents is escaped."""
    environment = Environment(
        loader=PackageLoader("models.evaluation", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("report.html.jinja")
    return template.render(
        e=evaluation,
        title=title,
        kind=_KINDS[evaluation.project_kind],
        tiles=_tiles(evaluation),
        columns=_columns(evaluation),
        largest_bin=max((each.count for each in evaluation.calibration.bins), default=1),
    )


def _tiles(evaluation: Evaluation) -> list[tuple[str, float, object]]:
    spread = evaluation.intervals
    return [
        ("Micro F1", evaluation.micro_f1, spread.get("microF1")),
        ("Micro precision", evaluation.micro_precision, spread.get("microPrecision")),
        ("Micro recall", evaluation.micro_recall, spread.get("microRecall")),
        ("Macro F1", evaluation.macro_f1, spread.get("macroF1")),
    ]


def _columns(evaluation: Evaluation) -> list[str]:
    """Return the predicted categories of the matrix, in the order of its rows."""
    matrix = evaluation.confusion_matrix or {}
    predicted = {name for row in matrix.values() for name in row}
    return [*matrix, *sorted(predicted - set(matrix))]

"""An evaluation: scores with intervals, the confusion matrix as a heat map, what went wrong, and what to do."""

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agents.cli.render.text import bar, counted, duration, safe, score_bar, shorten
from agents.cli.theme import Colours
from models.evaluation.results import Cell, Evaluation, Interval, Item, TestDocument
from schemas.names import Kind

MAX_MATRIX = 20
_NOTHING = "$none"


def noun(evaluation: Evaluation) -> str:
    """Return what the categories of this project are called."""
    return "entity type" if evaluation.project_kind is Kind.ENTITIES else "class"


def headline(evaluation: Evaluation) -> Text:
    """Return the most important figure and what it was measured on."""
    interval = evaluation.intervals.get("microF1")
    return Text.assemble(
        ("micro F1 ", "title"),
        score_bar(evaluation.micro_f1, width=20),
        (f" {_between(interval)}", "quiet"),
        (
            f"  on {counted(evaluation.n_test, 'test document')}, trained on {evaluation.n_train} "
            f"in {duration(evaluation.duration_s)}, measured with {evaluation.backend}",
            "quiet",
        ),
    )


def scores_table(evaluation: Evaluation, *, colours: Colours) -> Table:
    """Return precision, recall and F1 of each category, then the micro and macro averages."""
    table = Table(box=SIMPLE_HEAD, title=None, pad_edge=False)
    table.add_column(noun(evaluation))
    for name in ("precision", "recall"):
        table.add_column(name, justify="right")
    table.add_column("F1")
    table.add_column("95 % interval", style="quiet")
    table.add_column("support", justify="right")
    for name, each in sorted(evaluation.categories.items(), key=lambda item: -item[1].f1):
        support = each.true_positive_count + each.false_negative_count
        row = _scores(each.precision, each.recall, each.f1, evaluation.category_intervals.get(name))
        table.add_row(Text(name, colours(name)), *row, str(support))
    table.add_section()
    for name, precision, recall, f1 in (
        ("micro", evaluation.micro_precision, evaluation.micro_recall, evaluation.micro_f1),
        ("macro", evaluation.macro_precision, evaluation.macro_recall, evaluation.macro_f1),
    ):
        row = _scores(precision, recall, f1, evaluation.intervals.get(f"{name}F1"))
        table.add_row(Text(name, "title"), *row)
    return table


def _scores(precision: float, recall: float, f1: float, interval: Interval | None) -> list[RenderableType]:
    return [f"{precision:.2f}", f"{recall:.2f}", score_bar(f1), _between(interval)]


def _between(interval: Interval | None) -> str:
    return f"{interval.low:.2f} to {interval.high:.2f}" if interval else ""


def confusion_map(evaluation: Evaluation) -> RenderableType:
    """Return the confusion matrix as a heat map: rows labelled, columns predicted, green right, red wrong."""
    matrix = evaluation.confusion_matrix
    if not matrix:
        return Text("A multi-label model has no confusion matrix.", "quiet")
    names = _matrix_names(matrix)
    if len(names) > MAX_MATRIX:
        return Text(f"{len(names)} categories are too many for a terminal; see --html.", "quiet")
    table = Table(box=None, padding=(0, 0), pad_edge=False)
    table.add_column("labelled ↓   predicted →", style="quiet")
    for number, _ in enumerate(names, 1):
        table.add_column(f"{number:^5}", justify="center", style="quiet")
    for number, labelled in enumerate(names, 1):
        cells = matrix.get(labelled, {})
        drawn = [
            _cell(cells[other].raw_value, cells[other].normalized_value, right=other == labelled)
            if other in cells
            else Text("·", "quiet")
            for other in names
        ]
        table.add_row(Text(f"{number:>2} {_title(labelled)}  "), *drawn)
    return table


def _matrix_names(matrix: dict[str, dict[str, Cell]]) -> list[str]:
    names = list(dict.fromkeys([*matrix, *(name for row in matrix.values() for name in row)]))
    return sorted(names, key=lambda name: name == _NOTHING)


def _title(category: str) -> str:
    return "(nothing)" if category == _NOTHING else category


def _cell(raw: float, percent: float, *, right: bool) -> Text:
    strength = 40 + int(min(percent, 100) * 1.6)
    colour = f"rgb(20,{strength},60)" if right else f"rgb({strength},30,40)"
    shown = f"{raw:.0f}" if float(raw).is_integer() else f"{raw:.1f}"
    return Text(f"{shown:^5}", f"bold white on {colour}")


def reliability_plot(evaluation: Evaluation) -> RenderableType:
    """Return how often the model was right at each confidence; ``│`` marks where it should be."""
    table = Table(box=None, pad_edge=False)
    for name, justify in (("confidence", "left"), ("how often right", "left"), ("", "right"), ("predictions", "right")):
        table.add_column(name, justify=justify, style=None if name else "quiet")  # type: ignore[arg-type]
    for each in evaluation.calibration.bins:
        row = _with_mark(bar(each.accuracy, width=30), round(each.confidence * 29))
        table.add_row(f"{each.low:.1f} to {each.high:.1f}", row, f"{each.accuracy:.2f}", str(each.count))
    ece = evaluation.calibration.ece
    verdict = "confidences can be believed" if ece < 0.1 else "confidences are off; add labelled documents"  # noqa: PLR2004
    return Group(table, Text(f"expected calibration error {ece:.3f}: {verdict}", "quiet"))


def _with_mark(drawn: Text, position: int) -> Text:
    return Text.assemble(drawn[:position], ("│", "bold magenta"), drawn[position + 1 :])


def wrong_predictions(evaluation: Evaluation, *, colours: Colours, limit: int = 20) -> RenderableType:
    """Return the mistakes, document by document."""
    wrong = evaluation.wrong_documents
    if not wrong:
        return Text(f"No mistakes on {counted(evaluation.n_test, 'test document')}.", "good")
    lines = [line for document in wrong[:limit] for line in _mistakes(document, colours)]
    if len(wrong) > limit:
        lines.append(Text(f"… and {counted(len(wrong) - limit, 'more document')}; --json and --html show all", "quiet"))
    return Group(*lines)


def _mistakes(document: TestDocument, colours: Colours) -> Iterable[Text]:
    yield Text(safe(document.location), "title")
    for item in document.expected:
        if item.outcome == "falseNegative":
            yield Text.assemble(("  missed ", "bad"), _named(item, colours))
    for item in document.predicted:
        if item.outcome == "falsePositive":
            sure = f"  {item.confidence_score:.2f}" if item.confidence_score is not None else ""
            yield Text.assemble(("  wrong  ", "middling"), _named(item, colours), (sure, "quiet"))


def _named(item: Item, colours: Colours) -> Text:
    where = f"  at {item.offset}" if item.offset is not None else ""
    what = f"  “{shorten(safe(item.text), 60)}”" if item.text else ""
    return Text.assemble((item.category, colours(item.category)), what, (where, "quiet"))


def distribution_table(evaluation: Evaluation, *, colours: Colours) -> Table:
    """Return how the labels are spread over training and test documents."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(noun(evaluation))
    for name in ("training labels", "in documents", "test labels", "in documents"):
        table.add_column(name, justify="right")
    table.add_column("share of training")
    most = max((each.train_labels for each in evaluation.distribution.values()), default=1) or 1
    for name, each in sorted(evaluation.distribution.items(), key=lambda item: -item[1].train_labels):
        numbers = (each.train_labels, each.train_documents, each.test_labels, each.test_documents)
        table.add_row(Text(name, colours(name)), *map(str, numbers), bar(each.train_labels / most, width=20))
    return table


def guidance_lines(evaluation: Evaluation) -> list[Text]:
    """Return what a person could do for a better model."""
    notes = [Text.assemble(("! ", "middling"), each.message) for each in evaluation.guidance]
    return notes + [Text.assemble(("· ", "quiet"), note) for note in evaluation.notes]


def brief_report(evaluation: Evaluation, *, colours: Colours) -> Group:
    """Return what is shown after a training."""
    return Group(headline(evaluation), scores_table(evaluation, colours=colours), *guidance_lines(evaluation))


def full_report(evaluation: Evaluation, *, colours: Colours) -> Group:
    """Return everything that fits into a terminal."""
    parts: list[tuple[str, RenderableType]] = [
        ("Confusion matrix", confusion_map(evaluation)),
        ("Calibration", reliability_plot(evaluation)),
        ("Wrong predictions", wrong_predictions(evaluation, colours=colours)),
        ("Labels", distribution_table(evaluation, colours=colours)),
    ]
    sections = [each for title, part in parts for each in (Text(f"\n{title}", "title"), part)]
    guidance = guidance_lines(evaluation)
    advice = [Text("\nWhat would help", "title"), *guidance] if guidance else []
    return Group(headline(evaluation), scores_table(evaluation, colours=colours), *sections, *advice)

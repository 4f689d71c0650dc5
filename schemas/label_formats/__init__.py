"""Labels in the formats of other tools: CoNLL, JSON lines, Label Studio and CSV, beside Azure's own file.

Each reader takes the file's content and gives a ``LabelSet`` with texts, offsets in code points. It names every line
it cannot read; ``schemas.label_checks`` says the rest.
"""

from schemas.label_formats.detect import detect_and_read
from schemas.label_formats.writers import write_conll, write_jsonl

__all__ = ["detect_and_read", "write_conll", "write_jsonl"]

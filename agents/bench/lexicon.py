"""What the measured model learns to find: things that the words themselves tell.

So it is sure of nearly everything, and other precisions of the same weights find the same. What is found is no matter
here; that all subjects find the same, is.
"""

import re
from typing import Final

from agents.bench.documents import mixed, tickets
from schemas.labels import EntityLabel, LabelledDocument, Region

_WORDS: Final = {
    "Party": "tenants? landlords? landlady owners? lessors? lessees? manager customer neighbours? sister brother",
    "Place": "flat house street road avenue lane room kitchen office shop garage garden city building balcony",
    "Money": "rent rents deposit deposits fee fees price bill invoice refund payment dollars euros pounds account",
    "Time": "january february march april june july august september october november december monday tuesday "
    "wednesday thursday friday saturday sunday day days week weeks month months year years morning evening",
    "Device": "phone laptop printer charger battery app website screen password login camera heater boiler e-mail",
}
_PATTERNS: Final = {
    "Number": re.compile(r"\d+"),
    **{name: re.compile(rf"\b(?:{'|'.join(words.split())})\b", re.IGNORECASE) for name, words in _WORDS.items()},
}
CATEGORIES: Final = list(_PATTERNS)
_N_MIXED: Final = 120
_N_TICKETS: Final = 120
_SEED: Final = 97


def training_documents(project: str) -> list[LabelledDocument]:
    """Return documents with all that is to be found in them."""
    documents = [*mixed(_N_MIXED, seed=_SEED), *tickets(_N_TICKETS, seed=_SEED)]
    return [
        LabelledDocument(project=project, id=document.id, text=document.text, regions=[_region(document.text)])
        for document in documents
    ]


def _region(text: str) -> Region:
    labels = [
        EntityLabel(category=name, offset=found.start(), length=len(found[0]))
        for name, pattern in _PATTERNS.items()
        for found in pattern.finditer(text)
    ]
    return Region(offset=0, length=len(text), labels=sorted(labels, key=lambda label: label.offset))

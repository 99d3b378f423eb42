"""The real filter and the real masks, for the invented rows of a document's cases; no file is read."""

from collections.abc import Sequence
from typing import Final

from gateway.engines.cells import table_of
from gateway.engines.selection import selected
from gateway.masking.mask import protect_rows
from gateway.policy.rehearsal import Row
from gateway.pseudonym import KEY_BYTES, PseudonymKey
from gateway.terms.dataset import Dataset
from gateway.terms.frame import UnprotectedRows
from gateway.terms.permit import Permit
from gateway.terms.predicate import Predicate

RECIPIENT: Final = "somebody-in-a-case"


class ArrowRehearsal:
    """Fills the port of ``policy/rehearsal.py``. Its pseudonyms are of a key that no installation has."""

    def __init__(self) -> None:
        self._pseudonyms = PseudonymKey(bytes(KEY_BYTES))

    def selected(self, rows: Sequence[Row], predicate: Predicate, dataset: Dataset) -> list[bool]:
        if not rows:
            return []
        typed = {column.name: [row.get(column.name) for row in rows] for column in dataset.columns}
        truths: list[bool] = selected(table_of(typed, dataset.columns), predicate, dataset).to_pylist()
        return truths

    def masked(self, rows: Sequence[Row], permit: Permit) -> list[Row]:
        raw = {name: [row.get(name) for row in rows] for name, _ in permit.columns}
        frame = UnprotectedRows(columns=raw, ended_at=None)
        shown = protect_rows(frame, permit.columns, pseudonyms=self._pseudonyms, recipient=RECIPIENT).columns
        return [
            {name: value for name, values in shown.items() if (value := values[place]) is not None}
            for place in range(len(rows))
        ]

"""Rows treated for one recipient, against plain serialisation of the same rows."""

import orjson

from gateway.masking.mask import protect_rows
from gateway.pseudonym import PseudonymKey
from gateway.terms.frame import UnprotectedRows
from gateway.terms.identifiers import ColumnName
from gateway.terms.treatment import Band, DatePrecision, Keep, Partial, Precision, Tokenise
from tests.bench.measure import Family, Measure, Plan, in_turns, middle, seconds_of
from tests.bench.scene import people

ROWS = 100_000
ROUNDS = 7
COLUMNS = (
    (ColumnName("id"), Tokenise("person")),
    (ColumnName("name"), Partial(1, 0)),
    (ColumnName("area"), Keep()),
    (ColumnName("sex"), Keep()),
    (ColumnName("born"), Precision(DatePrecision.MONTH)),
    (ColumnName("income"), Band(5000)),
    (ColumnName("persons"), Keep()),
)


def run(plan: Plan) -> list[Measure]:
    rows = plan.size(ROWS)
    table, key = people(rows), PseudonymKey(bytes(range(32)))
    columns = {ColumnName(name): table.column(name).to_pylist() for name in table.column_names}
    frame = UnprotectedRows(columns=columns, ended_at=None)
    pairs = in_turns(
        plan.rounds(ROUNDS),
        lambda: rows / seconds_of(lambda: protect_rows(frame, COLUMNS, pseudonyms=key, recipient="bank-a")),
        lambda: rows / seconds_of(lambda: orjson.dumps(table.to_pylist())),
    )
    return [
        Measure(
            name="mask_rows_per_s",
            value=middle([masked for masked, _ in pairs]),
            unit="1/s",
            floor=middle([plain for _, plain in pairs]),
        )
    ]


FAMILY = Family(names=("mask_rows_per_s",), run=run)

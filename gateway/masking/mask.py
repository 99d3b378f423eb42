"""Raw rows become rows that may leave: every column by the treatment its rule names, and no other column.

Laws (promise P3): the result is built from the treatments, so a column without one cannot be in it; a value
that does not fit its treatment becomes null, never itself; null stays null. Pseudonyms are the recipient's
own (promise P8). Nothing of the source but treated values passes: no schema metadata, no dictionaries.
Each treatment is a small pure file beside this one. Reading ``N/A`` as null is the engine's business.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

import pyarrow as pa
import pyarrow.compute as pc

from gateway.masking.generalise import banded, prefixed, with_precision
from gateway.masking.partial import partially_shown
from gateway.masking.redact import redacted
from gateway.masking.tokenise import tokenised
from gateway.pseudonym import PseudonymKey
from gateway.terms.frame import UnprotectedRows
from gateway.terms.identifiers import ColumnName
from gateway.terms.treatment import (
    Band,
    Drop,
    Keep,
    Partial,
    Precision,
    Prefix,
    Redact,
    Tokenise,
    Treatment,
    name_of,
)

DAY_FIRST, DAY_LAST = -719162, 2932896
"""0001-01-01 and 9999-12-31 as days since 1970-01-01: the dates that ISO 8601 writes with four digits."""


@dataclass(frozen=True, slots=True)
class MaskedRows:
    """Rows after treatment. Shape: one column a treatment other than ``Drop``, in the rule's order."""

    table: pa.Table
    treatments: Mapping[str, int]
    """How many columns of the table had each treatment, by ``name_of``."""


def protect_rows(
    rows: UnprotectedRows,
    columns: tuple[tuple[ColumnName, Treatment], ...],
    *,
    pseudonyms: PseudonymKey,
    recipient: str,
) -> MaskedRows:
    """Return the rows that one recipient may have."""
    kept = tuple((name, how) for name, how in columns if not isinstance(how, Drop))
    _check(rows.table.column_names, [name for name, _ in columns], {name for name, _ in kept})
    arrays = [_treated(_typed(rows.table.column(name)), how, pseudonyms, recipient) for name, how in kept]
    table = pa.table(arrays, names=[name for name, _ in kept])
    return MaskedRows(table=table, treatments=Counter(name_of(how) for _, how in kept))


def _check(present: list[str], treated: list[ColumnName], kept: set[ColumnName]) -> None:
    """Make sure of what the planner promises: each column is there once and has one treatment."""
    if len(set(treated)) < len(treated) or len(set(present)) < len(present):
        raise AssertionError("a column comes twice")
    if without := set(present) - set(treated):
        raise AssertionError(f"columns without a treatment: {sorted(without)}")
    if missing := kept - set(present):
        raise AssertionError(f"columns that the engine left out: {sorted(missing)}")


def _typed(column: pa.ChunkedArray) -> pa.Array:
    """Return a column in one piece and in one of the five declared types; of any other type, all null."""
    values = column.combine_chunks()
    if pa.types.is_dictionary(values.type):
        # SECURITY: a dictionary may list values of rows that the filter left out.
        values = values.dictionary_decode()
    kind = values.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return values.cast(pa.string())
    if pa.types.is_date(kind):
        return _within_calendar(values.cast(pa.date32()))
    if pa.types.is_integer(kind) or pa.types.is_decimal(kind) or pa.types.is_boolean(kind):
        return values
    return pa.nulls(len(values), pa.string())


def _within_calendar(dates: pa.Array) -> pa.Array:
    days = dates.cast(pa.int32())
    within = pc.and_(pc.greater_equal(days, DAY_FIRST), pc.less_equal(days, DAY_LAST))
    return pc.if_else(within, dates, pa.scalar(None, pa.date32()))


def _treated(  # noqa: PLR0911 - one a treatment
    values: pa.Array, treatment: Treatment, pseudonyms: PseudonymKey, recipient: str
) -> pa.Array:
    match treatment:
        case Keep():
            return values
        case Redact():
            return redacted(values)
        case Partial(first, last):
            return partially_shown(values, first, last)
        case Tokenise(domain):
            return tokenised(values, pseudonyms.token_key(domain, recipient))
        case Band(width):
            return banded(values, width)
        case Precision(precision):
            return with_precision(values, precision)
        case Prefix(length):
            return prefixed(values, length)
        case Drop():
            raise AssertionError("a dropped column has no values")
        case _:
            assert_never(treatment)

"""Raw rows become rows that may leave: every column by the treatment its rule names, and no other column.

Laws (promise P3): the result is built from the treatments, so a column without one cannot be in it; a value
that does not fit its treatment becomes null, never itself; null stays null. Pseudonyms are the recipient's
own (promise P8). Each treatment is a pure function of the value, in a small file beside this one. Reading
``N/A`` as null is the engine's business.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from types import NoneType
from typing import Any, Final, assert_never, cast

from gateway.masking.generalise import decimal_banded, integers_banded, prefixed, with_precision
from gateway.masking.partial import partially_shown
from gateway.masking.tokenise import integers_tokenised
from gateway.pseudonym import PseudonymKey, tokens_of
from gateway.terms.frame import Columns, UnprotectedRows, Values
from gateway.terms.identifiers import ColumnName
from gateway.terms.predicate import Literal
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

KINDS: Final = frozenset({str, int, Decimal, date, bool})
"""What a column's values may be: the Python types of the five declared ones, exactly."""


@dataclass(frozen=True, slots=True)
class MaskedRows:
    """Rows after treatment. Shape: one column a treatment other than ``Drop``, in the rule's order."""

    columns: Columns = field(repr=False)
    treatments: Mapping[str, int]
    """How many columns had each treatment, by ``name_of``."""


def protect_rows(
    rows: UnprotectedRows,
    columns: tuple[tuple[ColumnName, Treatment], ...],
    *,
    pseudonyms: PseudonymKey,
    recipient: str,
) -> MaskedRows:
    """Return the rows that one recipient may have."""
    kept = tuple((name, how) for name, how in columns if not isinstance(how, Drop))
    _check(rows, [name for name, _ in columns], {name for name, _ in kept})
    treated = {name: _treated(rows.columns[name], how, pseudonyms, recipient) for name, how in kept}
    return MaskedRows(treated, Counter(name_of(how) for _, how in kept))


def _check(rows: UnprotectedRows, treated: list[ColumnName], kept: set[ColumnName]) -> None:
    """Make sure of what the planner and the engine promise: a treatment a column, a column a treatment."""
    if len(set(treated)) < len(treated):
        raise AssertionError("a column comes twice")
    if without := rows.columns.keys() - set(treated):
        raise AssertionError(f"columns without a treatment: {sorted(without)}")
    if missing := kept - rows.columns.keys():
        raise AssertionError(f"columns that the engine left out: {sorted(missing)}")
    if len(set(map(len, rows.columns.values()))) > 1:
        raise AssertionError("columns are not of one length")


def _treated(  # noqa: C901, PLR0911 - one a treatment
    values: Values, treatment: Treatment, pseudonyms: PseudonymKey, recipient: str
) -> Values:
    """Return a column after treatment; null is null, and so is what the treatment is not for."""
    kinds = set(map(type, values)) - {NoneType}
    kind = kinds.pop() if len(kinds) == 1 else None
    column = cast("Any", values)  # of the one kind that was just seen
    match treatment:
        case Keep() if kind in KINDS:  # SECURITY: of another type, or of several, is of none declared
            return values
        case Partial(first, last) if kind is str:
            return _once_each(lambda text: partially_shown(text, first, last), column)
        case Tokenise(domain) if kind is str:
            return tokens_of(column, pseudonyms.token_key(domain, recipient))
        case Tokenise(domain) if kind is int:
            return integers_tokenised(column, pseudonyms.token_key(domain, recipient))
        case Band(width) if kind is int:
            return integers_banded(column, width)
        case Band(width) if kind is Decimal:
            return _once_each(lambda number: decimal_banded(number, width), column)
        case Precision(precision) if kind is date:
            return with_precision(column, precision)
        case Prefix(length) if kind is str:
            return _once_each(lambda text: prefixed(text, length), column)
        case Keep() | Redact() | Partial() | Tokenise() | Band() | Precision() | Prefix():
            return [None] * len(values)
        case Drop():
            raise AssertionError("a dropped column has no values")
        case _:
            assert_never(treatment)


def _once_each(treat: Callable[[Any], Literal | None], values: Values) -> Values:
    """Return what a treatment makes of each value, looking at equal values once."""
    known: dict[Literal | None, Literal | None] = {
        value: treat(value) for value in set(values) if value is not None
    }
    return list(map(known.get, values))

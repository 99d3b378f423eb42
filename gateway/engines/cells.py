"""A JSON value becomes a value of its declared type, or null: ``typed.py`` once more, on one machine.

The grammars and ranges are those of ``typed.py``, so that a file and an interface with the same
content select and show the same. A JSON text that says a number, date or truth value is one; a JSON
number is no text. A nested value is null, whatever it holds: nothing passes for not fitting.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Final

import pyarrow as pa

from gateway.engines.document import Row
from gateway.engines.typed import (
    DATE_TEXT,
    DECIMAL_TEXT,
    DECIMALS_MAX,
    INTEGER_MAX,
    INTEGER_MIN,
    INTEGER_TEXT,
    WHOLE_DIGITS_MAX,
)
from gateway.terms.dataset import Column, ColumnType

_INTEGER: Final = re.compile(INTEGER_TEXT)
_DECIMAL: Final = re.compile(DECIMAL_TEXT)
_DATE: Final = re.compile(DATE_TEXT)
_PRECISE: Final = Context(prec=100)
_GRIDS: Final = [Decimal(1).scaleb(-decimals) for decimals in range(DECIMALS_MAX + 1)]
_WHOLE_END: Final = Decimal(10**WHOLE_DIGITS_MAX)
_TRUTHS: Final = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
_FIRST, _LAST = date(1, 1, 1), date(9999, 12, 31)


def arrow_type(column: Column) -> pa.DataType:
    """Return the Arrow type of a column's typed values."""
    if column.type is ColumnType.DECIMAL:
        return pa.decimal128(38, column.decimals)
    return _ARROW_TYPES[column.type]


_ARROW_TYPES: Final = {
    ColumnType.TEXT: pa.string(),
    ColumnType.INTEGER: pa.int64(),
    ColumnType.DATE: pa.date32(),
    ColumnType.BOOLEAN: pa.bool_(),
}


def table_of(rows: Sequence[Row], columns: Sequence[Column]) -> pa.Table:
    """Return the declared columns of the rows, typed; a member that a row lacks is null."""
    arrays = []
    for column in columns:
        typed = _TYPED[column.type]
        values = [typed(row.get(column.name), column) for row in rows]
        arrays.append(pa.array(values, arrow_type(column)))
    return pa.table(arrays, names=[column.name for column in columns])


def _text(value: object, _: Column) -> str | None:
    if type(value) is not str:  # a Number is a text to Python, but none here
        return None
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:  # half of a surrogate pair: no text holds it
            return None
    return value


def _integer(value: object, _: Column) -> int | None:
    if type(value) is int:
        return value if INTEGER_MIN <= value <= INTEGER_MAX else None
    if not isinstance(value, str):
        return None
    text = value.strip(" ")
    if not _INTEGER.fullmatch(text):
        return None
    whole = int(Decimal(text))  # which has no limit of digits; the grammar has let through 19 that count
    return whole if INTEGER_MIN <= whole <= INTEGER_MAX else None


def _decimal(value: object, column: Column) -> Decimal | None:
    if type(value) is int:
        number = Decimal(value)
    elif isinstance(value, str) and _DECIMAL.fullmatch(text := value.strip(" ")):
        number = Decimal(text)
    else:
        return None
    if number and number.adjusted() > WHOLE_DIGITS_MAX:  # rounding it would write all its digits out
        return None
    rounded = number.quantize(_GRIDS[column.decimals], ROUND_HALF_UP, _PRECISE)
    return rounded if abs(rounded) < _WHOLE_END else None


def _date(value: object, _: Column) -> date | None:
    if type(value) is not str or not _DATE.fullmatch(text := value.strip(" ")):
        return None
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None


def _boolean(value: object, _: Column) -> bool | None:
    if type(value) is bool:
        return value
    if type(value) is int:
        return {0: False, 1: True}.get(value)
    return _TRUTHS.get(value.strip(" ").lower()) if type(value) is str else None


_TYPED: Final[Mapping[ColumnType, Callable[[object, Column], object]]] = {
    ColumnType.TEXT: _text,
    ColumnType.INTEGER: _integer,
    ColumnType.DECIMAL: _decimal,
    ColumnType.DATE: _date,
    ColumnType.BOOLEAN: _boolean,
}

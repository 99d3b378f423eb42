"""A JSON value becomes a value of its declared type, or null: ``typed.py`` once more, on one machine.

The grammars and ranges are those of ``typed.py``, so that a file and an interface with the same
content select and show the same. A JSON text that says a number, date or truth value is one; a JSON
number is no text. A nested value is null, whatever it holds: nothing passes for not fitting.

``typed_cell`` is the definition. ``typed_column`` comes to the same for a whole column: values that are
of the type already pass in one look, others are typed once for each that is different.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal
from types import NoneType
from typing import Final, cast

import pyarrow as pa

from gateway.engines.document import Number, Row
from gateway.engines.typed import (
    DATE_TEXT,
    DECIMAL_TEXT,
    DECIMALS_MAX,
    WHOLE_DIGITS_MAX,
    integer_of,
)
from gateway.terms.dataset import INTEGER_MAX, INTEGER_MIN, Column, ColumnType
from gateway.terms.frame import Columns, Values
from gateway.terms.predicate import Literal

_DECIMAL: Final = re.compile(DECIMAL_TEXT)
_DATE: Final = re.compile(DATE_TEXT)
_PRECISE: Final = Context(prec=100)
_GRIDS: Final = [Decimal(1).scaleb(-decimals) for decimals in range(DECIMALS_MAX + 1)]
_WHOLE_END: Final = Decimal(10**WHOLE_DIGITS_MAX)
_TRUTHS: Final = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
_DAY_CHARACTERS: Final = len("2000-01-01")
_DAYS_TO_1970: Final = date(1970, 1, 1).toordinal()


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


def typed_columns(rows: Sequence[Row], columns: Sequence[Column]) -> Columns:
    """Return the declared columns of the rows, typed; a member that a row lacks is null."""
    names = [column.source_name for column in columns]
    return {
        column.name: typed_column([row.get(name) for row in rows], column)
        for column, name in zip(columns, names, strict=True)
    }


def table_of(typed: Columns, columns: Sequence[Column]) -> pa.Table:
    """Return typed columns as a table, for ``selection``."""
    return pa.table({column.name: pa.array(typed[column.name], arrow_type(column)) for column in columns})


def values_of(stored: pa.ChunkedArray) -> Values:
    """Return a typed column of a table as values."""
    if not pa.types.is_date32(stored.type):
        return cast("Values", stored.to_pylist())
    days = stored.cast(pa.int32()).to_pylist()  # dates one by one take Arrow eight times as long
    return [None if day is None else date.fromordinal(day + _DAYS_TO_1970) for day in days]


def typed_column(values: Sequence[object], column: Column) -> Values:
    """Return ``typed_cell`` of each value."""
    kinds = set(map(type, values)) - {NoneType}
    if len(kinds) != 1:  # SECURITY: equal values of several kinds, as 1 and true, are not the same here
        return [typed_cell(value, column) for value in values]
    (kind,) = kinds
    if kind is _NATIVE.get(column.type) and _all_fit(values, kind):
        return cast("Values", values)
    if kind not in _SCALARS:
        return [None] * len(values)
    if column.type is ColumnType.DATE and kind is str and (days := _days(cast("list[str | None]", values))):
        return days
    known = {value: typed_cell(value, column) for value in set(values)}
    return list(map(known.__getitem__, values))


def typed_cell(value: object, column: Column) -> Literal | None:
    """Return what a value of a reply is in a column."""
    return _TYPED[column.type](value, column)


_NATIVE: Final[Mapping[ColumnType, type]] = {
    ColumnType.TEXT: str,
    ColumnType.INTEGER: int,
    ColumnType.BOOLEAN: bool,
}
_SCALARS: Final = frozenset({str, Number, int, bool})


def _all_fit(values: Sequence[object], kind: type) -> bool:
    """Return whether all values of one kind, or null, are values of that type as they are."""
    if kind is bool:
        return True
    there = [value for value in values if value is not None]
    if kind is int:
        whole = cast("list[int]", there)
        return min(whole) >= INTEGER_MIN and max(whole) <= INTEGER_MAX
    joined = "".join(cast("list[str]", there))
    return joined.isascii() or _is_text(joined)


def _days(values: Sequence[str | None]) -> Values | None:
    """Return the dates of texts, or null, if all texts are ``YYYY-MM-DD`` and in the calendar."""
    texts = [value for value in values if value is not None]
    joined, hyphens = "".join(texts).encode("utf-8", "replace"), b"-" * len(texts)
    if set(map(len, texts)) != {_DAY_CHARACTERS} or joined.translate(None, b"0123456789") != hyphens * 2:
        return None
    if not joined[4::_DAY_CHARACTERS] == joined[7::_DAY_CHARACTERS] == hyphens:
        return None
    try:
        return [None if value is None else date.fromisoformat(value) for value in values]
    except ValueError:
        return None


def _text(value: object, _: Column) -> str | None:
    if type(value) is not str:  # a Number is a text to Python, but none here
        return None
    return value if value.isascii() or _is_text(value) else None


def _is_text(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair: no text holds it
        return False
    return True


def _integer(value: object, _: Column) -> int | None:
    if type(value) is int:
        return value if INTEGER_MIN <= value <= INTEGER_MAX else None
    return integer_of(value.strip(" ")) if isinstance(value, str) else None


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
    return _PRECISE.plus(rounded) if abs(rounded) < _WHOLE_END else None  # plus: there is no -0


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


_TYPED: Final[Mapping[ColumnType, Callable[[object, Column], Literal | None]]] = {
    ColumnType.TEXT: _text,
    ColumnType.INTEGER: _integer,
    ColumnType.DECIMAL: _decimal,
    ColumnType.DATE: _date,
    ColumnType.BOOLEAN: _boolean,
}

"""A stored value becomes a value of its declared type, or NULL. The one definition, as SQL.

A number, date or truth value is what its text says, in the grammars below; text of another shape
is NULL, whatever DuckDB's own casts would make of it (`0x1f`, `1_000`, `infinity`, 12.5 as 13).
A stored float goes through its shortest text, so CSV and Parquet agree. A decimal has its column's
``decimals`` digits after the point, halves away from zero, and at most 18 before it: rows, filters
and statistics see the same value, which is an integer on the grid ``1 / 10**decimals``.
"""

import re
from collections.abc import Callable, Sequence
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from typing import Final, TypeVar

from gateway.terms.dataset import INTEGER_MAX, INTEGER_MIN, Column, ColumnType
from gateway.terms.predicate import Literal

DECIMALS_MAX: Final = 18
WHOLE_DIGITS_MAX: Final = 18

INTEGER_TEXT: Final = r"[+-]?0*[0-9]{1,19}(\.0*)?"
DECIMAL_TEXT: Final = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?"
DATE_TEXT: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}([ T]00:00:00(\.0+)?)?"
"""Midnight is a date: that is how pandas stores one."""
_DIGITS: Final = re.compile(r"[0-9]{1,19}")
TRUE_TEXTS: Final = "('true', 't', '1')"
FALSE_TEXTS: Final = "('false', 'f', '0')"

INTEGERS_STORED: Final = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"}
    | {"UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"}
)
SCALARS_STORED: Final = INTEGERS_STORED | frozenset(
    {'"NULL"', "VARCHAR", "BOOLEAN", "FLOAT", "DOUBLE", "DATE"}
    | {"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"}
)

Kind = TypeVar("Kind")

TYPE_NAMES: Final = {
    ColumnType.TEXT: "VARCHAR",
    ColumnType.INTEGER: "BIGINT",
    ColumnType.DATE: "DATE",
    ColumnType.BOOLEAN: "BOOLEAN",
}


class Parameters:
    """Constants of one statement, by name: no constant is ever part of the SQL text."""

    def __init__(self) -> None:
        self.values: dict[str, object] = {}

    def bind(self, value: object) -> str:
        """Return the placeholder of a constant."""
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f"${name}"


def type_of(column: Column) -> str:
    """Return the SQL type of a column's typed values.

    Raises:
        ValueError: More decimals than fit.

    """
    if column.type is not ColumnType.DECIMAL:
        return TYPE_NAMES[column.type]
    if not 0 <= column.decimals <= DECIMALS_MAX:
        raise ValueError(f"decimals are 0 to {DECIMALS_MAX}")
    return f"DECIMAL(38, {column.decimals})"


def is_readable(stored_type: str) -> bool:
    """Return whether any declared type reads values stored so; lists, structs and blobs are never read."""
    return stored_type in SCALARS_STORED or stored_type.startswith("DECIMAL(")


def typed(column: Column, stored: str, stored_type: str) -> str:
    """Return the expression of a column's typed value; total, for every stored value.

    Args:
        column: The declared column.
        stored: A quoted identifier.
        stored_type: DuckDB's name of its type.

    """
    if not is_readable(stored_type):
        return f"CAST(NULL AS {type_of(column)})"
    text = stored if stored_type == "VARCHAR" else f"CAST({stored} AS VARCHAR)"
    match column.type:
        case ColumnType.TEXT:
            return text
        case ColumnType.INTEGER:
            return _integer(stored, stored_type, text)
        case ColumnType.DECIMAL:
            return _decimal(column, stored, stored_type, text)
        case ColumnType.DATE:
            return _date(stored, stored_type, text)
        case ColumnType.BOOLEAN:
            word = f"lower(trim({text}, ' '))"
            return f"CASE WHEN {word} IN {TRUE_TEXTS} THEN true WHEN {word} IN {FALSE_TEXTS} THEN false END"


def _integer(stored: str, stored_type: str, text: str) -> str:
    if stored_type in INTEGERS_STORED:
        return f"TRY_CAST({stored} AS BIGINT)"
    return _if_shaped(text, INTEGER_TEXT, lambda trimmed: f"TRY_CAST({trimmed} AS BIGINT)")


def _decimal(column: Column, stored: str, stored_type: str, text: str) -> str:
    if stored_type in INTEGERS_STORED or stored_type.startswith("DECIMAL("):
        return _in_range(column, f"TRY_CAST({stored} AS {type_of(column)})")
    cast = _if_shaped(text, DECIMAL_TEXT, lambda trimmed: f"TRY_CAST({trimmed} AS {type_of(column)})")
    return _in_range(column, cast)


def _date(stored: str, stored_type: str, text: str) -> str:
    day = _if_shaped(text, DATE_TEXT, lambda trimmed: f"TRY_CAST(left({trimmed}, 10) AS DATE)")
    day = stored if stored_type == "DATE" else day
    return f"CASE WHEN {day} BETWEEN DATE '0001-01-01' AND DATE '9999-12-31' THEN {day} END"


def _if_shaped(text: str, grammar: str, then: Callable[[str], str]) -> str:
    trimmed = f"trim({text}, ' ')"
    return f"CASE WHEN regexp_full_match({trimmed}, '{grammar}') THEN {then(trimmed)} END"


def _in_range(column: Column, value: str) -> str:
    """DuckDB lets an exponent carry a value past its type's width; the range check does not."""
    lowest, highest = range_of(column)
    low, high = (f"CAST('{grid_text(n, column.decimals)}' AS {type_of(column)})" for n in (lowest, highest))
    return f"CASE WHEN {value} BETWEEN {low} AND {high} THEN {value} END"


def integer_of(text: str) -> int | None:
    """Return what a text of ``INTEGER_TEXT`` says, in time that grows with its length and no faster."""
    sign = text[:1] if text.startswith(("+", "-")) else ""
    whole, _, behind = text.removeprefix(sign).partition(".")
    digits = whole.lstrip("0") or whole[:1]
    if behind.strip("0") or not _DIGITS.fullmatch(digits):
        return None
    number = int(sign + digits)
    return number if INTEGER_MIN <= number <= INTEGER_MAX else None


def range_of(column: Column) -> tuple[int, int]:
    """Return the smallest and largest grid value of a number column."""
    if column.type is ColumnType.INTEGER:
        return INTEGER_MIN, INTEGER_MAX
    highest = 10 ** (WHOLE_DIGITS_MAX + column.decimals) - 1
    return -highest, highest


def grid_text(grid: int, decimals: int) -> str:
    """Return the decimal text of ``grid / 10**decimals``."""
    return f"{Decimal(grid).scaleb(-decimals, Context(prec=100)):f}"


def grid_of(value: int | Decimal, decimals: int) -> int:
    """Return ``value * 10**decimals``, rounded half away from zero."""
    scaled = Decimal(value).scaleb(decimals, Context(prec=100))
    return int(scaled.to_integral_value(ROUND_HALF_UP))


def exact_grid(value: Literal, column: Column) -> Fraction:
    """Return ``value * 10**decimals`` unrounded.

    Raises:
        ValueError: Not a finite number.

    """
    if isinstance(value, bool | str | date) or (isinstance(value, Decimal) and not value.is_finite()):
        raise ValueError("not a number")
    scale: int = 10 ** (column.decimals if column.type is ColumnType.DECIMAL else 0)
    return Fraction(value) * scale


def number(grid: int, column: Column, parameters: Parameters) -> str:
    """Return a bound constant of a number column; ``grid`` lies within its range."""
    return f"CAST({parameters.bind(stored_number(grid, column))} AS {type_of(column)})"


def stored_number(grid: int, column: Column) -> int | str:
    """Return the Python value that binds exactly: DuckDB would take a large decimal as a float."""
    return grid if column.type is ColumnType.INTEGER else grid_text(grid, column.decimals)


def constants(values: Sequence[Literal], column: Column) -> tuple[int | str | bool | None, ...]:
    """Return constants as they are bound; None where no value of the column can equal the constant.

    Raises:
        ValueError: A constant of another type than the column's.

    """
    match column.type:
        case ColumnType.INTEGER | ColumnType.DECIMAL:
            return tuple(_on_grid(exact_grid(value, column), column) for value in values)
        case ColumnType.TEXT:
            return tuple(_of(str, value) for value in values)
        case ColumnType.BOOLEAN:
            return tuple(_of(bool, value) for value in values)
        case ColumnType.DATE:
            return tuple(date.isoformat(_of(date, value)) for value in values)


def _on_grid(grid: Fraction, column: Column) -> int | str | None:
    lowest, highest = range_of(column)
    if grid.denominator != 1 or not lowest <= grid <= highest:
        return None
    return stored_number(int(grid), column)


def _of(kind: type[Kind], value: object) -> Kind:
    if not isinstance(value, kind):
        raise ValueError(f"not a {kind.__name__}")  # noqa: TRY004 (a ValueError like the others here)
    return value

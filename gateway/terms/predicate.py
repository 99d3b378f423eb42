"""Conditions on rows, as data: rules' row filters, firms' ``where``, SQL's WHERE.

Three-valued as in SQL: a comparison with NULL is unknown, ``Not`` of unknown is unknown, and a row
is selected only if the whole condition is true.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from gateway.terms.identifiers import ColumnName

Literal = str | int | Decimal | bool | date
"""A constant of a column's own type: text, integer, decimal, boolean or date."""


class Comparator(StrEnum):
    """How a column is compared with constants."""

    EQUAL = "="
    NOT_EQUAL = "!="
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="
    ONE_OF = "in"
    """At least one constant."""
    IS_NULL = "is_null"
    """No constant."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One column against constants."""

    column: ColumnName
    comparator: Comparator
    constants: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    """Conjunction; ``AllOf(())`` is true."""

    parts: "tuple[Predicate, ...]"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Disjunction; ``AnyOf(())`` is false."""

    parts: "tuple[Predicate, ...]"


@dataclass(frozen=True, slots=True)
class Not:
    """Negation."""

    part: "Predicate"


Predicate = Comparison | AllOf | AnyOf | Not

EVERY_ROW = AllOf(())


def columns_of(predicate: Predicate) -> frozenset[ColumnName]:
    """Return the names of all columns a condition reads."""
    match predicate:
        case Comparison(column, _, _):
            return frozenset({column})
        case Not(part):
            return columns_of(part)
        case AllOf(parts) | AnyOf(parts):
            return frozenset[ColumnName]().union(*(columns_of(part) for part in parts))

"""A predicate as a SQL condition with bound constants; three-valued as ``terms/predicate.py`` says.

Numbers are compared on the column's grid in exact integers: a constant finer than the grid becomes
the neighbouring grid value, one beyond the type's range becomes true or false (NULL stays unknown).
"""

import math
from collections.abc import Mapping

from gateway.engines.typed import Parameters, constants, exact_grid, number, range_of, type_of
from gateway.terms.dataset import Column, ColumnType
from gateway.terms.identifiers import ColumnName
from gateway.terms.predicate import AllOf, AnyOf, Comparator, Comparison, Literal, Not, Predicate

Aliases = Mapping[ColumnName, tuple[str, Column]]
"""Where a typed column is found in the statement."""

NUMBERS = frozenset({ColumnType.INTEGER, ColumnType.DECIMAL})


def condition(predicate: Predicate, aliases: Aliases, parameters: Parameters) -> str:
    """Return the condition in SQL.

    Raises:
        KeyError: A column the statement does not have.
        ValueError: A constant of another type than its column's.

    """
    match predicate:
        case Comparison():
            return _comparison(predicate, aliases, parameters)
        case Not(part):
            return f"(NOT {condition(part, aliases, parameters)})"
        case AllOf(parts):
            return "(" + " AND ".join(["true", *(condition(p, aliases, parameters) for p in parts)]) + ")"
        case AnyOf(parts):
            return "(" + " OR ".join(["false", *(condition(p, aliases, parameters) for p in parts)]) + ")"


def _comparison(comparison: Comparison, aliases: Aliases, parameters: Parameters) -> str:
    alias, column = aliases[comparison.column]
    match comparison.comparator:
        case Comparator.IS_NULL:
            return f"({alias} IS NULL)"
        case Comparator.ONE_OF:
            return _one_of(alias, column, comparison.constants, parameters)
        case Comparator.EQUAL:
            return _one_of(alias, column, (_only(comparison),), parameters)
        case Comparator.NOT_EQUAL:
            return f"(NOT {_one_of(alias, column, (_only(comparison),), parameters)})"
        case order if column.type in NUMBERS:
            return _bounded(alias, column, order, _only(comparison), parameters)
        case order:
            (bound,) = constants((_only(comparison),), column)
            return f"({alias} {order.value} CAST({parameters.bind(bound)} AS {type_of(column)}))"


def _only(comparison: Comparison) -> Literal:
    (constant,) = comparison.constants
    return constant


def _one_of(alias: str, column: Column, values: tuple[Literal, ...], parameters: Parameters) -> str:
    possible = [value for value in constants(values, column) if value is not None]
    if not possible:
        return _known(alias, truth=False)
    listed = ", ".join(f"CAST({parameters.bind(value)} AS {type_of(column)})" for value in possible)
    return f"({alias} IN ({listed}))"


def _bounded(alias: str, column: Column, order: Comparator, constant: Literal, parameters: Parameters) -> str:
    grid = exact_grid(constant, column)
    lowest, highest = range_of(column)
    if order in {Comparator.LESS, Comparator.AT_MOST}:
        most = math.floor(grid) if order is Comparator.AT_MOST else math.ceil(grid) - 1
        if not lowest <= most <= highest:
            return _known(alias, truth=most > highest)
        return f"({alias} <= {number(most, column, parameters)})"
    least = math.ceil(grid) if order is Comparator.AT_LEAST else math.floor(grid) + 1
    if not lowest <= least <= highest:
        return _known(alias, truth=least < lowest)
    return f"({alias} >= {number(least, column, parameters)})"


def _known(alias: str, *, truth: bool) -> str:
    """Return what is so for every value, and unknown for NULL."""
    return f"(CASE WHEN {alias} IS NOT NULL THEN {str(truth).lower()} END)"

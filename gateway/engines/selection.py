"""A predicate judged on an Arrow table; three-valued as ``terms/predicate.py`` says.

It selects what ``condition.py``'s SQL selects (a property in tests/engines/test_selection.py): numbers
are compared on the column's grid, a constant that no value can equal is false, NULL stays unknown.
"""

import math
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from functools import reduce
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from gateway.engines.cells import arrow_type
from gateway.engines.condition import NUMBERS
from gateway.engines.typed import constants, exact_grid, grid_text, range_of
from gateway.terms.dataset import Column, ColumnType, Dataset
from gateway.terms.predicate import AllOf, AnyOf, Comparator, Comparison, Not, Predicate

UNKNOWN: Final = pa.scalar(None, pa.bool_())

_ORDERS: Final[dict[Comparator, Callable[[pa.Array, pa.Scalar], pa.Array]]] = {
    Comparator.LESS: pc.less,
    Comparator.AT_MOST: pc.less_equal,
    Comparator.MORE: pc.greater,
    Comparator.AT_LEAST: pc.greater_equal,
}


def selected(table: pa.Table, predicate: Predicate, dataset: Dataset) -> pa.Array:
    """Return for each row whether it is selected; only what is true is, never what is unknown."""
    return _truth(table, predicate, dataset).fill_null(False)  # noqa: FBT003 - Arrow's signature


def _truth(table: pa.Table, predicate: Predicate, dataset: Dataset) -> pa.Array:
    match predicate:
        case Comparison(name):
            column = dataset.column(name)
            assert column is not None, "a predicate names declared columns"  # noqa: S101
            return _comparison(table.column(name).combine_chunks(), predicate, column)
        case Not(part):
            return pc.invert(_truth(table, part, dataset))
        case AllOf(parts):
            truths = (_truth(table, part, dataset) for part in parts)
            return reduce(pc.and_kleene, truths, _everywhere(table, truth=True))
        case AnyOf(parts):
            truths = (_truth(table, part, dataset) for part in parts)
            return reduce(pc.or_kleene, truths, _everywhere(table, truth=False))


def _everywhere(table: pa.Table, *, truth: bool) -> pa.Array:
    return pa.repeat(pa.scalar(truth), table.num_rows)


def _comparison(values: pa.Array, comparison: Comparison, column: Column) -> pa.Array:
    match comparison.comparator:
        case Comparator.IS_NULL:
            return pc.is_null(values)
        case Comparator.ONE_OF | Comparator.EQUAL:
            return _one_of(values, comparison, column)
        case Comparator.NOT_EQUAL:
            return pc.invert(_one_of(values, comparison, column))
        case order if column.type in NUMBERS:
            return _bounded(values, order, comparison, column)
        case order:
            (bound,) = constants(comparison.constants, column)
            return _ORDERS[order](values, pa.scalar(_python(bound, column), arrow_type(column)))


def _one_of(values: pa.Array, comparison: Comparison, column: Column) -> pa.Array:
    possible = [each for each in constants(comparison.constants, column) if each is not None]
    listed = pa.array([_python(each, column) for each in possible], arrow_type(column))
    return _known(values, pc.is_in(values, value_set=listed))


def _bounded(values: pa.Array, order: Comparator, comparison: Comparison, column: Column) -> pa.Array:
    (constant,) = comparison.constants
    grid = exact_grid(constant, column)
    lowest, highest = range_of(column)
    if order in {Comparator.LESS, Comparator.AT_MOST}:
        edge = math.floor(grid) if order is Comparator.AT_MOST else math.ceil(grid) - 1
        compare, beyond = pc.less_equal, edge > highest
    else:
        edge = math.ceil(grid) if order is Comparator.AT_LEAST else math.floor(grid) + 1
        compare, beyond = pc.greater_equal, edge < lowest
    if not lowest <= edge <= highest:
        return _known(values, pa.repeat(pa.scalar(beyond), len(values)))
    stored = edge if column.type is ColumnType.INTEGER else grid_text(edge, column.decimals)
    return compare(values, pa.scalar(_python(stored, column), arrow_type(column)))


def _known(values: pa.Array, truths: pa.Array) -> pa.Array:
    """Return the truths, unknown where the value is NULL."""
    return pc.if_else(pc.is_valid(values), truths, UNKNOWN)


def _python(constant: object, column: Column) -> object:
    """Return a constant of ``typed.constants`` as Arrow takes it."""
    match column.type:
        case ColumnType.DECIMAL:
            return Decimal(str(constant))
        case ColumnType.DATE:
            return date.fromisoformat(str(constant))
        case _:
            return constant

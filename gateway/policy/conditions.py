"""Row conditions as written, into predicates over a document's columns.

Constants take the column's own type, so that an engine never converts. Order comparisons are for
numbers and dates only: the order of texts is the engine's own (its collation), and a rule must select
the same rows on every engine.
"""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Final

from gateway.policy.document import AnyEntry, ColumnEntry, ComparisonEntry, ConditionEntry, NotEntry
from gateway.policy.faults import nearest, shown
from gateway.policy.fields import day_of
from gateway.policy.read import Path
from gateway.terms.dataset import Column, ColumnType
from gateway.terms.identifiers import ColumnName
from gateway.terms.predicate import AllOf, AnyOf, Comparator, Comparison, Literal, Not, Predicate

GRID_END: Final = 2**62
"""Of constants: an engine has room to compute with what lies before it."""
TEXT_MAX: Final = 500

_COMPARATORS: Final = {
    "equals": Comparator.EQUAL,
    "not_equals": Comparator.NOT_EQUAL,
    "less": Comparator.LESS,
    "at_most": Comparator.AT_MOST,
    "more": Comparator.MORE,
    "at_least": Comparator.AT_LEAST,
    "one_of": Comparator.ONE_OF,
    "is_null": Comparator.IS_NULL,
}
_WRITTEN: Final = {"one_of": "in"}
_ORDERS: Final = frozenset({Comparator.LESS, Comparator.AT_MOST, Comparator.MORE, Comparator.AT_LEAST})
_EQUALITIES: Final = frozenset({Comparator.EQUAL, Comparator.NOT_EQUAL, Comparator.ONE_OF})
_ORDERED: Final = frozenset({ColumnType.INTEGER, ColumnType.DECIMAL, ColumnType.DATE})

Complain = Callable[[Path, str], None]


def constant_of(given: object, column: ColumnEntry | Column) -> Literal:
    """Return a written constant in the type of its column.

    Raises:
        ValueError: It is of another type, or beyond what every engine can hold.

    """
    match column.type, given:
        case ColumnType.TEXT, str() if len(given) <= TEXT_MAX:
            return given
        case ColumnType.BOOLEAN, bool():
            return given
        case ColumnType.DATE, _:
            return day_of(given)
        case ((ColumnType.INTEGER | ColumnType.DECIMAL), bool()):
            pass
        case ColumnType.INTEGER, int() if abs(given) < GRID_END:
            return given
        case ColumnType.DECIMAL, int() | Decimal():
            value = Decimal(given)
            if abs(value) * 10 ** (column.decimals or 0) < GRID_END:
                return value
        case _:
            pass
    raise ValueError(f"{shown(given)} is not {_A[column.type]} that a column of this type can hold")


_A: Final = {
    ColumnType.TEXT: "a text (in quotes)",
    ColumnType.INTEGER: "a whole number",
    ColumnType.DECIMAL: "a number",
    ColumnType.DATE: "a date",
    ColumnType.BOOLEAN: "true or false",
}


def predicate_of(conditions: list[ConditionEntry] | None, columns: Mapping[str, ColumnEntry]) -> Predicate:
    """Return the conjunction of checked conditions; None selects every row."""
    return AllOf(tuple(_predicate(condition, columns) for condition in conditions or []))


def _predicate(condition: ConditionEntry, columns: Mapping[str, ColumnEntry]) -> Predicate:
    match condition:
        case AnyEntry():
            return AnyOf(tuple(_predicate(part, columns) for part in condition.conditions))
        case NotEntry():
            return Not(_predicate(condition.condition, columns))
        case ComparisonEntry():
            (name,) = _compared(condition)
            column = columns[condition.column]
            constants = tuple(constant_of(given, column) for _, given in _constants(condition, name))
            return Comparison(ColumnName(condition.column), _COMPARATORS[name], constants)


def check_condition(
    condition: ConditionEntry,
    path: Path,
    names: frozenset[str],
    columns: Mapping[str, ColumnEntry],
    complain: Complain,
    *,
    negated: bool = False,
) -> None:
    """Report what of a condition does not fit the columns.

    ``names`` are all columns that are written; ``columns`` those of them that are well-formed.
    """
    match condition:
        case AnyEntry():
            for number, part in enumerate(condition.conditions):
                check_condition(part, (*path, "any", number), names, columns, complain, negated=negated)
        case NotEntry():
            inner = (*path, "not")
            check_condition(condition.condition, inner, names, columns, complain, negated=not negated)
        case ComparisonEntry():
            _check_comparison(condition, path, names, columns, complain, negated=negated)


def _check_comparison(
    condition: ComparisonEntry,
    path: Path,
    names: frozenset[str],
    columns: Mapping[str, ColumnEntry],
    complain: Complain,
    *,
    negated: bool,
) -> None:
    compared = _compared(condition)
    if len(compared) != 1:
        words = ", ".join(_WRITTEN.get(name, name) for name in _COMPARATORS)
        complain(path, f"exactly one comparison is wanted, of {words}")
    if condition.column not in names:
        at = (*path, "column")
        complain(at, f"there is no column {shown(condition.column)}{nearest(condition.column, names)}")
    column = columns.get(condition.column)
    if column is None:
        return
    for name in compared:
        at = (*path, _WRITTEN.get(name, name))
        if _COMPARATORS[name] in _ORDERS and column.type not in _ORDERED:
            complain(at, f"a column of type {column.type} has no order that is the same on every engine")
            continue
        leaves_out = negated != (_COMPARATORS[name] is Comparator.NOT_EQUAL)
        for number, given in _constants(condition, name):
            if said := _constant_fault(given, column, _COMPARATORS[name], leaves_out=leaves_out):
                complain(at if number is None else (*at, number), said)


def _constant_fault(
    given: object, column: ColumnEntry, comparator: Comparator, *, leaves_out: bool
) -> str | None:
    """Return what is wrong with one constant.

    SECURITY: a misspelt text that a filter leaves out leaves out nothing, so it is held against a list.
    """
    try:
        constant = constant_of(given, column)
    except ValueError as error:
        return str(error)
    if comparator not in _EQUALITIES:
        return None
    if column.values is not None:
        known = [str(value) for value in column.values]
        if constant not in _listed(column):
            return f"{shown(given)} is not in the column's list of values{nearest(str(given), known)}"
    elif leaves_out and column.type is ColumnType.TEXT:
        return "a filter that leaves out a text needs the column's public list, `values`: it may be misspelt"
    return None


def _listed(column: ColumnEntry) -> Iterator[Literal]:
    """Yield the values of a column's list that are of its type."""
    for given in column.values or ():
        try:
            yield constant_of(given, column)
        except ValueError:
            continue  # reported where the list stands


def _compared(condition: ComparisonEntry) -> list[str]:
    return [name for name in _COMPARATORS if name in condition.model_fields_set]


def _constants(condition: ComparisonEntry, name: str) -> Iterator[tuple[int | None, object]]:
    """Yield the constants of one comparison, numbered where they stand in a list."""
    given = getattr(condition, name)
    if name == "one_of":
        yield from enumerate(given)
    elif name != "is_null":
        yield None, given

"""What must fit together in a document's description of the data: columns, privacy unit, budgets.

Every check reports through ``complain`` and goes on, so that an officer sees all faults at once. Parts
that are malformed in themselves are left out of ``Parts``: they have been reported already.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Final

from gateway.budget import pico_rho_down
from gateway.policy.conditions import Complain, constant_of
from gateway.policy.document import (
    BudgetsEntry,
    ClassificationEntry,
    ColumnEntry,
    ForbidEntry,
    PermitEntry,
    SourceEntry,
    UnitEntry,
    ValidEntry,
)
from gateway.policy.document_terms import RetentionEntry, TriggerEntry
from gateway.policy.faults import nearest, shown
from gateway.policy.read import Path
from gateway.policy.upstream import address_fault
from gateway.terms.dataset import ColumnType, Personal, Sharing, SourceFormat

SUM_MAX: Final = 2**62
"""Exact sums are 64-bit integers on every engine; what could pass this is refused here, not at run time."""

_NUMBERS: Final = frozenset({ColumnType.INTEGER, ColumnType.DECIMAL})
_UNITS: Final = frozenset({ColumnType.INTEGER, ColumnType.TEXT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of a document that are well-formed in themselves, and all names that are written."""

    written: frozenset[str]
    """The top-level words, well-formed below or not."""
    names: tuple[str, ...]
    columns: Mapping[str, ColumnEntry]
    purposes: frozenset[str]
    agreements: Collection[str] | None
    """The agreements that exist, where the caller knows them."""
    valid: ValidEntry | None
    classification: ClassificationEntry | None
    source: SourceEntry | None
    unit: UnitEntry | None
    budgets: BudgetsEntry | None
    retention: RetentionEntry | None
    triggers: Mapping[int, TriggerEntry]
    permits: Mapping[int, PermitEntry]
    forbids: Mapping[int, ForbidEntry]


def check_data(parts: Parts, complain: Complain) -> None:
    """Report what does not fit in the description of the data."""
    if parts.valid and parts.valid.until < parts.valid.start:
        complain(("valid", "until"), "the document ends before it starts")
    if parts.classification:
        _check_classes(parts.classification, parts.columns, complain)
    if parts.source:
        _check_source(parts.source, complain)
    _check_names(parts.names, complain)
    _check_stored(parts.columns, complain)
    for name, column in parts.columns.items():
        _check_column(column, ("columns", name), complain)
    if parts.unit:
        _check_unit(parts.unit, parts, complain)
    if parts.budgets:
        _check_budgets(parts.budgets, complain)


def _check_classes(
    given: ClassificationEntry, columns: Mapping[str, ColumnEntry], complain: Complain
) -> None:
    """Refuse a dataset that is classed below one of its columns, and personal data that is called open."""
    ranks = list(Personal)
    for name, column in columns.items():
        if ranks.index(column.personal) > ranks.index(given.personal):
            complain(
                ("classification", "personal"),
                f"`{given.personal}`, but the column {shown(name)} is {column.personal}",
            )
            break
    if given.sharing is Sharing.OPEN and given.personal is not Personal.NONE:
        complain(("classification", "sharing"), "personal data is never open: `shared` or `private`")


def _check_source(source: SourceEntry, complain: Complain) -> None:
    wanted, other = ("url", "path") if source.format is SourceFormat.HTTP else ("path", "url")
    if getattr(source, wanted) is None:
        complain(("source",), f"a source of the format {source.format} needs `{wanted}`")
    if getattr(source, other) is not None:
        complain(("source", other), f"a source of the format {source.format} has `{wanted}` instead")
    if source.internal and source.format is not SourceFormat.HTTP:
        complain(("source", "internal"), "`internal` is for the format http only")
    if source.url is not None and (said := address_fault(source.url, internal=bool(source.internal))):
        complain(("source", "url"), said)
    if source.format is SourceFormat.CSV:
        return
    for word in sorted(source.model_fields_set & {"delimiter", "nulls"}):
        complain(("source", word), f"`{word}` is for the format csv only")


def _check_names(names: tuple[str, ...], complain: Complain) -> None:
    """Refuse names that differ in case only: SQL engines take them for one."""
    seen: dict[str, str] = {}
    for name in names:
        if (other := seen.setdefault(name.lower(), name)) != name:
            complain(("columns", name), f"{shown(name)} differs from {shown(other)} in case only")


def _check_stored(columns: Mapping[str, ColumnEntry], complain: Complain) -> None:
    """Refuse two columns that are one in the source: a rule for one would not bind the other."""
    seen: dict[str, str] = {}
    for name, column in columns.items():
        stored = column.stored_as or name
        if (other := seen.setdefault(stored, name)) != name:
            complain(("columns", name), f"{shown(stored)} of the source is the column {shown(other)} already")


def _check_column(column: ColumnEntry, path: Path, complain: Complain) -> None:
    decimal = column.type is ColumnType.DECIMAL
    if decimal and column.decimals is None:
        complain(path, "a column of type decimal needs `decimals`: the digits after the point that count")
    if not decimal and column.decimals is not None:
        complain((*path, "decimals"), "`decimals` is for columns of type decimal only")
    if column.bounds is not None:
        _check_bounds(column, column.bounds, (*path, "bounds"), complain)
    if column.values is not None:
        _check_values(column, column.values, (*path, "values"), complain)


def _check_bounds(column: ColumnEntry, bounds: list[Decimal], path: Path, complain: Complain) -> None:
    if column.type not in _NUMBERS:
        complain(path, f"bounds are for numbers only, this column is of type {column.type}")
        return
    if bounds[0] >= bounds[1]:
        complain(path, "the lower bound must be below the upper one")
    for number, bound in enumerate(bounds):
        if not _on_grid(bound, column):
            digits = column.decimals or 0
            complain((*path, number), f"a bound of this column has at most {digits} digits after the point")


def _check_values(column: ColumnEntry, values: list[object], path: Path, complain: Complain) -> None:
    seen = set()
    for number, given in enumerate(values):
        at = (*path, number)
        try:
            value = constant_of(given, column)
        except ValueError as error:
            complain(at, str(error))
            continue
        if value in seen:
            complain(at, f"{shown(given)} is in the list already")
        seen.add(value)
        if isinstance(value, Decimal) and not _on_grid(value, column):
            complain(at, f"{shown(given)} has more digits after the point than `decimals` says")
        if isinstance(value, int | Decimal) and _beyond(value, column):
            complain(at, f"{shown(given)} is beyond the column's bounds")


def _beyond(value: int | Decimal, column: ColumnEntry) -> bool:
    return column.bounds is not None and not column.bounds[0] <= value <= column.bounds[1]


def _on_grid(value: Decimal, column: ColumnEntry) -> bool:
    scaled = value.scaleb(column.decimals or 0)
    return scaled == scaled.to_integral_value()


def _check_unit(unit: UnitEntry, parts: Parts, complain: Complain) -> None:
    by_column = (unit.column is not None, unit.rows_max is not None)
    if by_column != (unit.each_row is None,) * 2:
        complain(("unit",), "a unit is `column` with `rows_max`, or `each_row: true`: each row is one person")
        return
    rows_max = unit.rows_max or 1
    if unit.column is None:
        pass
    elif unit.column not in parts.names:
        message = f"there is no column {shown(unit.column)}{nearest(unit.column, parts.names)}"
        complain(("unit", "column"), message)
    elif (column := parts.columns.get(unit.column)) and column.type not in _UNITS:
        complain(("unit", "column"), "the column that names a person is of type text or integer")
    if unit.units_max * rows_max >= SUM_MAX:
        complain(("unit", "units_max"), "units_max x rows_max must stay below 2^62")
        return
    for name, column in parts.columns.items():
        if column.bounds is None or column.type not in _NUMBERS:
            continue
        largest = max(abs(bound) for bound in column.bounds) * 10 ** (column.decimals or 0)
        if unit.units_max * rows_max * largest >= SUM_MAX:
            complain(
                ("columns", name, "bounds"),
                "a sum could overflow: units_max x rows_max x the largest bound x 10^decimals "
                "must stay below 2^62",
            )


def _check_budgets(budgets: BudgetsEntry, complain: Complain) -> None:
    ladder = (
        ("client", budgets.client),
        ("organisation", budgets.organisation),
        ("lineage", budgets.lineage),
    )
    for unit in ("rho", "keys"):
        amounts = [(name, getattr(entry, unit)) for name, entry in ladder]
        missing = [name for name, amount in amounts if amount is None]
        if 0 < len(missing) < len(ladder):
            complain(("budgets", missing[0]), f"`{unit}` is limited at every step or at none")
        written = [(name, amount) for name, amount in amounts if amount is not None]
        for (lower, below), (upper, above) in pairwise(written):
            if below > above:
                complain(("budgets", lower, unit), f"more than the budget of the {upper}")
    for name, entry in ladder:
        if not entry.model_fields_set:
            complain(("budgets", name), "a budget limits `rho`, `keys` or both")
        if entry.rho is not None and pico_rho_down(entry.rho) == 0:
            complain(("budgets", name, "rho"), "smaller than a pico-rho")

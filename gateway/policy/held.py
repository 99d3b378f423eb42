"""Hold a document against a survey of its source: for its steward, before it is activated.

SECURITY: what it says may be facts of the data (``terms/extent.py``), such as that a bound is the greatest
value. So it is said to whoever runs ``check --data`` beside the data, and nowhere else. Pure.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from gateway.policy.doubts import digits_of
from gateway.policy.faults import nearest
from gateway.policy.lookup import TRIES_AT_LEAST
from gateway.policy.read import Path
from gateway.policy.rules import Rules
from gateway.terms.dataset import Column, Dataset
from gateway.terms.extent import ColumnExtent, LookupExtent, SourceExtent
from gateway.terms.permit import Lookup

TIGHT: Final = Decimal("0.01")
"""A bound that is nearer to the data than this part of the data's own span looks read off it."""
DIGITS_EQUAL: Final = 1
DIGITS_TIGHT: Final = 2
"""Digits up to which a bound is so round that meeting the data is no wonder: 0, 100, 5,000,000."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is other in the source than the document says, or suspiciously the same."""

    path: Path
    message: str
    is_needed: bool = False
    """It cannot be served so."""


def held(rules: Rules, extent: SourceExtent) -> Iterator[Finding]:
    """Yield what a steward should look at."""
    dataset = rules.dataset
    for name in extent.unnamed:
        said = f"the source has `{name}`, which the document does not name: it is dropped"
        yield Finding(("columns",), said)
    for name in extent.absent:
        column = dataset.column(name)
        source_name = column.source_name if column else name
        said = f"the source has no column `{source_name}`{nearest(source_name, extent.unnamed)}"
        yield Finding(("columns", name), said, is_needed=True)
    for name in extent.unread:
        yield Finding(("columns", name), f"`{name}` is stored as a type that is never read", is_needed=True)
    for column in dataset.columns:
        if found := extent.columns.get(column.name):
            yield from _of_cells(column, found)
            yield from _of_bounds(column, found)
    yield from _of_persons(dataset, extent)
    for number, permit in enumerate(rules.permits):
        if permit.lookup is not None and (by := extent.lookups.get(permit.lookup)):
            yield from _of_lookup(permit.lookup, by, dataset, ("permits", number))


def _of_cells(column: Column, found: ColumnExtent) -> Iterator[Finding]:
    path: Path = ("columns", column.name)
    of = f"of {found.cells:,} cells of `{column.name}`"
    if found.misfits:
        yield Finding(path, f"{found.misfits:,} {of} are no {column.type} and become null")
    if found.beyond:
        yield Finding(
            (*path, "bounds"), f"{found.beyond:,} {of} lie beyond the bounds and count as the nearest one"
        )
    if found.unlisted:
        yield Finding(
            (*path, "values"), f"{found.unlisted:,} {of} are not in the public list: no group has them"
        )


def _of_bounds(column: Column, found: ColumnExtent) -> Iterator[Finding]:
    if column.bounds is None or found.least is None or found.most is None:
        return
    span = found.most - found.least
    for place, (bound, end, word, gap) in enumerate(
        (
            (column.bounds[0], found.least, "least", found.least - column.bounds[0]),
            (column.bounds[1], found.most, "greatest", column.bounds[1] - found.most),
        )
    ):
        path: Path = ("columns", column.name, "bounds", place)
        if bound in column.values:
            continue  # the public list says as much
        if bound == end and digits_of(bound) > DIGITS_EQUAL:
            said = f"`{bound}` is the {word} value of the source"
        elif 0 < gap <= span * TIGHT and digits_of(bound) > DIGITS_TIGHT:
            said = f"`{bound}` is hardly beyond the {word} value of the source"
        else:
            continue
        yield Finding(path, f"{said}: it looks read off the data and tells of one person; take a public one")


def _of_persons(dataset: Dataset, extent: SourceExtent) -> Iterator[Finding]:
    unit = dataset.unit
    if unit is None:
        return
    if extent.persons is not None and extent.persons > unit.units_max:
        said = f"the source holds {extent.persons:,} persons, more than units_max says there can be"
        yield Finding(("unit", "units_max"), said)
    if extent.left_out:
        said = f"{extent.left_out:,} rows are more than rows_max of their person: no statistic counts them"
        yield Finding(("unit", "rows_max"), said)


def _of_lookup(lookup: Lookup, found: LookupExtent, dataset: Dataset, path: Path) -> Iterator[Finding]:
    """Yield what makes a key that leads to more than one person, or a match that is guessed."""
    for name, values in found.values.items():
        if values < TRIES_AT_LEAST:
            said = f"the source has {values:,} values of `{name}`, and so few are soon tried"
            yield Finding((*path, "lookup"), said)
    if found.rows_most > lookup.rows_max:
        said = f"one `{lookup.key}` finds up to {found.rows_most:,} rows of the source: more than are shown"
        yield Finding((*path, "limits", "rows_per_key"), said)
    if dataset.unit is not None and found.rows_most > dataset.unit.rows_max:
        said = f"one `{lookup.key}` finds up to {found.rows_most:,} rows of the source, more than rows_max"
        yield Finding((*path, "lookup", "key"), f"{said} of a person: it is not one person's")

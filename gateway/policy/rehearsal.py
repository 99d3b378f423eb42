"""Sample rows of a case: which of them a permit's row filter lets through, and how they come out masked.

The rows are invented. The real filter and the real masks run on them: ``Rehearsal`` is a port, which
``gateway/engines/rehearsal.py`` fills. A row names the columns that it has a value in. ``gives`` has the
rows that pass, in their order, each with the columns that leave with a value; pseudonyms are left out of
it, since nobody can write one down.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Protocol

from gateway.policy.conditions import Complain, constant_of
from gateway.policy.faults import nearest, shown
from gateway.policy.read import Path
from gateway.policy.rules import PermitRule, Rules
from gateway.terms.dataset import Column, Dataset
from gateway.terms.permit import Permit
from gateway.terms.predicate import AllOf, Literal, Predicate
from gateway.terms.treatment import Tokenise

Row = Mapping[str, Literal]
Written = Sequence[Mapping[str, object]]


class Rehearsal(Protocol):
    """What tries rows."""

    def selected(self, rows: Sequence[Row], predicate: Predicate, dataset: Dataset) -> list[bool]:
        """Return for each row whether a condition selects it."""

    def masked(self, rows: Sequence[Row], permit: Permit) -> list[Row]:
        """Return what leaves of rows, without what is null."""


def check_rows(written: Written, path: Path, dataset: Dataset, complain: Complain) -> None:
    """Report cells that no row of the dataset could have."""
    names = [column.name for column in dataset.columns]
    for number, row in enumerate(written):
        for name, given in row.items():
            column = dataset.column(name)
            try:
                if column is None:
                    complain((*path, number, name), f"there is no column {shown(name)}{nearest(name, names)}")
                elif not _fits(constant_of(given, column), column):
                    complain((*path, number, name), f"at most {column.decimals} digits after the point here")
            except ValueError as error:
                complain((*path, number, name), str(error))


def _fits(value: Literal, column: Column) -> bool:
    if not isinstance(value, Decimal):
        return True
    scaled = value.scaleb(column.decimals)
    return scaled == scaled.to_integral_value()


def rows_of(written: Written, dataset: Dataset) -> list[Row]:
    """Return checked rows in the types of their columns."""
    return [
        {name: constant_of(given, column) for name, given in row.items() if (column := dataset.column(name))}
        for row in written
    ]


def difference(rows: Written, gives: Written, permit: Permit, rehearsal: Rehearsal) -> str:
    """Return in words what is other than expected of the rows; empty: nothing."""
    tried, expected = rows_of(rows, permit.dataset), rows_of(gives, permit.dataset)
    passing = rehearsal.selected(tried, permit.rows, permit.dataset)
    numbers = [number for number, passes in enumerate(passing, 1) if passes]
    if len(numbers) != len(expected):
        which = ", ".join(map(str, numbers)) or "none"
        return f"`gives` has {len(expected)} rows; of `rows` there pass: {which}"
    masked = rehearsal.masked([tried[number - 1] for number in numbers], permit)
    tokens = {name for name, treatment in permit.columns if isinstance(treatment, Tokenise)}
    for number, given, wanted in zip(numbers, masked, expected, strict=True):
        for name in sorted({*given, *wanted} - tokens):
            if given.get(name) != wanted.get(name):
                sides = [str(side.get(name, "nothing")) for side in (wanted, given)]
                return f"row {number}, `{name}`: expected {sides[0]}, it comes out as {sides[1]}"
        if named := sorted(tokens & wanted.keys()):
            return f"row {number}, `{named[0]}`: a pseudonym cannot be written down, leave it out"
    return ""


def unfiltered(
    tried: Mapping[str, Sequence[Row]], rules: Rules, rehearsal: Rehearsal
) -> Iterator[tuple[Path, str]]:
    """Yield the row filters of which no case shows that they let a row through, and alone stop another.

    ``tried`` are the rows of the cases that each permit, by its id, was tried with.
    """
    for number, permit in enumerate(rules.permits):
        rows = tried.get(permit.id, ())
        conditions = _conditions(permit)
        truths = [rehearsal.selected(rows, each, rules.dataset) for each in conditions]
        by_row = list(zip(*truths, strict=True))
        if conditions and not any(all(row) for row in by_row):
            yield ("permits", number, "rows"), f"no case has a row that `{permit.id}` lets through"
        for place in range(len(conditions)):
            alone = [at != place for at in range(len(conditions))]
            if list(alone) not in [list(row) for row in by_row]:
                said = f"no case has a row that `{permit.id}` stops by this condition alone"
                yield ("permits", number, "rows", place), said


def _conditions(permit: PermitRule) -> tuple[Predicate, ...]:
    """Return the conditions of a filter as they are written, one an entry."""
    return permit.rows.parts if isinstance(permit.rows, AllOf) else (permit.rows,)

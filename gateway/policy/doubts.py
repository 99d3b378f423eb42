"""What a finished document may have wrong although everything fits: doubts for its steward, and no faults.

Bounds that look read off the data, a class below the one that the law's numbers ask for, a permit that
forbids leave nothing of. Pure, and on the document alone.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from gateway.policy.check_data import Parts
from gateway.policy.document import AudienceEntry, ForbidEntry, PermitEntry
from gateway.policy.read import Path
from gateway.terms.dataset import Importance, Personal, Sharing
from gateway.terms.query import Action

ROUND_DIGITS: Final = 3
"""Public knowledge comes in round numbers; a bound of more digits than that was probably measured."""
YEARS: Final = 9999
"""Up to here four digits may be a year."""
_LEAST_UNITS: Final = {
    Personal.BASIC: ((1_000_000, Importance.CORE), (100_000, Importance.IMPORTANT)),
    Personal.SENSITIVE: ((100_000, Importance.CORE), (10_000, Importance.IMPORTANT)),
}
"""Undisclosed data of so many citizens is that important (Decision 20/2025/QD-TTg)."""


def doubts(parts: Parts) -> Iterator[tuple[Path, str]]:
    """Yield each doubt with its place."""
    yield from _of_bounds(parts)
    yield from _of_importance(parts)
    yield from _of_keys(parts)
    for number, permit in parts.permits.items():
        if _is_forbidden(permit, list(parts.forbids.values())):
            yield ("permits", number, "id"), f"`{permit.id}` gives nothing: forbids take all of it"
        elif set(permit.columns.values()) == {"drop"}:
            yield ("permits", number, "columns"), f"`{permit.id}` gives nothing: it drops every column"


def _of_bounds(parts: Parts) -> Iterator[tuple[Path, str]]:
    for name, column in parts.columns.items():
        for place, bound in enumerate(column.bounds or ()):
            if digits_of(bound) > ROUND_DIGITS and (abs(bound) > YEARS or bound != bound.to_integral_value()):
                said = f"`{bound}` is not round: a bound read off the data tells of one person"
                yield ("columns", name, "bounds", place), f"{said}; take one from public knowledge"


def digits_of(bound: Decimal) -> int:
    """Return how many digits are not zeros at an end."""
    return len("".join(map(str, bound.as_tuple().digits)).strip("0"))


def _of_importance(parts: Parts) -> Iterator[tuple[Path, str]]:
    given, unit = parts.classification, parts.unit
    if given is None or unit is None or given.sharing is Sharing.OPEN:
        return
    ranks = list(Importance)
    for units, importance in _LEAST_UNITS.get(given.personal, ()):
        if unit.units_max >= units:
            if ranks.index(given.importance) < ranks.index(importance):
                said = f"{given.personal} data of {units:,} people or more counts as {importance}"
                yield ("classification", "importance"), f"{said} (Decision 20/2025/QD-TTg)"
            return


def _of_keys(parts: Parts) -> Iterator[tuple[Path, str]]:
    keys, unit = parts.budgets.organisation.keys if parts.budgets else None, parts.unit
    if keys is None or unit is None:
        return
    rows = max((permit.limits.rows_per_key or 0 for permit in parts.permits.values()), default=0)
    if keys >= unit.units_max:
        said = f"one organisation may try {keys:,} keys on {unit.units_max:,} people at most"
        yield ("budgets", "organisation", "keys"), f"{said}: it could look up everybody"
    elif keys * rows >= unit.units_max * (unit.rows_max or 1):
        said = f"{keys:,} keys of {rows:,} rows are no fewer than the rows of all people"
        yield ("budgets", "organisation", "keys"), f"{said}: one organisation could read everything"


def _is_forbidden(permit: PermitEntry, forbids: list[ForbidEntry]) -> bool:
    """Return whether each request that the permit matches meets forbids that leave nothing of it."""
    shown = {name for name, treatment in permit.columns.items() if treatment != "drop"}
    for action in permit.may:
        for purpose in permit.purposes:
            covering = [forbid for forbid in forbids if _covers(forbid, permit, action, purpose)]
            taken = {name for forbid in covering for name in forbid.columns or ()}
            if shown - taken and all(forbid.columns for forbid in covering):
                return False
    return True


def _covers(forbid: ForbidEntry, permit: PermitEntry, action: Action, purpose: str) -> bool:
    named = forbid.to or AudienceEntry()
    pairs = (
        (named.org_class, permit.to.org_class),
        (named.agreements, permit.to.agreements),
        (named.countries, permit.to.countries),
        (forbid.may, [action]),
        (forbid.purposes, [purpose]),
    )
    return all(taken is None or (given and set(given) <= set(taken)) for taken, given in pairs)

"""What must fit together in a permit's lookup, and what leads from a key to pseudonyms.

A key is taken for guessable unless nothing says so and the owner says it is random: numbers of people are
made by schemes that everybody knows, and whoever can write them down one after the other reads the register.
So a guessable key needs another attribute that matches, and one that is not guessed in a few tries. What
has few values identifies nobody, as key or beside it: a sex, an age, a ward.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from gateway.policy.check_data import Parts
from gateway.policy.conditions import Complain
from gateway.policy.cues import Kind, cues_of_names, says_few_values
from gateway.policy.document import ColumnEntry, PermitEntry
from gateway.policy.document_lookup import LookupEntry
from gateway.policy.faults import nearest, shown
from gateway.policy.read import Path
from gateway.policy.rules import PermitRule
from gateway.terms.dataset import Column, ColumnType, Dataset
from gateway.terms.identifiers import ColumnName
from gateway.terms.permit import Lookup
from gateway.terms.query import Action
from gateway.terms.treatment import Tokenise

KEY_TYPES: Final = frozenset({ColumnType.TEXT, ColumnType.INTEGER})
_WITHOUT_BOUNDS: Final = frozenset({ColumnType.TEXT, ColumnType.DATE})
FOUND_BY: Final = "_key"
"""What a reply calls the number of the key that found a row (``steps/protect.py``)."""
TRIES_AT_LEAST: Final = 1000
"""Values that an attribute must have at least to say that a firm knows whom it asks about."""
_LIMITS: Final = ("keys_per_request", "rows_per_key")


def check_lookup(permit: PermitEntry, path: Path, parts: Parts, complain: Complain) -> None:
    """Report what does not fit in the lookup of a permit."""
    if Action.LOOKUP not in permit.may:
        if permit.lookup is not None:
            complain((*path, "lookup"), "`lookup` is for permits to lookup only")
        for limit in _LIMITS:
            if getattr(permit.limits, limit) is not None:
                complain((*path, "limits", limit), f"`{limit}` is for permits to lookup only")
        return
    if permit.lookup is None:
        complain(path, "a permit to lookup needs `lookup`: the key, and what must match beside it")
    else:
        _check_columns(permit.lookup, (*path, "lookup"), parts, complain)
    if FOUND_BY in permit.columns:
        complain((*path, "columns", FOUND_BY), f"in a lookup's rows `{FOUND_BY}` is which key found them")
    if permit.assurance.unattended is not None:
        complain((*path, "assurance", "unattended"), "nobody's keys are tried while nobody is there")
    if "unit" not in parts.written:
        complain((*path, "may"), "a permit to lookup needs `unit` in the document: whose rows are found")
    _check_limits(permit, path, parts, complain)


def _check_limits(permit: PermitEntry, path: Path, parts: Parts, complain: Complain) -> None:
    for limit in _LIMITS:
        if getattr(permit.limits, limit) is None:
            complain((*path, "limits"), f"a permit to lookup needs `{limit}`")
    most = parts.budgets.client.keys if parts.budgets else None
    if "budgets" not in parts.written or (parts.budgets and most is None):
        complain((*path, "may"), "a permit to lookup needs `keys` in the budgets: how many may ever be tried")
    elif most is not None and (permit.limits.keys_per_request or 0) > most:
        complain((*path, "limits", "keys_per_request"), "more than the budget of a client")


def _check_columns(entry: LookupEntry, path: Path, parts: Parts, complain: Complain) -> None:
    matching = entry.matching or []
    for at, name in [
        ((*path, "key"), entry.key),
        *(((*path, "matching", n), m) for n, m in enumerate(matching)),
    ]:
        if name not in parts.names:
            complain(at, f"there is no column {shown(name)}{nearest(name, parts.names)}")
    if len({entry.key, *matching}) < 1 + len(matching):
        complain(path, "the key and what must match beside it are different columns")
    key = parts.columns.get(entry.key)
    if key is None:
        return
    if key.type not in KEY_TYPES:
        complain((*path, "key"), "a key is a column of type text or integer")
    elif key.values is not None:
        complain((*path, "key"), f"{shown(entry.key)} has a public list of values: everybody has such a key")
    elif not _tells(key):
        said = f"{shown(entry.key)} may have less than {TRIES_AT_LEAST:,} values: a number that is a key has"
        complain((*path, "key"), f"{said} `bounds` that are wide enough, or is declared `text`")
    telling = [name for name in matching if (column := parts.columns.get(name)) and _tells(column)]
    if (matching or is_guessable(entry.key, key)) and not telling:
        complain(
            path,
            f"{shown(entry.key)} can be guessed, or written down one after the other: name in `matching` "
            "what only who knows the person knows (a date of birth, a name; a number has wide `bounds`)",
        )


def is_guessable(name: str, column: ColumnEntry) -> bool:
    """Return whether keys of a column follow a scheme; of others the owner says that they are random."""
    cues = cues_of_names(name, column.stored_as)
    return column.type is not ColumnType.TEXT or any(cue.kind is not Kind.RECORD for cue in cues)


def few_valued(lookup: Lookup, dataset: Dataset) -> Iterator[ColumnName]:
    """Yield columns that a lookup counts on to tell one person, and whose names say that they do not."""
    columns = {column.name: column for column in dataset.columns}
    telling = [name for name in lookup.matching if _tells(columns[name])]
    few = {name for name in (lookup.key, *telling) if says_few_values(name, columns[name].stored_as)}
    if lookup.key in few:
        yield lookup.key
    if few.issuperset(telling):
        yield from telling


def _tells(column: ColumnEntry | Column) -> bool:
    """Return whether nothing says that an attribute has so few values that all can be tried."""
    if column.type is ColumnType.BOOLEAN or column.values:
        return False
    if column.bounds is None:
        return column.type in _WITHOUT_BOUNDS
    return (column.bounds[1] - column.bounds[0]) * Decimal(10) ** (column.decimals or 0) >= TRIES_AT_LEAST


def lookup_of(permit: PermitEntry) -> Lookup | None:
    """Return a checked lookup in one spelling."""
    if permit.lookup is None:
        return None
    return Lookup(
        key=ColumnName(permit.lookup.key),
        matching=tuple(sorted(map(ColumnName, permit.lookup.matching or ()))),
        keys_max=permit.limits.keys_per_request or 0,
        rows_max=permit.limits.rows_per_key or 0,
    )


def relinkable(one: PermitRule, other: PermitRule) -> Iterator[str]:
    """Yield how an organisation that may do both gets from a key that it holds to somebody's pseudonyms.

    Of whatever column they are: what stands beside them in the one reply finds them in the other.
    """
    for asking, showing in dict.fromkeys(((one, other), (other, one))):
        if asking.lookup is not None and (name := next(iter(pseudonyms(showing)), None)):
            yield (
                f"one organisation may look up by `{asking.lookup.key}` itself (`{asking.id}`) and gets "
                f"pseudonyms of `{name}` (`{showing.id}`), which lead back to it"
            )
            return


def pseudonyms(permit: PermitRule) -> dict[ColumnName, str]:
    """Return the columns that leave as pseudonyms, each with the domain of these."""
    return {name: how.domain for name, how in permit.columns if isinstance(how, Tokenise)}

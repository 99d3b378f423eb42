"""What must fit together in a permit's lookup, and what leads from a key to pseudonyms.

A key is taken for guessable unless nothing says so and the owner says it is random: numbers of people are
made by schemes that everybody knows, and whoever can write them down one after the other reads the register.
So a guessable key needs another attribute that matches, and one that is not guessed in a few tries.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from gateway.policy.check_data import Parts
from gateway.policy.conditions import Complain
from gateway.policy.cues import Kind, cue_of_name
from gateway.policy.document import ColumnEntry, PermitEntry
from gateway.policy.document_lookup import LookupEntry
from gateway.policy.faults import nearest, shown
from gateway.policy.read import Path
from gateway.policy.rules import PermitRule
from gateway.terms.dataset import ColumnType
from gateway.terms.identifiers import ColumnName
from gateway.terms.permit import Lookup
from gateway.terms.query import Action
from gateway.terms.treatment import Tokenise

KEY_TYPES: Final = frozenset({ColumnType.TEXT, ColumnType.INTEGER})
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
    if key.values is not None:
        complain((*path, "key"), f"{shown(entry.key)} has a public list of values: everybody has such a key")
    telling = [name for name in matching if (column := parts.columns.get(name)) and _tells(column)]
    if (matching or is_guessable(entry.key, key)) and not telling:
        complain(
            path,
            f"{shown(entry.key)} can be guessed, or written down one after the other: name in `matching` "
            "what only who knows the person knows (a date of birth, a name; no column of a few values)",
        )


def is_guessable(name: str, column: ColumnEntry) -> bool:
    """Return whether keys of a column follow a scheme; of others the owner says that they are random."""
    cue = cue_of_name(column.stored_as or name) or cue_of_name(name)
    return column.type is not ColumnType.TEXT or (cue is not None and cue.kind is not Kind.RECORD)


def _tells(column: ColumnEntry) -> bool:
    """Return whether an attribute has too many values to try all."""
    if column.type is ColumnType.BOOLEAN or column.values is not None:
        return False
    if column.bounds is None:
        return True
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
    """Yield how an organisation that may do both gets from a key that it holds to somebody's pseudonyms."""
    for asking, showing in ((one, one), (one, other), (other, one), (other, other)):
        if asking.lookup is None:
            continue
        domains = {how.domain for _, how in asking.columns if isinstance(how, Tokenise)}
        for name, how in showing.columns:
            joins = isinstance(how, Tokenise) and how.domain in domains and showing != asking
            if isinstance(how, Tokenise) and (joins or name in asking.lookup.columns):
                yield (
                    f"one organisation may look up by `{asking.lookup.key}` itself (`{asking.id}`) and gets "
                    f"pseudonyms of `{name}` (`{showing.id}`), which lead back to it"
                )
                return

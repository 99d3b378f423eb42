"""What must fit together where a source is an HTTP interface: its address, and the paths a permit opens.

Order and equality are for columns that the same permit keeps: on any other, an upstream's parameter
would be an oracle for what a mask hides. So such a document does not load. Pseudonyms and parameters
that a firm sets go together only where the owner acknowledges it (docs/decisions/0007).
"""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

from gateway.policy.conditions import Complain
from gateway.policy.document import ColumnEntry, PermitEntry, SourceEntry
from gateway.policy.document_paths import (
    CursorEntry,
    EqualsEntry,
    FixedEntry,
    OrderEntry,
    ParameterEntry,
    PathEntry,
    PositionEntry,
    SizeEntry,
)
from gateway.policy.faults import nearest, shown
from gateway.policy.read import Path
from gateway.policy.rules import PermitRule
from gateway.terms.dataset import SourceFormat
from gateway.terms.identifiers import ColumnName
from gateway.terms.query import Action
from gateway.terms.treatment import Tokenise
from gateway.terms.upstream import Binding, Cursor, Equals, Fixed, Order, Position, Size, UpstreamPath

PORT_MAX: Final = 65535
ONCE: Final = (("size",), ("page", "offset", "cursor"))
"""Two parameters of one of these groups would say different things of one page."""


def address_fault(url: str, *, internal: bool) -> str | None:
    """Return what is wrong with an upstream's address, as far as the document alone tells.

    ``gateway/engines/address.py`` judges what a name resolves to, each time.
    """
    parts = urlsplit(url)
    try:
        port, host = parts.port or 0, parts.hostname or ""
    except ValueError:
        return "the host or the port is not written as one"
    if port > PORT_MAX:
        return f"a port is at most {PORT_MAX}"
    loopback = host == "localhost"
    if host[:1].isdigit() or ":" in host:
        try:
            loopback = ipaddress.ip_address(host).is_loopback
        except ValueError:
            return f"{shown(host)} is no address"
    if parts.scheme == "http" and not loopback and not internal:
        return "http:// is for this machine: use https://, or `internal: true` in the agency's own network"
    return None


def check_paths(
    permit: PermitEntry,
    path: Path,
    source: SourceEntry | None,
    columns: Mapping[str, ColumnEntry],
    complain: Complain,
) -> None:
    """Report what does not fit in the paths of a permit."""
    proxies = Action.PROXY in permit.may
    if source is not None and source.format is SourceFormat.HTTP and set(permit.may) != {Action.PROXY}:
        complain((*path, "may"), "over a source of the format http a permit is for proxy only")
    if source is not None and source.format is not SourceFormat.HTTP and proxies:
        complain((*path, "may"), "a permit to proxy needs a source of the format http")
    if proxies and permit.paths is None:
        complain(path, "a permit to proxy needs `paths`: which ones of the upstream may be asked for")
    if permit.paths is not None and not proxies:
        complain((*path, "paths"), "paths are for permits to proxy only")
    seen: set[str] = set()
    for number, entry in enumerate(permit.paths or ()):
        at = (*path, "paths", number)
        if entry.path in seen:
            complain((*at, "path"), f"{shown(entry.path)} is in the list already")
        seen.add(entry.path)
        _check_parameters(entry, (*at, "parameters"), permit, columns, complain)


def _check_parameters(
    entry: PathEntry, path: Path, permit: PermitEntry, columns: Mapping[str, ColumnEntry], complain: Complain
) -> None:
    for group in ONCE:
        bound = [name for name, binding in entry.parameters.items() if binding.kind in group]
        for name in bound[1:]:
            complain((*path, name), f"{shown(bound[0])} says already which rows of the list are meant")
    for name, binding in entry.parameters.items():
        at = (*path, name)
        match binding:
            case SizeEntry():
                if permit.limits.rows is not None and binding.at_most > permit.limits.rows:
                    complain((*at, "at_most"), "more than the `rows` of the permit's limits")
            case OrderEntry():
                for number, column in enumerate(binding.columns):
                    _check_kept(column, (*at, "columns", number), permit, columns, complain)
            case EqualsEntry():
                _check_kept(binding.column, (*at, "column"), permit, columns, complain)
            case PositionEntry() | CursorEntry() | FixedEntry():
                pass


def _check_kept(
    name: str, path: Path, permit: PermitEntry, columns: Mapping[str, ColumnEntry], complain: Complain
) -> None:
    if name not in permit.columns:
        known = [
            kept for kept, treatment in permit.columns.items() if treatment == "keep" and kept in columns
        ]
        complain(path, f"the permit has no column {shown(name)}{nearest(name, known)}")
    elif permit.columns[name] != "keep":
        complain(
            path,
            f"{shown(name)} is not kept as it is: a parameter on it would tell what the treatment hides",
        )


def linkable(permits: tuple[PermitRule, ...]) -> Iterator[tuple[Path, str]]:
    """Yield the permits under which two firms could line up their pseudonyms (promise P8).

    Which rows are on a page is the upstream's. Whoever cuts its list in small steps, by size, page, order
    or value, learns each row's place in it, and that place is the same for every firm.
    """
    for number, permit in enumerate(permits):
        tokenised = [name for name, treatment in permit.columns if isinstance(treatment, Tokenise)]
        settable = [
            name
            for opened in permit.paths
            for name, binding in opened.parameters
            if not isinstance(binding, Fixed)
        ]
        if tokenised and settable:
            said = f"two firms that set {shown(settable[0])} alike could line up the pseudonyms of "
            said += f"{shown(tokenised[0])}, row by row: bind fixed parameters only, or tokenise nothing"
            yield ("permits", number, "paths"), said


def paths_of(entries: list[PathEntry] | None) -> tuple[UpstreamPath, ...]:
    """Return checked paths in one spelling: sorted by name, and so are their parameters."""
    return tuple(sorted((_path(entry) for entry in entries or ()), key=lambda path: path.path))


def _path(entry: PathEntry) -> UpstreamPath:
    parameters = tuple((name, _binding(binding)) for name, binding in sorted(entry.parameters.items()))
    return UpstreamPath(path=entry.path, rows_pointer=entry.rows, parameters=parameters)


def _binding(entry: ParameterEntry) -> Binding:
    match entry:
        case SizeEntry():
            return Size(entry.at_most)
        case PositionEntry():
            return Position(entry.at_most)
        case CursorEntry():
            return Cursor(entry.found_at)
        case OrderEntry():
            return Order(tuple(sorted(set(map(ColumnName, entry.columns)))))
        case EqualsEntry():
            return Equals(ColumnName(entry.column))
        case FixedEntry():
            return Fixed(entry.value)

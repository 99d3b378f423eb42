"""Look at an HTTP API that an operator wants to serve: one page's names, types and shapes, never values.

One GET to the address that the operator typed, under the guards of ``upstream.py``: the named host only,
no redirect, no credential, bounded bytes and seconds, strict JSON. What went wrong is said to the operator
in words that quote nothing of the reply but names of members and its content type.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver

from gateway.engines.address import AddressRefused
from gateway.engines.document import Number, Row, at, read
from gateway.engines.inspect import ROWS_EXAMINED, are_data
from gateway.engines.shapes import column_facts, unread
from gateway.engines.source import shown
from gateway.engines.upstream import BYTES_MAX, body_of, session_to
from gateway.errors import EngineFailed
from gateway.terms.dataset import Source, SourceFormat
from gateway.terms.identifiers import LineageId
from gateway.terms.source_facts import ColumnFacts, SourceFacts

LOOK_S: Final = 15.0
DEPTH_MAX: Final = 4
"""Members that a pointer to the rows may name."""
CANDIDATES_MAX: Final = 10
_TYPE: Final = re.compile(r"[A-Za-z0-9.+/-]{1,64}")
_REDIRECTS: Final = range(300, 400)
_CREDENTIALS: Final = (401, 403, 407)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An address as a document splits it."""

    origin: str
    path: str
    parameters: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """The last part of the path, without its ending."""
        return self.path.rpartition("/")[2].partition(".")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What one page of an API looks like."""

    facts: SourceFacts
    rows_pointer: str


def address_of(url: str) -> Address:
    """Return the parts of an address; whether they can stand in a document is judged there."""
    parts = urlsplit(url)
    pairs = tuple(parse_qsl(parts.query, keep_blank_values=True))
    return Address(origin=f"{parts.scheme}://{parts.netloc}", path=parts.path, parameters=pairs)


async def look(
    address: Address,
    *,
    internal: bool,
    rows_pointer: str | None = None,
    deadline_s: float = LOOK_S,
    resolver: AbstractResolver | None = None,
) -> Page:
    """Return what one page looks like; ``resolver`` stands in for the system's.

    Raises:
        EngineFailed: No page came, or it has no rows that could be served; the sentence says why.

    """
    source = Source(
        path=address.origin, format=SourceFormat.HTTP, lineage=LineageId("none"), internal=internal
    )
    async with session_to(source, deadline_s=deadline_s, resolver=resolver) as session:
        document = read(await _fetched(address, session))
    pointer = _only(document) if rows_pointer is None else rows_pointer
    rows = at(document, pointer)
    if not isinstance(rows, list) or not rows or not all(type(row) is dict for row in rows):
        raise EngineFailed(f"there is no array of objects at `{shown(pointer)}` of the reply")
    names = tuple(dict.fromkeys(name for row in rows for name in row))
    if not names or are_data(names):
        raise EngineFailed("the members of a row are not named like columns: names would tell of the data")
    examined = rows[:ROWS_EXAMINED]
    facts = SourceFacts(
        format=SourceFormat.HTTP,
        delimiter=",",
        nulls=(),
        has_mark=False,
        rows=len(rows),
        rows_examined=len(examined),
        columns=tuple(_column(name, examined) for name in names),
    )
    return Page(facts=facts, rows_pointer=pointer)


async def _fetched(address: Address, session: aiohttp.ClientSession) -> bytes:
    host, url = urlsplit(address.origin).netloc, address.origin + address.path
    try:
        async with session.get(url, params=address.parameters, allow_redirects=False) as answer:
            if said := _fault(answer):
                raise EngineFailed(f"{host} {said}")
            return await body_of(answer, bytes_max=BYTES_MAX)
    except TimeoutError:
        raise EngineFailed(f"{host} did not answer in time") from None
    except aiohttp.ClientConnectorDNSError as error:
        if isinstance(error.os_error, AddressRefused):
            raise EngineFailed(f"{host} leads to an address that is not public: {_PRIVATE}") from None
        raise EngineFailed(f"there is no host of the name {host}") from None
    except aiohttp.ClientConnectorError:
        raise EngineFailed(f"nothing answers at {host}") from None
    except (aiohttp.ClientError, OSError, ValueError):
        # SECURITY: not chained, an HTTP error may quote what the upstream sent.
        raise EngineFailed(f"{host} does not answer as HTTP says") from None


_PRIVATE: Final = "if it is in the agency's own network, say `--internal`; this machine is `127.0.0.1`"


def _fault(answer: aiohttp.ClientResponse) -> str | None:
    """Return what is wrong with an answer before its body is read."""
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip()
    if answer.status in _REDIRECTS:
        return "redirects, which is never followed: give the address that it leads to"
    if answer.status in _CREDENTIALS:
        return f"wants credentials (status {answer.status}), and the gateway sends none"
    if answer.status != 200:  # noqa: PLR2004  nothing else has rows
        return f"answered with status {answer.status}"
    if "json" not in kind.lower():
        called = f"`{kind}`" if _TYPE.fullmatch(kind) else "no content type"
        return f"answered with {called}, not JSON: an API's address for programs is wanted"
    return None


def _only(document: object) -> str:
    """Return where the one array is that may be rows."""
    arrays = list(_arrays(document, "", DEPTH_MAX))
    kinds = {pointer: {type(row) for row in rows} for pointer, rows in arrays}
    tables = [pointer for pointer, kind in kinds.items() if kind in ({dict}, {list})]
    if len(tables) > 1:
        named = ", ".join(f"`{shown(pointer)}`" for pointer in tables[:CANDIDATES_MAX])
        raise EngineFailed(f"the reply has several arrays that may be rows, {named}: choose with `--rows`")
    if not tables:
        raise EngineFailed("the reply has no array with rows in it")
    if kinds[tables[0]] == {list}:
        raise EngineFailed(
            f"the rows at `{shown(tables[0])}` are lists without names: ask the API for objects"
        )
    return tables[0]


def _arrays(value: object, pointer: str, depth: int) -> Iterator[tuple[str, list[object]]]:
    if isinstance(value, list):
        yield pointer, value
    elif isinstance(value, dict) and depth:
        for name, member in value.items():
            yield from _arrays(member, f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}", depth - 1)


def _column(name: str, rows: Sequence[Row]) -> ColumnFacts:
    cells = [row.get(name) for row in rows]
    if any(isinstance(cell, dict | list) for cell in cells):
        return unread(name)
    return column_facts(name, [_text(cell) for cell in cells])


def _text(cell: object) -> str | None:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return str(cell) if isinstance(cell, str | int | Number) else None

"""An upstream's reply as typed columns.

``strictly_read`` says what a reply means and ``typed_cell`` what its values are. Most replies are as their
document declares them: every row has every declared column, with a value of its type or null, and nothing
else. Such a one is read in one pass by a decoder made for these columns: no dictionary a row, no value looked
at twice. Any other reply is read as any JSON, and typed a column at a time.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Annotated, Any, Final

import msgspec
from msgspec.structs import astuple

from gateway.engines.cells import typed_column, typed_columns
from gateway.engines.document import (
    Number,
    names_at_most,
    names_of,
    read,
    require_few_parts,
    rows_at,
    tokens_of,
)
from gateway.terms.dataset import INTEGER_MAX, INTEGER_MIN, Column, ColumnType
from gateway.terms.frame import Columns
from gateway.terms.identifiers import ColumnName

SHAPES_MAX: Final = 1024
"""Lists of columns for which a decoder is kept."""

_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ANYTHING: Final = msgspec.json.Decoder(float_hook=Number)
_TYPES: Final[dict[ColumnType, object]] = {
    ColumnType.TEXT: str | None,
    ColumnType.INTEGER: Annotated[int, msgspec.Meta(ge=INTEGER_MIN, le=INTEGER_MAX)] | None,
    ColumnType.DECIMAL: object,  # its digits are put on the column's grid afterwards
    ColumnType.DATE: date | None,
    ColumnType.BOOLEAN: bool | None,
}
"""What of a column's type the decoder takes; all of it ``typed_cell`` takes too, as the same value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedReply:
    """What an upstream answered."""

    count: int
    """Rows."""
    columns: Columns = field(repr=False)
    document: object = field(repr=False)
    """The reply's document; the rows may be missing in it."""
    unknown: Counter[str]
    """Members of rows that no column declares, each with the number of rows that have it."""


def typed_reply(
    body: bytes, pointer: str, columns: tuple[Column, ...], needed: Collection[ColumnName], *, rows_max: int
) -> TypedReply:
    """Return the needed ones of the declared columns of the rows at a pointer; others may be there too.

    Raises:
        EngineFailed: The body has no one meaning, too many parts, or no such rows at the pointer.

    """
    require_few_parts(body)
    found = _as_declared(body, pointer, columns)
    if found is not None and found.count <= rows_max:
        return found
    document = read(body)
    rows = rows_at(document, pointer, rows_max=rows_max)
    stored = {column.source_name for column in columns}
    return TypedReply(
        count=len(rows),
        columns=typed_columns(rows, [column for column in columns if column.name in needed]),
        document=document,
        unknown=Counter(name for row in rows for name in row.keys() - stored),
    )


def _as_declared(body: bytes, pointer: str, columns: tuple[Column, ...]) -> TypedReply | None:
    """Return a reply that is as declared; None for any other.

    SECURITY: the decoder passes over members that it does not know and takes the last of two equal names.
    That there were neither is proved by counting the names.
    """
    try:
        document, rows = _opened(body.decode("utf-8", "strict"), tokens_of(pointer), _decoder(columns))
    except (ValueError, LookupError, RecursionError):
        return None
    if names_of(document) + len(rows) * len(columns) != names_at_most(body):
        return None
    stored = list(zip(*map(astuple, rows), strict=True)) or [()] * len(columns)
    typed = {
        column.name: typed_column(values, column) if column.type is ColumnType.DECIMAL else values
        for column, values in zip(columns, stored, strict=True)
    }
    return TypedReply(count=len(rows), columns=typed, document=document, unknown=Counter())


def _opened(
    text: str | msgspec.Raw, tokens: Sequence[str], rows: "msgspec.json.Decoder[list[Any]]"
) -> tuple[object, list[Any]]:
    """Return a document, None where its rows are, and these rows."""
    if not tokens:
        return None, rows.decode(text)
    members = _MEMBERS.decode(text)
    inner, found = _opened(members.pop(tokens[0]), tokens[1:], rows)
    rest = {name: _ANYTHING.decode(member) for name, member in members.items()}
    return {**rest, tokens[0]: inner}, found


@lru_cache(maxsize=SHAPES_MAX)
def _decoder_of(members: tuple[tuple[str, ColumnType], ...]) -> "msgspec.json.Decoder[list[Any]]":
    """Return what decodes rows that have all these members, each of the type."""
    row = msgspec.defstruct(
        "Row",
        [(f"c{place}", _TYPES[kind]) for place, (_, kind) in enumerate(members)],
        rename={f"c{place}": name for place, (name, _) in enumerate(members)},
        gc=False,
    )
    return msgspec.json.Decoder(list[row], float_hook=Number)  # type: ignore[valid-type]


def _decoder(columns: tuple[Column, ...]) -> "msgspec.json.Decoder[list[Any]]":
    return _decoder_of(tuple([(column.source_name, column.type) for column in columns]))

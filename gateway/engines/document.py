"""An upstream's reply, read strictly (RFC 8259, I-JSON): one text has one meaning, or none.

Refused are other encodings, duplicate names, NaN and infinities, numbers of thousands of digits and
nesting beyond all use. Numbers with a point stay the text they are, so that no digit is lost before
their column's type is known.
"""

import json
from collections.abc import Mapping, Sequence

from gateway.errors import EngineFailed

Row = Mapping[str, object]


class Number(str):
    """A JSON number with a point or an exponent, as written; no text of a reply is of this type."""

    __slots__ = ()


def read(body: bytes) -> object:
    """Return the document of a body.

    Raises:
        EngineFailed: It has no one meaning.

    """
    try:
        return json.loads(
            body.decode("utf-8", "strict"),
            object_pairs_hook=_object,
            parse_float=Number,
            parse_constant=_constant,
        )
    except (ValueError, RecursionError):
        # SECURITY: not chained, a decoding error quotes the body.
        raise EngineFailed("the upstream's reply is not strict JSON") from None


def at(document: object, pointer: str) -> object:
    """Return the value at a pointer of member names (RFC 6901), or None if there is none."""
    here = document
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        here = here.get(name) if isinstance(here, dict) else None
    return here


def rows_at(document: object, pointer: str, *, rows_max: int) -> Sequence[Row]:
    """Return the rows at a pointer.

    Raises:
        EngineFailed: There is no array there, it holds something else than objects, or too many.

    """
    rows = at(document, pointer)
    if not isinstance(rows, list) or len(rows) > rows_max or not all(type(row) is dict for row in rows):
        raise EngineFailed("the upstream's reply has no array of that many objects where rows should be")
    return rows


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name comes twice")
    return members


def _constant(_: str) -> object:
    raise ValueError("not a number of JSON")

"""An upstream's reply, read strictly (RFC 8259, I-JSON): one text has one meaning, or none.

Refused are other encodings, duplicate names, NaN and infinities, numbers of thousands of digits, nesting
beyond all use, and more objects and arrays than any page of rows has. Numbers with a point stay the text
they are, so that no digit is lost before their column's type is known.

``strictly_read`` is the definition. ``read`` comes to the same in a third of the time: a decoder in C
that takes the last of two equal names, and a count which proves that there were none.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np

from gateway.errors import EngineFailed

Row = Mapping[str, object]

CONTAINERS_MAX: Final = 200_000
"""Objects and arrays of a reply: an empty one takes three bytes of text, and sixty of memory."""

_BRACE, _BRACKET, _COLON, _QUOTE, _BLANK = b'{[:" '


class Number(str):
    """A JSON number with a point or an exponent, as written; no text of a reply is of this type."""

    __slots__ = ()


def read(body: bytes) -> object:
    """Return the document of a body.

    Raises:
        EngineFailed: It has no one meaning, or more parts than ``CONTAINERS_MAX``.

    """
    require_few_parts(body)
    try:
        document: object = _DECODER.decode(body.decode("utf-8", "strict"))
        if names_of(document) == names_at_most(body):
            return document
    except (ValueError, RecursionError):
        pass  # as half a surrogate pair, which the strict reader takes: its column becomes null
    return strictly_read(body)


def strictly_read(body: bytes) -> object:
    """Return the document of a body, every name of it looked at.

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


def require_few_parts(body: bytes) -> None:
    """Refuse a body of more objects and arrays than ``CONTAINERS_MAX``, before anything is made of it.

    Raises:
        EngineFailed: It may have more; brackets inside of texts are counted too.

    """
    if len(body) <= CONTAINERS_MAX:
        return
    text = np.frombuffer(body, np.uint8)
    if np.count_nonzero(text == _BRACE) + np.count_nonzero(text == _BRACKET) > CONTAINERS_MAX:
        raise EngineFailed("the upstream's reply has too many parts")


def tokens_of(pointer: str) -> tuple[str, ...]:
    """Return the member names of a pointer (RFC 6901)."""
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:])


def at(document: object, pointer: str) -> object:
    """Return the value at a pointer of member names, or None if there is none."""
    here = document
    for name in tokens_of(pointer):
        here = here.get(name) if isinstance(here, dict) else None
    return here


def rows_at(document: object, pointer: str, *, rows_max: int) -> Sequence[Row]:
    """Return the rows at a pointer.

    Raises:
        EngineFailed: There is no array there, it holds something else than objects, or too many.

    """
    rows = at(document, pointer)
    if not isinstance(rows, list) or len(rows) > rows_max or not set(map(type, rows)) <= {dict}:
        raise EngineFailed("the upstream's reply has no array of that many objects where rows should be")
    return rows


_DECODER: Final = msgspec.json.Decoder(float_hook=Number)


def names_of(value: object) -> int:
    """Return how many members a document has, not counting what lies inside of rows: never too many."""
    if type(value) is dict:
        return len(value) + sum(names_of(each) for each in value.values() if type(each) in (dict, list))
    if type(value) is list and set(map(type, value)) == {dict}:
        return sum(map(len, value))
    return 0


def names_at_most(body: bytes) -> int:
    """Return how many names the text of a valid document may have; -1 where that is not known.

    SECURITY: never too few, so that a document of as many members has no name twice. After a name
    stands a colon, and before that its quote or blanks; where blanks are, this way gives up. A quote
    and a colon inside of a text are counted too, and make the number too large.
    """
    text = np.frombuffer(body, np.uint8)
    before = text[np.flatnonzero(text == _COLON) - 1]
    return -1 if np.any(before <= _BLANK) else int(np.count_nonzero(before == _QUOTE))


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name comes twice")
    return members


def _constant(_: str) -> object:
    raise ValueError("not a number of JSON")

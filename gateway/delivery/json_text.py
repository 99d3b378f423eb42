"""Values as JSON text (RFC 8259).

Laws: numbers are written exactly, decimals with their digits and integers in full. JSON sets no limit
to either; a reader that keeps numbers as binary doubles loses what is beyond 2**53, so identifiers
belong in text columns. Dates are ISO 8601 texts; null is null. There are no floats to round.
"""

from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

import msgspec
import orjson

from gateway.terms.frame import Columns

SHAPES_MAX: Final = 1024
"""Lists of column names for which a way to write a row is kept."""

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


def json_of(value: object) -> bytes:
    """Return the JSON text of a document; decimals are numbers with all their digits.

    Raises:
        TypeError: A value that JSON cannot say.

    """
    return orjson.dumps(value, default=_exact)


def array_of(columns: Columns) -> bytes:
    """Return rows as an array of objects."""
    return _ENCODER.encode(_rows(columns))


def lines_of(columns: Columns) -> bytes:
    """Return rows as one object a line."""
    return _ENCODER.encode_lines(_rows(columns))


def _rows(columns: Columns) -> list[object]:
    return list(map(_row_type(tuple(columns)), *columns.values()))


@lru_cache(maxsize=SHAPES_MAX)
def _row_type(names: tuple[str, ...]) -> type[Any]:
    """Return a type whose instances are written as objects with members of these names, in this order.

    A row of it costs a quarter of a dictionary, and the collector of cycles need not look at it. Names are
    declared columns': none holds a quote, a backslash or a control character.
    """
    members = [f"c{place}" for place in range(len(names))]
    return msgspec.defstruct(
        "Row",
        [(member, object) for member in members],
        rename=dict(zip(members, names, strict=True)),
        gc=False,
    )


def _exact(value: object) -> object:
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(str(value))
    raise TypeError(f"JSON has no {type(value).__name__}")

"""Values as JSON text (RFC 8259).

Laws: numbers are written exactly, decimals with their digits, none of them as an exponent, and integers
in full. JSON sets no limit to either; a reader that keeps numbers as binary doubles loses what is beyond
2**53, so identifiers belong in text columns. Dates are ISO 8601 texts; null is null. There are no floats
to round.
"""

import re
from collections.abc import Collection, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

import msgspec
import orjson

from gateway.terms.frame import Columns, Values

SHAPES_MAX: Final = 1024
"""Lists of column names for which a way to write a row is kept."""

_OTHER_THAN_DIGITS: Final = re.compile(r"[^-.0-9]")
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


def json_of(value: object) -> bytes:
    """Return the JSON text of a document; decimals are numbers with all their digits.

    Raises:
        TypeError: A value that JSON cannot say.

    """
    return orjson.dumps(value, default=_exact)


def array_of(columns: Columns, decimals: Collection[str]) -> bytes:
    """Return rows as an array of objects; ``decimals`` are the columns in which there is one."""
    return _ENCODER.encode(_rows(columns, decimals))


def lines_of(columns: Columns, decimals: Collection[str]) -> bytes:
    """Return rows as one object a line."""
    return _ENCODER.encode_lines(_rows(columns, decimals))


def _rows(columns: Columns, decimals: Collection[str]) -> list[object]:
    spelled = (_spelled(values) if name in decimals else values for name, values in columns.items())
    return list(map(_row_type(tuple(columns)), *spelled))


def _spelled(values: Values) -> Sequence[object]:
    """Return decimals as the encoder writes them with their digits.

    Raises:
        TypeError: One of them is no number.

    """
    there = [value for value in values if type(value) is Decimal]
    if not _OTHER_THAN_DIGITS.search("".join(map(str, there))):
        return values
    return [
        msgspec.Raw(decimal_text(value).encode()) if type(value) is Decimal else value for value in values
    ]


def decimal_text(number: Decimal) -> str:
    """Return a decimal with all its digits, none of them as an exponent.

    Raises:
        TypeError: It is infinite or not a number.

    """
    if not number.is_finite():
        raise TypeError("there is no text of a decimal that is no number")
    return f"{number:f}"


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
    if isinstance(value, Decimal):
        return orjson.Fragment(decimal_text(value))
    raise TypeError(f"JSON has no {type(value).__name__}")

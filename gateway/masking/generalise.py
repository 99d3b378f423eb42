"""A wider value in place of the exact one: bands of numbers, periods of dates, prefixes of codes.

Laws: the result is a function of the value alone, and equal for all values of one band, period or prefix;
applying a treatment twice is applying it once. What cannot be widened (another type, a code too short,
an edge below the smallest 64-bit integer) is null.
"""

from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from gateway.masking.grapheme import composed, graphemes, needs_graphemes
from gateway.terms.treatment import DatePrecision


def banded(values: pa.Array, width: int) -> pa.Array:
    """Return the lower edge ``k * width`` of the band each number is in, below zero too."""
    if pa.types.is_decimal(values.type):
        return _decimals_banded(values, width)
    if pa.types.is_uint64(values.type):
        return _decimals_banded(values.cast(pa.decimal128(20, 0)), width)
    if pa.types.is_integer(values.type):
        return _integers_banded(values.cast(pa.int64()), width)
    return pa.nulls(len(values), values.type)


def _integers_banded(values: pa.Array, width: int) -> pa.Array:
    numbers = values.fill_null(0).to_numpy()
    edges = numbers - numbers % width
    wrapped = edges > numbers  # an edge below -2**63 comes out at the other end
    return pa.array(edges, mask=values.is_null().to_numpy(zero_copy_only=False) | wrapped)


def _decimals_banded(values: pa.Array, width: int) -> pa.Array:
    # An edge may have more digits than any value; 76 are enough for every width a rule may name.
    wide = pa.decimal256(76, values.type.scale)
    return pc.round_to_multiple(values.cast(wide), pa.scalar(Decimal(width), wide), round_mode="down")


def with_precision(values: pa.Array, precision: DatePrecision) -> pa.Array:
    """Return the first day of the year, quarter or month each date is in."""
    if not pa.types.is_date(values.type):
        return pa.nulls(len(values), values.type)
    return pc.floor_temporal(values, unit=precision.value)


def prefixed(values: pa.Array, length: int) -> pa.Array:
    """Return the first characters of each text; a shorter text is null, it may be of another level."""
    if not pa.types.is_string(values.type):
        return pa.nulls(len(values), pa.string())
    texts = composed(values)
    long_enough = pc.greater_equal(pc.utf8_length(texts), length)
    nothing = pa.scalar(None, pa.string())
    prefixes = pc.if_else(long_enough, pc.utf8_slice_codeunits(texts, 0, length), nothing)
    several = needs_graphemes(texts)
    if pc.any(several).as_py():
        cut = [graphemes(text)[:length] for text in texts.filter(several).to_pylist()]
        slow = ["".join(characters) if len(characters) == length else None for characters in cut]
        prefixes = pc.replace_with_mask(prefixes, several, pa.array(slow, pa.string()))
    return prefixes

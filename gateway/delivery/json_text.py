"""Arrow columns as JSON texts, a column at a time (RFC 8259).

Laws: numbers are written exactly, decimals with their digits and integers in full. JSON sets no limit
to either; a reader that keeps numbers as binary doubles loses what is beyond 2**53, so identifiers
belong in text columns. Dates are ISO 8601 texts; null is null. There are no floats to round.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc

ROWS_AT_ONCE: Final = 1 << 15
_ESCAPED: Final = bytes(range(0x20)) + b'"\\'
_MUST_ESCAPE: Final = r'["\\\x00-\x1f]'


def json_of(value: object) -> bytes:
    """Return the JSON text of a document; decimals are numbers with all their digits.

    Raises:
        TypeError: A value that JSON cannot say.

    """
    return orjson.dumps(value, default=_exact)


def rows_of(table: pa.Table, end: str) -> Iterator[bytes]:
    """Yield the rows as objects, each followed by ``end``, many at a time."""
    names = [json_of(name).decode() for name in table.column_names]
    for batch in table.to_batches(max_chunksize=ROWS_AT_ONCE):
        parts: list[object] = []
        for place, (name, values) in enumerate(zip(names, batch.columns, strict=True)):
            parts += [f"{',' if place else '{'}{name}:", _texts(values)]
        yield joined(pc.binary_join_element_wise(*parts, "}" + end, ""))


def joined(texts: pa.Array) -> bytes:
    """Return texts one after the other: the bytes of an array that was just computed, with no null."""
    if texts.offset or texts.null_count:
        raise AssertionError("texts to join are a whole array without nulls")
    _, offsets, data = texts.buffers()
    end: int = memoryview(offsets).cast("i")[len(texts)]
    return b"" if data is None else bytes(memoryview(data)[:end])


def written(values: pa.Array) -> pa.Array:
    """Return how any format writes a number, date or boolean; null for null."""
    kind = values.type
    number = pa.types.is_integer(kind) or pa.types.is_decimal(kind)
    if not (number or pa.types.is_date32(kind) or pa.types.is_boolean(kind)):
        raise AssertionError(f"no format writes a column of type {kind}")
    return values.cast(pa.string())


def _texts(values: pa.Array) -> pa.Array:
    if pa.types.is_string(values.type):
        texts = _quoted(values)
    elif pa.types.is_date32(values.type):
        texts = pc.binary_join_element_wise('"', written(values), '"', "")
    else:
        texts = written(values)
    return texts.fill_null("null") if texts.null_count else texts


def _quoted(texts: pa.Array) -> pa.Array:
    quoted = pc.binary_join_element_wise('"', texts, '"', "")
    if not _may_need_escapes(texts):
        return quoted
    special = pc.match_substring_regex(texts, _MUST_ESCAPE).fill_null(False)  # noqa: FBT003 - Arrow's signature
    escaped = [orjson.dumps(text).decode() for text in texts.filter(special).to_pylist()]
    return pc.replace_with_mask(quoted, special, pa.array(escaped, pa.string()))


def _may_need_escapes(texts: pa.Array) -> bool:
    """Return whether any byte behind the texts must be escaped: nearly never, and one look tells."""
    _, offsets, data = texts.buffers()
    if data is None:
        return False
    bounds = memoryview(offsets).cast("i")
    behind = bytes(memoryview(data)[bounds[texts.offset] : bounds[texts.offset + len(texts)]])
    return len(behind.translate(None, _ESCAPED)) < len(behind)


def _exact(value: object) -> object:
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(str(value))
    raise TypeError(f"JSON has no {type(value).__name__}")

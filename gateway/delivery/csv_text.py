"""Columns as CSV (RFC 4180): UTF-8, a header row, commas, CRLF.

SECURITY: a spreadsheet runs a cell that begins like a formula. So a *text* cell that begins with one of
``= + - @``, their full-width forms, tab, CR, LF, NUL, a byte order mark or an apostrophe gets one
apostrophe in front, in CSV only; taking one leading apostrophe off every text cell that has one gives back
the text. Numbers are left alone. Separators of other locales (``;`` and tab) are quoted too. Source:
OWASP, "CSV Injection". Null is an empty cell and an empty text is ``""``; alone in its row, null is ``""``
too, for readers skip empty lines.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

_FORMULA: Final = r"^['=+\-@\t\r\n\x{0}\x{FEFF}\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]"
_MUST_QUOTE: Final = r'[",;\t\r\n]'


def header_of(names: Sequence[str]) -> bytes:
    """Return the header row; names are cells like any text."""
    return records_of([text_cells(pa.array([name], pa.string())) for name in names])


def text_cells(texts: pa.Array) -> pa.Array:
    """Return texts as cells: guarded, quoted where needed; null for null."""
    guarded = pc.if_else(
        pc.match_substring_regex(texts, _FORMULA), pc.binary_join_element_wise("'", texts, ""), texts
    )
    special = pc.or_(pc.match_substring_regex(guarded, _MUST_QUOTE), pc.equal(pc.binary_length(guarded), 0))
    if not pc.any(special).as_py():
        return guarded
    doubled = pc.replace_substring(guarded, '"', '""')
    return pc.if_else(special, pc.binary_join_element_wise('"', doubled, '"', ""), guarded)


def records_of(columns: Sequence[pa.Array]) -> bytes:
    """Return finished cells as lines. Shape: columns of one length."""
    nothing = '""' if len(columns) == 1 else ""
    parts = list(_separated([cells.fill_null(nothing) for cells in columns]))
    return _joined(pc.binary_join_element_wise(*parts, "\r\n", ""))


def _joined(texts: pa.Array) -> bytes:
    """Return texts one after the other: the bytes of an array that was just computed, with no null."""
    if texts.offset or texts.null_count:
        raise AssertionError("texts to join are a whole array without nulls")
    _, offsets, data = texts.buffers()
    end: int = memoryview(offsets).cast("i")[len(texts)]
    return b"" if data is None else bytes(memoryview(data)[:end])


def _separated(columns: Sequence[pa.Array]) -> Iterator[object]:
    for place, cells in enumerate(columns):
        if place:
            yield ","
        yield cells

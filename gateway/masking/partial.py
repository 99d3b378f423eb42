"""The ends of a text are shown, the middle is hidden behind ``*``, one for each character.

Law: of a text of four characters and more at least half or at least four are hidden, else all are; a
shorter text is hidden whole. So a treatment that shows much shows nothing of a short name. The length
is told. How much the hidden part of an identifier can be guessed from other columns (the last digits
of an identity number, beside province and year of birth) is not seen here: rules must not combine them.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gateway.masking.grapheme import composed, graphemes, needs_graphemes

HIDDEN_MIN: Final = 4


def partially_shown(values: pa.Array, first: int, last: int) -> pa.Array:
    """Return texts with only their first and last characters; null for null and for any other type."""
    if not pa.types.is_string(values.type):
        return pa.nulls(len(values), pa.string())
    texts = composed(values)
    shown = _by_code_points(texts, first, last)
    several = needs_graphemes(texts)
    if pc.any(several).as_py():
        slow = [_by_graphemes(text, first, last) for text in texts.filter(several).to_pylist()]
        shown = pc.replace_with_mask(shown, several, pa.array(slow, pa.string()))
    return shown


def _hides_enough(lengths: npt.NDArray[np.int64], first: int, last: int) -> npt.NDArray[np.bool_]:
    hidden = lengths - first - last
    return (hidden >= HIDDEN_MIN) | ((lengths >= HIDDEN_MIN) & (2 * hidden >= lengths))


def _by_code_points(texts: pa.Array, first: int, last: int) -> pa.Array:
    lengths = pc.utf8_length(texts).fill_null(0).to_numpy().astype(np.int64)
    enough = _hides_enough(lengths, first, last)
    stars = pc.binary_repeat("*", pa.array(np.where(enough, lengths - first - last, lengths)))
    showing = pa.array(enough)
    head = pc.if_else(showing, pc.utf8_slice_codeunits(texts, 0, first), "")
    tail = pc.if_else(showing, pc.utf8_slice_codeunits(texts, -last), "") if last else ""
    # A null text has a null head, and joining with null gives null.
    masked = pc.binary_join_element_wise(head, stars, tail, "")
    return pc.if_else(texts.is_valid(), masked, pa.scalar(None, pa.string()))


def _by_graphemes(text: str, first: int, last: int) -> str:
    characters = graphemes(text)
    length = len(characters)
    if not _hides_enough(np.array([length]), first, last)[0]:
        return "*" * length
    head, tail = characters[:first], characters[length - last :]
    return "".join(head) + "*" * (length - first - last) + "".join(tail)

"""Characters as people count them, so that no treatment cuts an accent off its letter.

Text is brought to NFC first; then nearly every character is one code point, and Arrow counts those fast.
Texts in which a mark or a joiner remains are rare and are cut in Python. A grapheme here is a
character with the marks that follow it, joined emoji in one piece: Unicode Standard Annex 29 without its
rules for flags and old Hangul, which name nobody.
"""

import unicodedata
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

_JOINER: Final = "\u200d"
_SKIN_TONES: Final = "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"
_EXTENDING: Final = r"[\p{M}\x{200D}\x{1F3FB}-\x{1F3FF}]"


def composed(texts: pa.Array) -> pa.Array:
    """Return texts in NFC."""
    return texts if _all_ascii(texts) else pc.utf8_normalize(texts, form="NFC")


def needs_graphemes(texts: pa.Array) -> pa.Array:
    """Return which composed texts hold a grapheme of several code points; false for null."""
    if _all_ascii(texts):
        return pa.repeat(False, len(texts))  # noqa: FBT003 - Arrow's signature
    return pc.match_substring_regex(texts, _EXTENDING).fill_null(False)  # noqa: FBT003 - Arrow's signature


def _all_ascii(texts: pa.Array) -> bool:
    """Return whether all bytes behind the texts are ASCII; what stands behind a null may say no, in vain.

    One look at the buffer: of a short column, three calls of Arrow cost more than all the rest.
    """
    _, offsets, data = texts.buffers()
    if data is None:
        return True
    bounds = memoryview(offsets).cast("i")
    return bytes(memoryview(data)[bounds[texts.offset] : bounds[texts.offset + len(texts)]]).isascii()


def graphemes(text: str) -> list[str]:
    """Return the characters of a composed text; joined, they are the text."""
    found: list[str] = []
    for character in text:
        extends = (
            character == _JOINER or character in _SKIN_TONES or unicodedata.category(character)[0] == "M"
        )
        if found and (extends or found[-1].endswith(_JOINER)):
            found[-1] += character
        else:
            found.append(character)
    return found

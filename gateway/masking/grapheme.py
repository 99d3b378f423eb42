"""Characters as people count them, so that no treatment cuts an accent off its letter.

Text is brought to NFC first; then nearly every character is one code point. Texts in which a mark or a
joiner may remain are rare, and only they are looked at character by character. A grapheme here is a
character with the marks that follow it, joined emoji in one piece: Unicode Standard Annex 29 without its
rules for flags and old Hangul, which name nobody.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

_JOINER: Final = "\u200d"
_SKIN_TONES: Final = "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"
_MAY_EXTEND: Final = re.compile("[^\x00-\u02ff\u1e00-\u1eff]")
"""Anything but Latin letters with their usual signs, among which there is no mark."""


def characters_of(text: str) -> Sequence[str]:
    """Return the characters of a text in NFC; joined, they are that text."""
    if text.isascii():
        return text
    composed = unicodedata.normalize("NFC", text)
    return graphemes(composed) if _MAY_EXTEND.search(composed) else composed


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

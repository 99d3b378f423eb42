"""Characters as people count them, so that no treatment cuts an accent off its letter.

Text is brought to NFC first; then nearly every character is one code point. Texts in which a mark or a
joiner may remain are rare, and only they are looked at character by character. A grapheme here is a
character with the marks that follow it, joined emoji in one piece: Unicode Standard Annex 29 without its
rules for flags and old Hangul, which name nobody.

A text of more than ``CODE_POINTS_MAX`` has no characters here: NFC takes time in the square of a run of
marks, and holds the interpreter meanwhile.
"""

import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

CODE_POINTS_MAX: Final = 1024

_JOINER: Final = "\u200d"
_SKIN_TONES: Final = "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"
_MAY_EXTEND: Final = re.compile("[^\x00-\u02ff\u1e00-\u1eff]")
"""Anything but Latin letters with their usual signs, among which there is no mark."""


def characters_of(text: str) -> Sequence[str] | None:
    """Return the characters of a text in NFC; joined, they are that text. None if it is too long."""
    if len(text) > CODE_POINTS_MAX:
        return None
    if text.isascii():
        return text
    composed = unicodedata.normalize("NFC", text)
    return graphemes(composed) if _MAY_EXTEND.search(composed) else composed


def graphemes(text: str) -> list[str]:
    """Return the characters of a composed text; joined, they are the text."""
    starts = [
        place
        for place, character in enumerate(text)
        if not place or not (_extends(character) or text[place - 1] == _JOINER)
    ]
    return [text[start:end] for start, end in pairwise([*starts, len(text)])]


def _extends(character: str) -> bool:
    return character == _JOINER or character in _SKIN_TONES or unicodedata.category(character)[0] == "M"

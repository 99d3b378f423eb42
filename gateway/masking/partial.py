"""The ends of a text are shown, the middle is hidden behind ``*``, one for each character.

Law: of a text of four characters and more at least half or at least four are hidden, else all are; a
shorter text is hidden whole. So a treatment that shows much shows nothing of a short name. The length
is told. How much the hidden part of an identifier can be guessed from other columns (the last digits
of an identity number, beside province and year of birth) is not seen here: rules must not combine them.
"""

from typing import Final

from gateway.masking.grapheme import characters_of

HIDDEN_MIN: Final = 4


def partially_shown(text: str, first: int, last: int) -> str | None:
    """Return a text with only its first and last characters; one too long to count them is null."""
    characters = characters_of(text)
    if characters is None:
        return None
    length = len(characters)
    hidden = length - first - last
    if hidden < HIDDEN_MIN and not (length >= HIDDEN_MIN and 2 * hidden >= length):
        return "*" * length
    return "".join([*characters[:first], "*" * hidden, *characters[length - last :]])

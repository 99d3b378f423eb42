"""Find the column that a question names, among those it may name; say little when there is none.

A column that is not permitted and one that does not exist are refused alike. What a question said
is echoed as one short word at most.
"""

import difflib
from collections.abc import Collection, Sequence

from gateway.errors import QuestionRefused
from gateway.terms.dataset import Column

WORD_CHARS_MAX = 40


def word(text: str) -> str:
    """Return a short, printable form of something the caller wrote."""
    shown = "".join(c if c.isprintable() and c != "`" else "?" for c in text[: WORD_CHARS_MAX + 1])
    return shown if len(shown) <= WORD_CHARS_MAX else shown[: WORD_CHARS_MAX - 1] + "…"


def nearest_of(name: str, names: Collection[str]) -> str:
    """Return the name that was perhaps meant, or an empty text."""
    by_folded = {known.casefold(): known for known in names}
    found = difflib.get_close_matches(name[:WORD_CHARS_MAX].casefold(), by_folded, n=1)
    return by_folded[found[0]] if found else ""


def column_named(name: str, columns: Sequence[Column], *, exact: bool = True) -> Column:
    """Return the column of that name among ``columns``; not ``exact``: upper and lower case are alike.

    Raises:
        QuestionRefused: There is none that may be named, or case is needed to tell two apart.

    """
    for column in columns:
        if column.name == name:
            return column
    if not exact:
        alike = [column for column in columns if column.name.casefold() == name.casefold()]
        if len(alike) == 1:
            return alike[0]
    raise QuestionRefused(
        f"there is no column `{word(name)}` that may be used here",
        about=word(name),
        nearest=nearest_of(name, [column.name for column in columns]),
    )

"""What happens to a column before it leaves; the words of a rule's ``columns``.

Strictness, for the meet of two permits: drop > redact > tokenise > partial > generalise > keep.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

SPELLED_MAX: Final = 1024


@dataclass(frozen=True, slots=True)
class Keep:
    """The value as it is."""


@dataclass(frozen=True, slots=True)
class Drop:
    """The column is absent. What no rule names is dropped too."""


@dataclass(frozen=True, slots=True)
class Redact:
    """The column is there, every value is null: that something exists is all that is told."""


@dataclass(frozen=True, slots=True)
class Partial:
    """Only the first and last graphemes of a text are shown, the rest is ``*`` (text only)."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Tokenise:
    """A pseudonym, the same for one value at one recipient, different at any other (promise P8)."""

    domain: str
    """Columns with one domain share pseudonyms, so that a recipient can join them."""


class DatePrecision(StrEnum):
    """How much of a date is kept."""

    YEAR = "year"
    QUARTER = "quarter"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Band:
    """A number becomes the lower edge of its band ``[k*width, (k+1)*width)`` (number only)."""

    width: int


@dataclass(frozen=True, slots=True)
class Precision:
    """A date becomes the first day of its year, quarter or month (date only)."""

    precision: DatePrecision


@dataclass(frozen=True, slots=True)
class Prefix:
    """A code keeps its first characters; how hierarchies such as area codes widen (text only)."""

    length: int


Treatment = Keep | Drop | Redact | Partial | Tokenise | Band | Precision | Prefix


@lru_cache(maxsize=SPELLED_MAX)
def spelled(treatment: Treatment) -> str:
    """Return a treatment with its settings, as digests of questions know it."""
    return repr(treatment)


def name_of(treatment: Treatment) -> str:
    """Return the word that names a treatment in rules, replies and entries."""
    return _WORDS[type(treatment)]


_WORDS: Final[Mapping[type[Treatment], str]] = {
    Keep: "keep",
    Drop: "drop",
    Redact: "redact",
    Partial: "partial",
    Tokenise: "tokenise",
    Band: "generalise",
    Precision: "generalise",
    Prefix: "generalise",
}

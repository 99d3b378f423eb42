"""A pseudonym in place of an identifier; ``gateway.pseudonym`` is the codec (promise P8).

An integer is tokenised as its decimal digits, so a text column and an integer column of one domain join.
Numbers cannot hold leading zeros: identifiers that have them must be declared as text.
"""

from collections.abc import Sequence

from gateway.pseudonym import tokens_of


def integers_tokenised(numbers: Sequence[int | None], key: bytes) -> list[str | None]:
    """Return the token of each number's digits; null for null."""
    return tokens_of([None if number is None else str(number) for number in numbers], key)

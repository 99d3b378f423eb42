"""Where several permits match one request, they meet at the strictest of everything.

Laws, proved in ``tests/policy/test_meet.py`` over the treatments that one column can have (a column has
one type): ``meet`` is commutative, associative and idempotent, and never weaker than either side. So
neither the order of permits nor their repetition changes what a caller gets.

Within one kind the result is the finest treatment that both sides can be turned into: bands of 4 and 6
meet at 12. Where there is none (two pseudonym domains) they meet at ``Redact``.
Source: strictness as written in ``terms/treatment.py``.
"""

import math
from collections.abc import Iterable
from typing import Final

from gateway.terms.predicate import AllOf, Predicate
from gateway.terms.treatment import (
    Band,
    DatePrecision,
    Drop,
    Keep,
    Partial,
    Precision,
    Prefix,
    Redact,
    Tokenise,
    Treatment,
)

BAND_WIDTH_MAX: Final = 2**62
"""Band edges stay 64-bit integers; beyond this a band only tells the sign."""

_COARSENESS = {DatePrecision.MONTH: 0, DatePrecision.QUARTER: 1, DatePrecision.YEAR: 2}


def strength(treatment: Treatment) -> int:
    """Return the rank of a treatment's kind; the higher, the less leaves."""
    match treatment:
        case Keep():
            return 0
        case Band() | Precision() | Prefix():
            return 1
        case Partial():
            return 2
        case Tokenise():
            return 3
        case Redact():
            return 4
        case Drop():
            return 5


def meet(one: Treatment, other: Treatment) -> Treatment:
    """Return the weakest treatment of a column that is at least as strict as both."""
    if strength(one) != strength(other):
        return max(one, other, key=strength)
    match one, other:
        case Partial(), Partial():
            return Partial(min(one.first, other.first), min(one.last, other.last))
        case Band(), Band():
            return Band(min(math.lcm(one.width, other.width), BAND_WIDTH_MAX))
        case Prefix(), Prefix():
            return Prefix(min(one.length, other.length))
        case Precision(), Precision():
            return max(one, other, key=lambda treatment: _COARSENESS[treatment.precision])
        case _:
            return one if one == other else Redact()


def all_of(filters: Iterable[Predicate]) -> Predicate:
    """Return the conjunction in one spelling, whatever the order and repetition of its parts."""
    parts: set[Predicate] = set()
    for condition in filters:
        parts |= set(_conjuncts(condition))
    return AllOf(tuple(sorted(parts, key=repr) if len(parts) > 1 else parts))


def _conjuncts(condition: Predicate) -> Iterable[Predicate]:
    if isinstance(condition, AllOf):
        for part in condition.parts:
            yield from _conjuncts(part)
    else:
        yield condition

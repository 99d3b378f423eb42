"""What a question costs: rho for each of its measures, decided from public facts alone (P5).

Asked by loss (``rho`` or ``epsilon``), measures share evenly, rounded down: the sum is never more
than was asked. Asked by accuracy (``margin``), each measure gets the least that is accurate enough.
Asked nothing, the question gets all that the permit allows one question.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

from gateway.budget import headline_delta, pico_rho_down, rho_of, shown
from gateway.errors import MalformedRequest, QuestionRefused
from gateway.privacy.accuracy import margin_of
from gateway.privacy.mechanism import SCALE_MAX, scale_for
from gateway.terms.loss import PicoRho

WAYS = ("rho", "epsilon", "margin")
_DECIMAL = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,24})?")
_ASKED_MAX = Decimal(10**12)
_FINEST = Decimal("1e-12")


@dataclass(frozen=True, slots=True)
class ByLoss:
    """The question may cost this much."""

    rho: PicoRho


@dataclass(frozen=True, slots=True)
class ByMargin:
    """Every shown value shall have at most this 95 % half-width, in its own unit."""

    margin: Decimal


@dataclass(frozen=True, slots=True)
class Need:
    """A measure that has no noise yet: its sensitivity, and the digits of its grid."""

    sensitivity: int
    decimals: int


def asked_of(members: Mapping[str, object], *, units_max: int, at_most: PicoRho) -> ByLoss | ByMargin:
    """Return how a question asks for its price.

    Raises:
        MalformedRequest: In two ways at once, or not by a positive decimal.
        QuestionRefused: It asks for more than ``at_most``.

    """
    asked = [(way, members[way]) for way in WAYS if way in members]
    if not asked:
        return ByLoss(at_most)
    if len(asked) > 1:
        raise MalformedRequest("a question asks by one of `rho`, `epsilon` and `margin`")
    way, value = asked[0]
    number = _positive(way, value)
    if way == "margin":
        return ByMargin(number)
    rho = pico_rho_down(number) if way == "rho" else rho_of(number, headline_delta(units_max))
    if rho > at_most:
        raise QuestionRefused(
            f"one question may cost at most rho {shown(at_most)} here", about=way, nearest=shown(at_most)
        )
    return ByLoss(rho)


def shares(asked: ByLoss | ByMargin, needs: tuple[Need, ...], *, at_most: PicoRho) -> tuple[PicoRho, ...]:
    """Return rho for each measure; the sum is at most ``at_most`` and at most what was asked.

    Raises:
        QuestionRefused: That is too little for any noise that says something, or not enough for the
            asked accuracy.

    """
    match asked:
        case ByLoss(rho):
            each = PicoRho(rho // len(needs))
            if each == 0 or any(scale_for(each, need.sensitivity) > SCALE_MAX for need in needs):
                raise QuestionRefused("that is too little for an answer that says something", about="rho")
            return (each,) * len(needs)
        case ByMargin(margin):
            found = tuple(_least(margin, need, at_most) for need in needs)
            if sum(found) > at_most:
                raise _too_accurate(needs, at_most)
            return found


def _least(margin: Decimal, need: Need, at_most: PicoRho) -> PicoRho:
    """Return the least rho whose noise stays within the margin, or more than ``at_most``."""
    grid = int(margin.scaleb(need.decimals))
    low, high = 0, at_most + 1  # INVARIANT: low is too little; high is enough, or all was tried
    while high - low > 1:
        middle = (low + high) // 2
        scale = scale_for(PicoRho(middle), need.sensitivity)
        if scale <= SCALE_MAX and margin_of(scale) <= grid:
            high = middle
        else:
            low = middle
    return PicoRho(high)


def _too_accurate(needs: tuple[Need, ...], at_most: PicoRho) -> QuestionRefused:
    each = PicoRho(at_most // len(needs))
    nearest = ""
    if each > 0:
        margins = [
            Decimal(margin_of(scale_for(each, need.sensitivity))).scaleb(-need.decimals) for need in needs
        ]
        nearest = f"{max(margins):f}"
    return QuestionRefused(
        "that accuracy costs more than one question may cost here", about="margin", nearest=nearest
    )


def _positive(way: str, value: object) -> Decimal:
    wrong = MalformedRequest(f"`{way}` is a positive decimal of at most 12 digits before the point")
    match value:
        case bool():
            raise wrong
        case int() | Decimal():
            number = Decimal(value)
        case str() if _DECIMAL.fullmatch(value):
            number = Decimal(value)
        case _:
            raise wrong
    if not 0 < number < _ASKED_MAX:
        raise wrong
    return number.quantize(_FINEST, ROUND_FLOOR)

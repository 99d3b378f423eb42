"""Exact integers become a statistic that may leave: noise, then arithmetic on noisy numbers only.

Laws: every exact integer is read once, by ``draw``; the cost of each draw, read off OpenDP's map
again, is within what was charged (promise P4); what happens after the draw is post-processing.
A noisy count may be negative and is shown so: clamping would bias every sum of counts that a
reader forms. An average is clamped to the public bounds of its column, where its mean must lie.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import product

from gateway.privacy.accuracy import Miss, margin_of
from gateway.privacy.mechanism import cost_of, draw
from gateway.terms.frame import UnprotectedIntegers
from gateway.terms.plan import Output, OutputKind, StatisticPlan
from gateway.terms.predicate import Literal

MECHANISM = "discrete gaussian"
CONFIDENCE = 0.95
AVERAGE_DIGITS = 3
"""Digits of an average beyond its column's grid."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A noisy value and the half-width of its 95 % interval; the value is None if nothing can be said."""

    value: Decimal | None
    margin: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistic:
    """A protected answer: one row a group, in the plan's order, keys first."""

    columns: tuple[str, ...]
    rows: tuple[Mapping[str, Literal | Cell], ...]


def protect_integers(frame: UnprotectedIntegers, plan: StatisticPlan) -> Statistic:
    """Return the statistic of exact integers under a plan. Draws noise; call it once a charge."""
    _check(frame, plan)
    noisy = [
        draw([group[index] for group in frame.values], measure.scale)
        for index, measure in enumerate(plan.measures)
    ]
    groups = product(*(key.values for key in plan.keys))
    rows = tuple(
        {key.name: value for key, value in zip(plan.keys, group, strict=True)}
        | {output.name: _cell(output, plan, [column[place] for column in noisy]) for output in plan.outputs}
        for place, group in enumerate(groups)
    )
    names = (*(key.name for key in plan.keys), *(output.name for output in plan.outputs))
    return Statistic(columns=names, rows=rows)


def document(statistic: Statistic) -> dict[str, object]:
    """Return the statistic ready for JSON: numbers are ints, or floats where the grid has decimals.

    A float shows a decimal of up to 15 significant digits exactly.
    """
    return {
        "columns": list(statistic.columns),
        "rows": [{name: _shown(value) for name, value in row.items()} for row in statistic.rows],
        "confidence": CONFIDENCE,
        "mechanism": MECHANISM,
    }


def _check(frame: UnprotectedIntegers, plan: StatisticPlan) -> None:
    """Make sure of shape and cost before any noise is drawn; neither depends on a value."""
    width = len(plan.measures)
    if len(frame.values) != plan.groups or any(len(group) != width for group in frame.values):
        raise AssertionError("the frame does not have the plan's shape")
    if any(type(value) is not int for group in frame.values for value in group):
        raise AssertionError("the frame holds something that is not an integer")
    # The other half of the pair is in planning, where the scale was chosen.
    if any(cost_of(measure.scale, measure.sensitivity) > measure.rho for measure in plan.measures):
        raise AssertionError("noise costs more than its measure was charged")
    if sum(measure.rho for measure in plan.measures) > plan.loss.rho:
        raise AssertionError("the measures cost more than the plan was charged")


def _cell(output: Output, plan: StatisticPlan, noisy: list[int]) -> Cell:
    match output.kind:
        case OutputKind.COUNT | OutputKind.SUM:
            (index,) = output.measures
            margin = margin_of(plan.measures[index].scale)
            return Cell(_decimal(noisy[index], output.decimals), _decimal(margin, output.decimals))
        case OutputKind.AVG:
            return _average(output, plan, noisy)


def _average(output: Output, plan: StatisticPlan, noisy: list[int]) -> Cell:
    """Return centre + sum / count, with a margin that covers the mean if both parts are near.

    Each part stays within its 97.5 % margin, so both do in 95 % (Bonferroni). The ratio is monotone
    in either part while the count is positive, so it is furthest off at one of four corners. Where
    the count could be zero nothing is said but that the mean lies between the bounds.
    """
    if output.bounds is None:
        raise AssertionError("an average has bounds")
    low, high = output.bounds
    sum_at, count_at = output.measures
    total, count = noisy[sum_at], noisy[count_at]
    centre = plan.measures[sum_at].centre
    total_off = margin_of(plan.measures[sum_at].scale, Miss.ONE_IN_40)
    count_off = margin_of(plan.measures[count_at].scale, Miss.ONE_IN_40)
    unit: int = 10**AVERAGE_DIGITS
    decimals = output.decimals + AVERAGE_DIGITS
    if count - count_off < 1:
        return Cell(None, _decimal((high - low) * unit // 2, decimals))

    def mean(total: int, count: int) -> Fraction:
        return unit * max(Fraction(low), min(Fraction(high), centre + Fraction(total, count)))

    value = round(mean(total, count))
    corners = [mean(total + t, count + c) for t in (-total_off, total_off) for c in (-count_off, count_off)]
    furthest = max(abs(corner - value) for corner in corners)
    return Cell(_decimal(value, decimals), _decimal(-(-furthest // 1), decimals))


def _decimal(grid: int, decimals: int) -> Decimal:
    return Decimal(grid).scaleb(-decimals)


def _shown(value: Literal | Cell | None) -> object:
    match value:
        case Cell(number, margin):
            return {"value": _shown(number), "margin": _shown(margin)}
        case Decimal():
            # exponent 0: the grid has no decimals
            return int(value) if value.as_tuple().exponent == 0 else float(value)
        case date():
            return value.isoformat()
        case _:
            return value

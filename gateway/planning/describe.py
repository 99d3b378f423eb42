"""What a plan would give and cost, said before it is asked: ``POST .../plan``.

Everything here follows from the plan, hence from public facts: saying it costs nothing and touches
no data. It equals what the charge will be. An average's margin depends on the noisy count and is
not known beforehand.
"""

from dataclasses import asdict
from decimal import Decimal

from gateway.budget import epsilon_of, headline_delta, shown
from gateway.privacy.accuracy import margin_of
from gateway.privacy.release import CONFIDENCE, MECHANISM
from gateway.terms.controlled import FREE, Price
from gateway.terms.plan import LookupPlan, Output, OutputKind, Plan, ProxyPlan, RowsPlan, StatisticPlan
from gateway.terms.treatment import name_of


def describe(plan: Plan, price: Price = FREE) -> dict[str, object]:
    """Return the plan's public side, ready for JSON; losses are decimals in texts, exact.

    ``price`` is the permit's; of what is free nothing is said in money.
    """
    described = _described(plan)
    if price != FREE:
        described["vnd"] = {**asdict(price), "at_most": most_vnd(price, plan)}
    return described


def most_vnd(price: Price, plan: Plan) -> int:
    """Return the most that an answer can come to, in dong."""
    rows = 0 if isinstance(plan, StatisticPlan) else plan.rows_max
    keys = len(plan.keys) if isinstance(plan, LookupPlan) else 0
    return price.per_request + price.per_key * keys + price.per_row * rows * max(keys, 1)


def _described(plan: Plan) -> dict[str, object]:
    match plan:
        case RowsPlan() | ProxyPlan():
            return _rows(plan)
        case LookupPlan():
            return _lookup(plan)
        case StatisticPlan():
            return _statistic(plan)


def _rows(plan: RowsPlan | ProxyPlan) -> dict[str, object]:
    return {
        "kind": "rows",
        "dataset": plan.dataset.id,
        "columns": [{"name": name, "treatment": name_of(treatment)} for name, treatment in plan.columns],
        "rows_max": plan.rows_max,
        "price": {"rho": "0"},
        "digest": plan.digest,
    }


def _lookup(plan: LookupPlan) -> dict[str, object]:
    return {
        "kind": "lookup",
        "dataset": plan.dataset.id,
        "columns": [{"name": name, "treatment": name_of(treatment)} for name, treatment in plan.columns],
        "by": list(plan.by),
        "rows_max": plan.rows_max * len(plan.keys),
        "price": {"keys": plan.loss.keys},
        "release_after_s": plan.release_after_s,
        "digest": plan.digest,
    }


def _statistic(plan: StatisticPlan) -> dict[str, object]:
    unit = plan.dataset.unit
    if unit is None:
        raise AssertionError("a statistic has a privacy unit")
    delta = headline_delta(unit.units_max)
    return {
        "kind": "statistic",
        "dataset": plan.dataset.id,
        "groups": plan.groups,
        "keys": [key.name for key in plan.keys],
        "values": [_value(output, plan) for output in plan.outputs],
        "price": {
            "rho": shown(plan.loss.rho),
            "epsilon": str(epsilon_of(plan.loss.rho, delta)),
            "delta": f"{delta:f}",
        },
        "person": {"column": unit.column, "rows_max": unit.rows_max} if unit.column else "each row",
        "confidence": CONFIDENCE,
        "mechanism": MECHANISM,
        "release_after_s": plan.release_after_s,
        "digest": plan.digest,
    }


def _value(output: Output, plan: StatisticPlan) -> dict[str, object]:
    said: dict[str, object] = {"name": output.name, "kind": str(output.kind)}
    if output.kind is OutputKind.AVG:
        return said | {"margin": None, "margin_depends_on": "the noisy count"}
    (index,) = output.measures
    margin = margin_of(plan.measures[index].scale)
    shown_margin = Decimal(margin).scaleb(-output.decimals)
    return said | {"margin": float(shown_margin) if output.decimals else margin}

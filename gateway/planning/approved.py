"""What a person approved of a saved request besides its bytes: what the rules made of it on that day.

Rules are revised while an approval lasts. The bytes of the request stay, but what leaves by them may grow:
more columns, another treatment, more rows, another filter of the owner. So the approval names all of that,
and a run for which it reads otherwise is refused, be it wider or narrower. Prices are not part of it: they
may fall, and are held against what the person was shown (``SavedRun``). Nor is the revision's number.
"""

from gateway.errors import NotPermitted
from gateway.planning.describe import most_vnd
from gateway.planning.normal import data_of, digest_of, form_of
from gateway.terms.caller import SavedRun
from gateway.terms.permit import Permit, Reason
from gateway.terms.plan import LookupPlan, Plan, ProxyPlan, RowsPlan, StatisticPlan
from gateway.terms.treatment import spelled


def effect_of(plan: Plan) -> str:
    """Return the SHA-256 (hex) of what a plan lets leave, prices and revision left out."""
    return digest_of(
        {"lineage": plan.dataset.source.lineage, "rows": data_of(plan.predicate), "of": _of(plan)}
    )


def require_as_approved(plan: Plan, permit: Permit, run: SavedRun) -> None:
    """Make sure that a run is what the person was shown.

    Raises:
        NotPermitted: It is another thing by the rules of now, or costs more.

    """
    if effect_of(plan) != run.effect:
        raise NotPermitted(
            "the sharing rules make something else of this request than was approved",
            reason=Reason.DIFFERS_FROM_APPROVED,
            rules=permit.rules,
        )
    costs = plan.loss.rho if isinstance(plan, StatisticPlan) else 0
    if costs > run.pico_rho_max or most_vnd(permit.price, plan) > run.vnd_max:
        raise NotPermitted(
            "a run costs more than was approved", reason=Reason.COSTS_MORE_THAN_APPROVED, rules=permit.rules
        )


def _of(plan: Plan) -> object:
    match plan:
        case RowsPlan():
            return ["rows", _columns(plan), plan.rows_max]
        case ProxyPlan():
            sent = [[name, value] for name, value in plan.parameters]
            return ["proxy", _columns(plan), plan.rows_max, plan.path, sent, plan.rows_pointer]
        case StatisticPlan():
            keys = [[key.column.name, [form_of(value) for value in key.values]] for key in plan.keys]
            measures = [[each.kind, each.column, each.centre, each.sensitivity] for each in plan.measures]
            return ["statistic", keys, measures]
        case LookupPlan():
            raise AssertionError("a lookup is never saved")


def _columns(plan: RowsPlan | ProxyPlan) -> list[list[str]]:
    return [[name, spelled(treatment)] for name, treatment in plan.columns]

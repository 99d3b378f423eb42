"""Which requests are controlled transactions (giao dịch có kiểm soát): a person must approve them first.

Judged on the plan, so on public facts alone, before anything is charged or read. How many rows earlier
pages gave is not known here, so a page after the first counts as more than any number. Nobody can approve
a request yet: what hits a trigger is refused, and never passes silently (promise P3).
"""

from gateway.errors import NotPermitted
from gateway.planning.normal import normal
from gateway.terms.controlled import Trigger
from gateway.terms.identifiers import ColumnName
from gateway.terms.permit import Permit, Reason
from gateway.terms.plan import LookupPlan, MeasureKind, Plan, RowsPlan, StatisticPlan
from gateway.terms.predicate import AllOf, Predicate, columns_of


def require_uncontrolled(plan: Plan, permit: Permit) -> None:
    """Make sure that no trigger of the document is hit.

    Raises:
        NotPermitted: One is; its reason is ``APPROVAL_NEEDED``.

    """
    for trigger in permit.triggers:
        if _hits(trigger, plan, permit):
            raise NotPermitted(
                f"{_words(trigger)} needs the publisher's approval, which nobody can give yet",
                reason=Reason.APPROVAL_NEEDED,
                rules=permit.rules,
            )


def _hits(trigger: Trigger, plan: Plan, permit: Permit) -> bool:
    if trigger.action is not None and trigger.action is not permit.action:
        return False
    if trigger.column is not None and trigger.column not in _named(plan, permit):
        return False
    return trigger.rows_over is None or _may_exceed(plan, trigger.rows_over)


def _may_exceed(plan: Plan, rows: int) -> bool:
    """Return whether more rows could leave; `check` lets rows be counted of an extract only."""
    return not isinstance(plan, RowsPlan) or plan.rows_max > rows or plan.after is not None


def _named(plan: Plan, permit: Permit) -> frozenset[ColumnName]:
    """Return the columns that the question is about.

    The owner's own filter asks nothing, nor does the bounding of what each person contributes. More than
    groups, measures and a condition no statistic can say (``sql.py``).
    """
    if isinstance(plan, StatisticPlan):
        told = [key.column.name for key in plan.keys]
        told += [measure.column for measure in plan.measures if measure.column is not None]
        counts_persons = any(measure.kind is MeasureKind.UNITS for measure in plan.measures)
        if counts_persons and (unit := plan.dataset.unit) and unit.column is not None:
            told.append(unit.column)
    else:
        told = [name for name, _ in plan.columns]
        told += plan.by if isinstance(plan, LookupPlan) else ()
    owners = _conjuncts(normal(permit.rows))
    firms = (part for part in _conjuncts(normal(plan.predicate)) if part not in owners)
    return frozenset(told).union(*map(columns_of, firms))


def _conjuncts(predicate: Predicate) -> tuple[Predicate, ...]:
    """Return the parts of a condition in its one form: what ``both`` joined."""
    return predicate.parts if isinstance(predicate, AllOf) else (predicate,)


def _words(trigger: Trigger) -> str:
    words = "this" if trigger.action is None else f"to {trigger.action} this"
    if trigger.rows_over is not None:
        words += f" beyond {trigger.rows_over} rows, or page after page,"
    if trigger.column is not None:
        words += f" with `{trigger.column}`"
    return words

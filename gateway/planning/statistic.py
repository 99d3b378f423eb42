"""A statistic's question becomes a plan: measures, noise and price, from public facts alone (P4, P5).

Body: ``{"sql": "...", "rho" | "epsilon" | "margin": decimal}``; the last is optional, and asking
nothing means all that the permit allows one question. Equal measures are computed once and paid
once. An average is a sum of distances from the middle of its column's bounds, divided by a count:
that halves its noise. What SQL may say is in ``sql.py``; nothing here reads data or a clock.
"""

from dataclasses import dataclass

from gateway.budget import total
from gateway.errors import MalformedRequest, QuestionRefused
from gateway.planning.body import members_of
from gateway.planning.condition import predicate_of_sql
from gateway.planning.names import column_named, word
from gateway.planning.normal import both, check_size, data_of, digest_of, form_of
from gateway.planning.price import WAYS, ByMargin, Need, asked_of, shares
from gateway.planning.sql import Item, Name, Select, select_of
from gateway.privacy.mechanism import VALUE_MAX, cost_of, scale_for
from gateway.privacy.sensitivity import l2_sensitivity
from gateway.terms.dataset import Column, ColumnType, Dataset, PrivacyUnit
from gateway.terms.loss import Loss, PicoDelta, PicoRho
from gateway.terms.permit import Function, Permit
from gateway.terms.plan import GroupKey, Measure, MeasureKind, Output, OutputKind, StatisticPlan
from gateway.terms.predicate import EVERY_ROW, Predicate
from gateway.terms.query import Action
from gateway.terms.treatment import Keep

OUTPUTS_MAX = 20
SLOTS: tuple[tuple[int, int, float], ...] = (
    (10**6, 5_000, 1.0),
    (10**7, 50_000, 4.0),
    (10**8, 200_000, 16.0),
)
"""Rows that can count at most, noisy integers at most, seconds until the reply leaves.

A noisy integer takes 14 microseconds of one core: a tenth of the slot is left to noise at most.
"""
SLOT_LAST_S = 64.0
CELLS_MAX = 10**6


@dataclass(frozen=True, slots=True)
class _Draft:
    """A measure before its price; equal drafts are one measure."""

    kind: MeasureKind
    column: Column | None = None
    centre: int = 0

    @property
    def order(self) -> tuple[str, str, int]:
        return (self.kind, self.column.name if self.column else "", self.centre)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A shown column and the drafts it is made from."""

    name: str
    kind: OutputKind
    drafts: tuple[_Draft, ...]
    column: Column | None


@dataclass(frozen=True, slots=True)
class _Scope:
    """What a question may name."""

    permit: Permit
    unit: PrivacyUnit
    columns: tuple[Column, ...]

    def find(self, name: Name) -> Column:
        if self.unit.column is not None and name.text == self.unit.column:
            raise QuestionRefused(
                "the column that tells persons apart is only counted",
                about=word(name.text),
                nearest=f"COUNT(DISTINCT {self.unit.column})",
            )
        return column_named(name.text, self.columns, exact=name.quoted)


def plan_statistic(body: bytes, permit: Permit) -> StatisticPlan:
    """Return the plan of one statistical question. Pure: equal arguments, equal plan.

    Raises:
        MalformedRequest: The body does not have the form above.
        QuestionRefused: It asks for something that is not offered, or not here.

    """
    if permit.action is not Action.AGGREGATE:
        raise AssertionError("a statistic needs leave to aggregate")
    members = members_of(body, allowed=("sql", *WAYS))
    text = members.get("sql")
    if not isinstance(text, str):
        raise MalformedRequest("`sql` is a text")
    scope = _scope_of(permit)
    at_most = permit.loss_max.rho
    asked = asked_of(members, units_max=scope.unit.units_max, at_most=at_most)

    select = select_of(text)
    _check_source(select.source, permit.dataset)
    condition = EVERY_ROW if select.where is None else predicate_of_sql(select.where, scope.find)
    check_size(condition)
    keys, wanted = _keys(select, scope), _wanted(select, scope)
    if isinstance(asked, ByMargin) and any(output.kind is OutputKind.AVG for output in wanted):
        raise QuestionRefused("an average is asked by `rho` or `epsilon`", about="margin", nearest="rho")
    groups = _groups(keys, permit.groups_max)

    drafts = tuple(sorted({d for output in wanted for d in output.drafts}, key=lambda d: d.order))
    needs = tuple(
        Need(_sensitivity(draft, scope.unit, groups), draft.column.decimals if draft.column else 0)
        for draft in drafts
    )
    rhos = shares(asked, needs, at_most=at_most)
    measures = tuple(map(_measure, drafts, needs, rhos))
    loss = total(tuple(Loss(measure.rho, PicoDelta(0)) for measure in measures))
    predicate = both(permit.rows, condition)
    return StatisticPlan(
        dataset=permit.dataset,
        predicate=predicate,
        keys=keys,
        measures=measures,
        outputs=tuple(_output(output, drafts) for output in wanted),
        loss=loss,
        release_after_s=release_after_s(scope.unit, _cells(groups, measures)),
        digest=_digest(permit.dataset, predicate, keys, measures),
    )


def _cells(groups: int, measures: tuple[Measure, ...]) -> int:
    cells = groups * len(measures)
    if cells > CELLS_MAX:
        raise QuestionRefused(
            f"that is {cells} noisy numbers, at most {CELLS_MAX} are drawn", about="GROUP BY"
        )
    return cells


def release_after_s(unit: PrivacyUnit, cells: int) -> float:
    """Return how long after its charge a reply leaves: public sizes decide, never the data (P5)."""
    rows = unit.units_max * unit.rows_max
    for rows_max, cells_max, seconds in SLOTS:
        if rows <= rows_max and cells <= cells_max:
            return seconds
    return SLOT_LAST_S


def grid_bounds(column: Column) -> tuple[int, int]:
    """Return the bounds of a numeric column on its grid.

    Raises:
        QuestionRefused: It has none that statistics can use.

    """
    if column.type not in {ColumnType.INTEGER, ColumnType.DECIMAL}:
        raise QuestionRefused(f"`{column.name}` is not a number", about=column.name)
    if column.bounds is None:
        raise QuestionRefused(f"`{column.name}` has no public bounds", about=column.name)
    low, high = (bound.scaleb(column.decimals) for bound in column.bounds)
    if low != int(low) or high != int(high) or low > high:
        raise QuestionRefused(f"the bounds of `{column.name}` are not on its grid", about=column.name)
    return int(low), int(high)


def _scope_of(permit: Permit) -> _Scope:
    unit = permit.dataset.unit
    if unit is None:
        raise QuestionRefused("this dataset offers no statistics", about="sql")
    kept = {name for name, treatment in permit.columns if isinstance(treatment, Keep)}
    columns = tuple(c for c in permit.dataset.columns if c.name in kept and c.name != unit.column)
    return _Scope(permit, unit, columns)


def _check_source(names: tuple[str, ...], dataset: Dataset) -> None:
    accepted = {"data", dataset.id.casefold(), dataset.id.rsplit(".", 1)[-1].casefold()}
    if ".".join(names).casefold() not in accepted:
        raise QuestionRefused(
            "a question is FROM the dataset it is sent to", about=word(".".join(names)), nearest="data"
        )


def _keys(select: Select, scope: _Scope) -> tuple[GroupKey, ...]:
    """Return the keys in the order of GROUP BY, named as the SELECT list names them."""
    shown: dict[str, str] = {}
    for item in select.items:
        if item.function is None and item.column is not None:
            column = scope.find(item.column)
            if column.name in shown:
                raise QuestionRefused("a column is shown twice", about=column.name)
            shown[column.name] = item.alias or column.name
    grouped = [scope.find(name) for name in select.group]
    if len({column.name for column in grouped}) != len(grouped):
        raise QuestionRefused("a column is grouped by twice", about="GROUP BY")
    for column in grouped:
        if column.name not in shown:
            raise QuestionRefused(f"`{column.name}` is grouped by but not shown", about=column.name)
        if not column.values:
            raise QuestionRefused(f"`{column.name}` has no public list to group by", about=column.name)
    missing = shown.keys() - {column.name for column in grouped}
    if missing:
        raise QuestionRefused(f"`{min(missing)}` is shown but not grouped by", about=min(missing))
    return tuple(GroupKey(column=c, name=shown[c.name], values=c.values) for c in grouped)


def _wanted(select: Select, scope: _Scope) -> tuple[_Wanted, ...]:
    wanted = tuple(_want(item, item.function, scope) for item in select.items if item.function is not None)
    if not wanted:
        raise QuestionRefused("a question asks for a COUNT, SUM or AVG", about="SELECT", nearest="COUNT(*)")
    if len(wanted) > OUTPUTS_MAX:
        raise QuestionRefused(f"a question asks for at most {OUTPUTS_MAX} values", about="SELECT")
    plain = [item for item in select.items if item.function is None]
    names = [item.alias or (item.column.text if item.column else "") for item in plain]
    names += [output.name for output in wanted]
    folded = [name.casefold() for name in names]
    twice = next((name for name in names if folded.count(name.casefold()) > 1), None)
    if twice is not None:
        raise QuestionRefused("two columns have one name: give an alias", about=word(twice))
    return wanted


def _want(item: Item, function: Function, scope: _Scope) -> _Wanted:
    if function not in scope.permit.functions:
        raise QuestionRefused(f"`{function.upper()}` is not permitted here", about=function.upper())
    if item.column is None:
        return _Wanted(item.alias or "count", OutputKind.COUNT, (_Draft(MeasureKind.ROWS),), None)
    if item.distinct:
        return _persons(item, item.column, scope)
    column = scope.find(item.column)
    name = item.alias or f"{function}_{column.name}"
    match function:
        case Function.COUNT:
            return _Wanted(name, OutputKind.COUNT, (_Draft(MeasureKind.VALUES, column),), None)
        case Function.SUM:
            return _Wanted(name, OutputKind.SUM, (_Draft(MeasureKind.SUM, column),), column)
        case Function.AVG:
            centre = sum(grid_bounds(column)) // 2
            drafts = (_Draft(MeasureKind.SUM, column, centre), _Draft(MeasureKind.VALUES, column))
            return _Wanted(name, OutputKind.AVG, drafts, column)


def _persons(item: Item, name: Name, scope: _Scope) -> _Wanted:
    unit = scope.unit.column
    if unit is None:
        raise QuestionRefused(
            "each row is one person here, so rows are counted", about=word(name.text), nearest="COUNT(*)"
        )
    if name.text != unit and (name.quoted or name.text.casefold() != unit.casefold()):
        raise QuestionRefused(
            "only persons are counted distinctly", about=word(name.text), nearest=f"COUNT(DISTINCT {unit})"
        )
    return _Wanted(
        item.alias or f"count_distinct_{unit}", OutputKind.COUNT, (_Draft(MeasureKind.UNITS),), None
    )


def _groups(keys: tuple[GroupKey, ...], groups_max: int) -> int:
    groups = 1
    for key in keys:
        groups *= len(key.values)
    if groups > groups_max:
        raise QuestionRefused(f"that is {groups} groups, at most {groups_max} are given", about="GROUP BY")
    return groups


def _sensitivity(draft: _Draft, unit: PrivacyUnit, groups: int) -> int:
    reach = largest = 1
    if draft.kind is MeasureKind.SUM and draft.column is not None:
        low, high = grid_bounds(draft.column)
        reach = max(abs(low - draft.centre), abs(high - draft.centre))
        largest = max(abs(low), abs(high), reach)
    if unit.units_max * unit.rows_max * largest >= VALUE_MAX:
        raise QuestionRefused(
            "the largest possible answer does not fit into 62 bits",
            about=draft.column.name if draft.column else "COUNT",
        )
    return l2_sensitivity(draft.kind, rows_max=unit.rows_max, groups=groups, reach=reach)


def _measure(draft: _Draft, need: Need, rho: PicoRho) -> Measure:
    scale = scale_for(rho, need.sensitivity)
    # The other half of the pair is in privacy, before the draw.
    if cost_of(scale, need.sensitivity) > rho:
        raise AssertionError("noise costs more than its measure is charged")
    return Measure(
        kind=draft.kind,
        column=draft.column.name if draft.column else None,
        centre=draft.centre,
        sensitivity=need.sensitivity,
        scale=scale,
        rho=rho,
    )


def _output(wanted: _Wanted, drafts: tuple[_Draft, ...]) -> Output:
    return Output(
        name=wanted.name,
        kind=wanted.kind,
        measures=tuple(drafts.index(draft) for draft in wanted.drafts),
        decimals=wanted.column.decimals if wanted.column else 0,
        bounds=grid_bounds(wanted.column) if wanted.column else None,
    )


def _digest(
    dataset: Dataset, predicate: Predicate, keys: tuple[GroupKey, ...], measures: tuple[Measure, ...]
) -> str:
    """Return the digest of the effective question: names and order of what is shown are not part of it."""
    return digest_of(
        {
            "dataset": [dataset.id, dataset.revision, dataset.digest, dataset.source.lineage],
            "rows": data_of(predicate),
            "keys": [[key.column.name, [form_of(value) for value in key.values]] for key in keys],
            "measures": [
                [m.kind, m.column, m.centre, m.sensitivity, float(m.scale).hex(), m.rho] for m in measures
            ],
        }
    )

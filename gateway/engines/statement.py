"""A plan as one SQL statement over a prepared snapshot: bound constants, a fixed order of steps.

Statistic: rows that count -> filter -> group -> integers; ``preparation.py`` has typed, bounded and
clamped already. Rows: the wanted places -> filter -> by rank; ``pages.py`` says which places are wanted.
A snapshot is named by the table that holds it.
"""

from gateway.engines.condition import Aliases, condition
from gateway.engines.preparation import INTEGER_LIMIT, Statement, grid_bounds, place_of
from gateway.engines.typed import Parameters, constants, type_of
from gateway.terms.dataset import Column, ColumnType, Dataset, PrivacyUnit
from gateway.terms.identifiers import ColumnName
from gateway.terms.plan import GroupKey, LookupPlan, Measure, MeasureKind, RowsPlan, StatisticPlan
from gateway.terms.predicate import columns_of


def page_statement(plan: RowsPlan, snapshot: str, rows_max: int) -> Statement:
    """Return the statement of the chosen rows of the table ``wanted`` (``place``, ``rank``), by rank.

    The last column is the rank.
    """
    parameters = Parameters()
    leaving = [name for name, _ in plan.columns]
    aliases = _aliases(plan.dataset, frozenset(leaving) | columns_of(plan.predicate))
    where = condition(plan.predicate, aliases, parameters)
    shown = ", ".join([*(aliases[name][0] for name in leaving), "rank"])
    sql = (
        f"SELECT {shown} FROM wanted JOIN {snapshot} ON position = place WHERE {where} "  # noqa: S608
        f"ORDER BY rank LIMIT {parameters.bind(rows_max)}"
    )
    return Statement(sql, parameters.values)


def chosen_statement(plan: RowsPlan, snapshot: str) -> Statement:
    """Return the statement of the places of all rows that the plan's condition chooses."""
    parameters = Parameters()
    where = condition(plan.predicate, _aliases(plan.dataset, columns_of(plan.predicate)), parameters)
    return Statement(f"SELECT position FROM {snapshot} WHERE {where}", parameters.values)  # noqa: S608


def tried_statement(plan: LookupPlan, snapshot: str) -> Statement:
    """Return the statement of the places that each key finds; one plan for all keys, found or not.

    A value that its column cannot hold is NULL, which equals nothing. Texts are compared in NFC, in which
    the planner wrote its own and the preparation the stored ones.
    """
    parameters = Parameters()
    aliases = _aliases(plan.dataset, frozenset(plan.by) | columns_of(plan.predicate))
    tried = []
    for number, key in enumerate(plan.keys, 1):
        cells = [f"CAST({parameters.bind(number)} AS BIGINT)"]
        for name, value in zip(plan.by, key, strict=True):
            column = aliases[name][1]
            (bound,) = constants((value,), column)
            cells.append(f"CAST({parameters.bind(bound)} AS {type_of(column)})")
        tried.append(f"({', '.join(cells)})")
    names = ", ".join(f"v{at}" for at in range(len(plan.by)))
    equal = " AND ".join(f"{_spelt(*aliases[name])} = v{at}" for at, name in enumerate(plan.by))
    sql = (
        f"SELECT number, position FROM (VALUES {', '.join(tried)}) AS tried (number, {names}) "  # noqa: S608
        f"JOIN {snapshot} ON {equal} WHERE {condition(plan.predicate, aliases, parameters)}"
    )
    return Statement(sql, parameters.values)


def found_statement(plan: LookupPlan, snapshot: str) -> Statement:
    """Return the statement of the rows of the table ``found`` (``nth``, ``group``, ``place``), in its order.

    The last column is the group.
    """
    leaving = [name for name, _ in plan.columns]
    aliases = _aliases(plan.dataset, frozenset(leaving))
    shown = ", ".join([*(aliases[name][0] for name in leaving), '"group"'])
    return Statement(f"SELECT {shown} FROM found JOIN {snapshot} ON position = place ORDER BY nth", {})  # noqa: S608


def _spelt(alias: str, column: Column) -> str:
    """Return a column's value as it is compared with a key; ``c<n>`` has its composed spelling beside it."""
    return f"coalesce(n{alias[1:]}, {alias})" if column.type is ColumnType.TEXT else alias


def statistic_statement(plan: StatisticPlan, snapshot: str) -> Statement:
    """Return the statement of a statistic: a row a group with rows, key places first, then measures.

    Raises:
        ValueError: The plan asks for what has no exact integer (no unit, no bounds, no public list).

    """
    unit = plan.dataset.unit
    if unit is None:
        raise ValueError("statistics need a privacy unit")
    parameters = Parameters()
    aliases = _aliases(plan.dataset, columns_of(plan.predicate))
    where = condition(plan.predicate, aliases, parameters)
    places = [_place(key, plan.dataset) for key in plan.keys]
    measures = [_measure(measure, plan.dataset, unit, parameters) for measure in plan.measures]
    listed = "".join(f" AND {place} IS NOT NULL" for place in places)  # other rows are in no group
    sql = f"SELECT {', '.join([*places, *measures])} FROM {snapshot} WHERE counts{listed} AND {where}" + (  # noqa: S608
        f" GROUP BY {', '.join(places)}" if places else ""
    )
    return Statement(sql, parameters.values)


def _aliases(dataset: Dataset, names: frozenset[ColumnName]) -> Aliases:
    return {name: (f"c{at}", dataset.columns[at]) for name in names for at in (place_of(dataset, name),)}


def _place(key: GroupKey, dataset: Dataset) -> str:
    at = place_of(dataset, key.column.name)
    if not key.values or key.values != dataset.columns[at].values:
        raise ValueError("groups are the column's public list")
    return f"k{at}"


def _measure(measure: Measure, dataset: Dataset, unit: PrivacyUnit, parameters: Parameters) -> str:
    if measure.kind is MeasureKind.ROWS:
        return "count(*)"
    if measure.kind is MeasureKind.UNITS:
        if unit.column is None:
            raise ValueError("only persons that a column tells apart are counted distinctly")
        # A row without a number is its person's only one, so it is counted without remembering whom.
        return "count(*)" if unit.rows_max == 1 else "count(*) - count(person) + count(DISTINCT person)"
    if measure.column is None:
        raise ValueError("this measure needs a column")
    at = place_of(dataset, measure.column)
    if measure.kind is MeasureKind.VALUES:
        return f"count(c{at})"
    bounds = grid_bounds(dataset.columns[at])
    if bounds is None or not max(map(abs, bounds)) + abs(measure.centre) < INTEGER_LIMIT:
        raise ValueError("a sum needs a number with public bounds that fit the grid")
    return f"coalesce(sum(g{at} - CAST({parameters.bind(measure.centre)} AS BIGINT)), 0)"

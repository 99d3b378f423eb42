"""Where a row filter meets a firm's own predicate on a masked column, answers tell nothing of raw values.

Two tables differ in nothing but what the masks hide: each hidden value is another one of those that its
mask makes the same, and the owner's filter, which sees raw values, takes the same rows of both. Whatever a
firm asks (any condition over any columns, kept, masked, dropped or not there), both tables give the same
rows and the same integers, or the same refusal. Through the real plan, engine and masks.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import Malformed
from gateway.masking.mask import protect_rows
from gateway.planning.rows import plan_rows
from gateway.planning.statistic import plan_statistic
from gateway.pseudonym import PseudonymKey
from gateway.terms.dataset import Column, ColumnType, Dataset
from gateway.terms.identifiers import ColumnName, DatasetId, RuleId
from gateway.terms.loss import Caps, Loss, PicoDelta, PicoRho
from gateway.terms.permit import Function, Permit
from gateway.terms.predicate import AllOf, Comparator, Comparison
from gateway.terms.query import Action
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
)

PAIRS, ROWS = 3, 40
PSEUDONYMS = PseudonymKey(bytes(32))
TYPES = {
    "person": ColumnType.TEXT,
    "area": ColumnType.TEXT,
    "age": ColumnType.INTEGER,
    "name": ColumnType.TEXT,
    "income": ColumnType.INTEGER,
    "born": ColumnType.DATE,
    "ward": ColumnType.TEXT,
    "phone": ColumnType.TEXT,
    "status": ColumnType.TEXT,
    "unwritten": ColumnType.INTEGER,
}
TREATMENTS = {
    "person": Tokenise("x"),
    "area": Keep(),
    "age": Keep(),
    "name": Redact(),
    "income": Band(10),
    "born": Precision(DatePrecision.YEAR),
    "ward": Prefix(2),
    "phone": Partial(0, 2),
    "status": Drop(),
}
LISTS = {"area": ("n", "s"), "name": ("a", "b"), "status": ("free", "paid", "secret")}
BOUNDS = {"age": (Decimal(0), Decimal(90)), "income": (Decimal(0), Decimal(100))}
COLUMNS = tuple(
    Column(
        name=ColumnName(name),
        type=kind,
        meaning="",
        personal="basic",
        bounds=BOUNDS.get(name),
        values=LISTS.get(name, ()),
    )
    for name, kind in TYPES.items()
)
FILTER = AllOf(
    (
        Comparison(
            ColumnName("income"), Comparator.AT_LEAST, (20,)
        ),  # an edge of the bands: it tells no two apart
        Comparison(ColumnName("status"), Comparator.NOT_EQUAL, ("secret",)),
    )
)
HIDDEN = {
    "name": lambda random, _: random.choice("abcdef"),
    "income": lambda random, raw: str(int(raw) // 10 * 10 + random.randrange(10)),
    "born": lambda random, raw: f"{raw[:4]}-{random.randint(1, 12):02}-{random.randint(1, 28):02}",
    "ward": lambda random, raw: raw[:2] + random.choice("0123456789") * 3,
    "phone": lambda random, raw: "".join(random.choices("0123456789", k=8)) + raw[-2:],
    "status": lambda random, raw: raw if raw == "secret" else random.choice(["free", "paid"]),
    "unwritten": lambda random, _: str(random.randrange(100)),
}


def a_pair(seed: int) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Two tables that look the same behind the masks."""
    random = Random(seed)  # noqa: S311 - invented people
    one = [
        {
            "person": f"p{number}",
            "area": random.choice("ns"),
            "age": str(random.randrange(90)),
            "name": "a",
            "income": str(random.randrange(100)),
            "born": f"19{random.randrange(50, 54)}-01-01",
            "ward": random.choice(["0107", "0209"]) + "0",
            "phone": "09120000" + random.choice(["17", "18"]),
            "status": random.choice(["free", "paid", "secret"]),
            "unwritten": "1",
        }
        for number in range(ROWS)
    ]
    other = [row | {name: change(random, row[name]) for name, change in HIDDEN.items()} for row in one]
    return one, other


def loss(rho: int) -> Loss:
    return Loss(PicoRho(rho), PicoDelta(0))


def a_permit(dataset: Dataset, action: Action) -> Permit:
    rows = action is Action.EXTRACT
    treatments = TREATMENTS if rows else {name: Keep() for name in ("area", "age")}
    return Permit(
        rules=frozenset({RuleId("r")}),
        action=action,
        dataset=dataset,
        columns=tuple((ColumnName(name), how) for name, how in treatments.items() if how != Drop()),
        rows=FILTER,
        functions=frozenset() if rows else frozenset(Function),
        rows_max=1000 if rows else 0,
        groups_max=0 if rows else 10,
        loss_max=loss(0 if rows else 10**10),
        caps=None if rows else Caps(lineage=loss(10**12), organisation=loss(10**12), client=loss(10**12)),
    )


@pytest.fixture(scope="module")
def pairs(bench: Any) -> list[tuple[Dataset, Dataset]]:
    found = []
    for seed in range(PAIRS):
        datasets = []
        for side, rows in zip("ab", a_pair(seed), strict=True):
            path = f"{seed}{side}.parquet"
            bench.put(path, list(TYPES), [list(row.values()) for row in rows])
            datasets.append(replace(bench.a_dataset(path, COLUMNS), id=DatasetId(f"d{seed}{side}")))
        found.append((datasets[0], datasets[1]))
    return found


NAMES = st.sampled_from([*TYPES, "not_there"])
CONSTANTS: dict[str, st.SearchStrategy[object]] = {
    "person": st.integers(0, ROWS).map(lambda number: f"p{number}"),
    "name": st.sampled_from("abcdef"),
    "status": st.sampled_from(["free", "paid", "secret"]),
    "born": st.dates().map(str) | st.sampled_from(["1951-01-01", "1952-06-01"]),
    "ward": st.sampled_from(["01070", "0107", "01", "01111"]),
    "phone": st.sampled_from(["0912000017", "17", "********17"]),
    "area": st.sampled_from("nsx"),
}
ORDERS = st.sampled_from(["equals", "not_equals", "less", "at_most", "more", "at_least"])


@st.composite
def comparisons(draw: Callable[..., Any]) -> dict[str, object]:
    name = draw(NAMES)
    values = CONSTANTS.get(name, st.integers(-5, 105))
    match draw(st.sampled_from(["in", "is_null", "order", "order"])):
        case "in":
            return {"column": name, "in": draw(st.lists(values, min_size=1, max_size=3))}
        case "is_null":
            return {"column": name, "is_null": True}
        case _:
            return {"column": name, draw(ORDERS): draw(values)}


CONDITIONS = st.recursive(
    comparisons(),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"all": parts})
        | st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"any": parts})
        | inner.map(lambda part: {"not": part})
    ),
    max_leaves=4,
)
ASKED = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def rows_answer(bench: Any, dataset: Dataset, asked: dict[str, object]) -> object:
    """What a firm gets: masked rows whatever their order, or the refusal's words."""
    try:
        plan = plan_rows(
            json.dumps(asked).encode(), a_permit(dataset, Action.EXTRACT), order_key=bytes(32), unseal=bytes
        )
    except Malformed as error:
        return type(error).__name__, error.detail, error.members()
    masked = protect_rows(bench.ask(plan), plan.columns, pseudonyms=PSEUDONYMS, recipient="firm").columns
    return sorted(map(repr, zip(*masked.values(), strict=True)))


def statistic_answer(bench: Any, dataset: Dataset, sql: str) -> object:
    """The exact integers, before any noise: so nothing is hidden by chance."""
    try:
        plan = plan_statistic(json.dumps({"sql": sql}).encode(), a_permit(dataset, Action.AGGREGATE))
    except Malformed as error:
        return type(error).__name__, error.detail, error.members()
    return bench.ask(plan).values


@ASKED
@given(
    st.integers(0, PAIRS - 1), CONDITIONS, st.lists(NAMES, min_size=1, max_size=3, unique=True) | st.none()
)
def test_p3_no_condition_of_a_firm_tells_raw_values_apart(
    bench: Any, pairs: Any, pair: int, where: object, select: list[str] | None
) -> None:
    """Promise P3."""
    asked = {"where": where, "limit": 1000} | ({} if select is None else {"select": select})

    one, other = (rows_answer(bench, dataset, asked) for dataset in pairs[pair])

    assert one == other


@ASKED
@given(st.integers(0, PAIRS - 1), comparisons(), st.tuples(NAMES, NAMES))
def test_p3_no_statistic_of_a_firm_tells_what_no_permit_names_apart(
    bench: Any, pairs: Any, pair: int, condition: dict[str, Any], names: tuple[str, str]
) -> None:
    """Promise P3."""
    group, measured = names
    name = condition.pop("column")
    ((word, value),) = condition.items()
    signs = {"equals": "=", "not_equals": "<>", "less": "<", "at_most": "<=", "more": ">", "at_least": ">="}
    quoted = f"'{value}'" if isinstance(value, str) else str(value)
    where = f"{name} {signs[word]} {quoted}" if word in signs else f"{name} IS NULL"
    sql = f"SELECT {group}, COUNT(*), SUM({measured}) AS s FROM data WHERE {where} GROUP BY {group}"  # noqa: S608

    one, other = (statistic_answer(bench, dataset, sql) for dataset in pairs[pair])

    assert one == other


def test_the_pairs_differ_where_masks_hide_and_firms_are_answered(bench: Any, pairs: Any) -> None:
    """Else the properties above would say nothing."""
    one, other = a_pair(0)
    kept = {"where": {"column": "age", "less": 60}, "limit": 1000}
    sql = "SELECT area, COUNT(*), SUM(age) AS s FROM data WHERE age < 60 GROUP BY area"

    assert all(
        sum(a[name] != b[name] for a, b in zip(one, other, strict=True)) > ROWS // 4 for name in HIDDEN
    )
    answered = rows_answer(bench, pairs[0][0], kept)
    assert isinstance(answered, list)
    assert 5 < len(answered) < ROWS
    assert sum(count for count, *_ in statistic_answer(bench, pairs[0][0], sql)) == len(answered)  # type: ignore[attr-defined]

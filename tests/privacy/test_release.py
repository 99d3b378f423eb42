"""What leaves: noisy values with honest margins, and no failure that depends on a value."""

import dataclasses
import json
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.privacy.mechanism import scale_for
from gateway.privacy.release import Cell, _average, document, protect_integers
from gateway.terms.dataset import (
    Column,
    ColumnType,
    Dataset,
    Personal,
    PrivacyUnit,
    Source,
    SourceFormat,
    Title,
)
from gateway.terms.frame import UnprotectedIntegers
from gateway.terms.identifiers import ColumnName, DatasetId, LineageId, OrgId
from gateway.terms.loss import Loss, PicoDelta, PicoRho
from gateway.terms.plan import GroupKey, Measure, MeasureKind, Output, OutputKind, StatisticPlan
from gateway.terms.predicate import EVERY_ROW, Literal

QUIET = PicoRho(10**16)  # sigma 0.007 at sensitivity 1: noise is zero but once in 10^4000
AGE = Column(
    name=ColumnName("age"),
    type=ColumnType.INTEGER,
    meaning="age",
    personal=Personal.BASIC,
    bounds=(Decimal(0), Decimal(120)),
)
DATASET = Dataset(
    id=DatasetId("people"),
    revision=1,
    digest="00" * 32,
    title=Title(vi="Người", en="People"),
    publisher=OrgId("nso"),
    sharing="shared",
    importance="none",
    personal=Personal.BASIC,
    source=Source(path="p.csv", format=SourceFormat.CSV, lineage=LineageId("people")),
    unit=PrivacyUnit(column=ColumnName("id"), rows_max=1, units_max=1000),
    columns=(AGE,),
)


def measure(kind: MeasureKind, rho: PicoRho, sensitivity: int = 1, centre: int = 0) -> Measure:
    return Measure(
        kind=kind,
        column=None,
        centre=centre,
        sensitivity=sensitivity,
        scale=scale_for(rho, sensitivity),
        rho=rho,
    )


def output(kind: OutputKind, *measures: int, decimals: int = 0) -> Output:
    return Output(name=str(kind), kind=kind, measures=measures, decimals=decimals, bounds=(0, 120))


def a_plan(values: tuple[Literal, ...], measures: tuple[Measure, ...], *outputs: Output) -> StatisticPlan:
    key = GroupKey(column=AGE, name="key", values=values)
    return StatisticPlan(
        dataset=DATASET,
        predicate=EVERY_ROW,
        keys=(key,) if values else (),
        measures=measures,
        outputs=outputs,
        loss=Loss(PicoRho(sum(m.rho for m in measures)), PicoDelta(0)),
        release_after_s=1.0,
        digest="00" * 32,
    )


def frame(*groups: tuple[int, ...]) -> UnprotectedIntegers:
    return UnprotectedIntegers(values=groups)


def test_a_statistic_is_shown_whole() -> None:
    plan = a_plan(
        (date(2020, 1, 31), date(2021, 1, 1), date(2022, 1, 1)),
        (
            measure(MeasureKind.ROWS, QUIET),
            measure(MeasureKind.SUM, QUIET, centre=60),
            measure(MeasureKind.VALUES, QUIET),
        ),
        output(OutputKind.COUNT, 0),
        output(OutputKind.SUM, 1, decimals=2),
        output(OutputKind.AVG, 1, 2),
    )

    statistic = protect_integers(frame((5, -70, 3), (-2, 1205, 7), (0, 0, 0)), plan)

    assert statistic.rows[0] == {
        "key": date(2020, 1, 31),
        "count": Cell(Decimal(5), Decimal(0)),
        "sum": Cell(Decimal("-0.70"), Decimal("0.00")),
        "avg": Cell(Decimal("36.667"), Decimal("0.001")),
    }
    assert document(statistic) == {
        "columns": ["key", "count", "sum", "avg"],
        "rows": [
            {
                "key": "2020-01-31",
                "count": {"value": 5, "margin": 0},
                "sum": {"value": -0.7, "margin": 0.0},
                "avg": {"value": 36.667, "margin": 0.001},
            },
            {
                "key": "2021-01-01",
                "count": {"value": -2, "margin": 0},
                "sum": {"value": 12.05, "margin": 0.0},
                "avg": {"value": 120.0, "margin": 0.0},
            },
            {
                "key": "2022-01-01",
                "count": {"value": 0, "margin": 0},
                "sum": {"value": 0.0, "margin": 0.0},
                "avg": {"value": None, "margin": 60.0},
            },
        ],
        "confidence": 0.95,
        "mechanism": "discrete gaussian",
    }
    json.dumps(document(statistic), allow_nan=False)


def test_a_question_without_keys_has_one_row() -> None:
    plan = a_plan((), (measure(MeasureKind.ROWS, QUIET),), output(OutputKind.COUNT, 0))

    assert document(protect_integers(frame((9,)), plan))["rows"] == [{"count": {"value": 9, "margin": 0}}]


@pytest.mark.parametrize("groups", [(), ((1,), (2,)), ((1, 2),), ((),), ((True,),), ((1.0,),), ((None,),)])
def test_a_frame_of_another_shape_is_a_defect_found_before_noise(groups: tuple[object, ...]) -> None:
    plan = a_plan((), (measure(MeasureKind.ROWS, QUIET),), output(OutputKind.COUNT, 0))

    with pytest.raises(AssertionError, match="the frame"):
        protect_integers(UnprotectedIntegers(values=groups), plan)


def test_noise_that_costs_more_than_was_charged_is_never_drawn() -> None:
    """Promise P4: the cost is read off OpenDP's map again, just before the draw."""
    honest = measure(MeasureKind.ROWS, PicoRho(10**9))
    quieter = dataclasses.replace(honest, scale=honest.scale * 0.999999)
    further = dataclasses.replace(honest, sensitivity=2)
    plans = [a_plan((), (one,), output(OutputKind.COUNT, 0)) for one in (quieter, further, honest)]
    plans[2] = dataclasses.replace(plans[2], loss=Loss(PicoRho(10**9 - 1), PicoDelta(0)))

    for plan in plans:
        with pytest.raises(AssertionError, match=r"more than (its measure|the plan) was charged"):
            protect_integers(frame((1,)), plan)


@given(st.lists(st.integers(-(2**70), 2**70), min_size=3, max_size=3))
@settings(max_examples=50, deadline=None)
def test_no_value_makes_a_release_fail(values: list[int]) -> None:
    """Promise P5."""
    rho = PicoRho(10**9)
    plan = a_plan(
        (),
        (
            measure(MeasureKind.ROWS, rho),
            measure(MeasureKind.SUM, rho, 60, 60),
            measure(MeasureKind.VALUES, rho),
        ),
        output(OutputKind.COUNT, 0),
        output(OutputKind.SUM, 1),
        output(OutputKind.AVG, 1, 2),
    )

    json.dumps(document(protect_integers(frame(tuple(values)), plan)), allow_nan=False)


# Of 2000 intervals at 95 %, fewer than 1850 cover the truth less than once in 10^6 runs.
SIZE, COVERED_MIN = 2000, 1850


@pytest.mark.parametrize(("count", "age"), [(0, 0), (1, 120), (40, 0), (300, 120), (300, 61), (10**6, 60)])
def test_intervals_cover_the_exact_value_as_often_as_they_say(count: int, age: int) -> None:
    """Promise P4: the error bars are honest, at the edges of the data too."""
    rho = PicoRho(2 * 10**10)
    plan = a_plan(
        tuple(range(SIZE)),
        (
            measure(MeasureKind.ROWS, rho),
            measure(MeasureKind.SUM, rho, 60, 60),
            measure(MeasureKind.VALUES, rho),
        ),
        output(OutputKind.COUNT, 0),
        output(OutputKind.SUM, 1),
        output(OutputKind.AVG, 1, 2),
    )
    centred = count * (age - 60)

    rows = protect_integers(frame(*[(count, centred, count)] * SIZE), plan).rows

    assert sum(_covers(row["count"], count) for row in rows) >= COVERED_MIN
    assert sum(_covers(row["sum"], centred) for row in rows) >= COVERED_MIN
    assert sum(row["avg"].value is None or _covers(row["avg"], age) for row in rows) >= COVERED_MIN
    if count >= 300:
        assert all(row["avg"].value is not None for row in rows)


def _covers(cell: Cell, exact: int) -> bool:
    return abs(cell.value - exact) <= cell.margin


def test_noisy_counts_are_not_biased_by_clamping() -> None:
    """False alarm once in 10^6: the mean of 2000 draws of sigma 10 is within 1.1 of zero."""
    plan = a_plan(
        tuple(range(SIZE)), (measure(MeasureKind.ROWS, PicoRho(5 * 10**9)),), output(OutputKind.COUNT, 0)
    )

    rows = protect_integers(frame(*[(0,)] * SIZE), plan).rows

    assert abs(sum(row["count"].value for row in rows) / SIZE) < 1.1
    assert min(row["count"].value for row in rows) < 0


@given(
    count=st.integers(1, 500),
    mean=st.fractions(0, 120),
    sum_noise=st.fractions(-1, 1),
    count_noise=st.fractions(-1, 1),
    rho=st.sampled_from([10**8, 10**10, 10**12]),
)
@settings(max_examples=300, deadline=None)
def test_an_average_covers_the_mean_whenever_both_its_parts_are_within_their_margins(
    count: int, mean: Fraction, sum_noise: Fraction, count_noise: Fraction, rho: int
) -> None:
    """Promise P4: no chance in it; noise is placed anywhere within the 97.5 % margins."""
    centre = 60
    plan = a_plan(
        (),
        (measure(MeasureKind.SUM, PicoRho(rho), 60, centre), measure(MeasureKind.VALUES, PicoRho(rho))),
        output(OutputKind.AVG, 0, 1),
    )
    total = round((mean - centre) * count)
    # 2.2 sigma is within 97.5 % and beyond 95 %
    noisy = [
        total + int(Fraction(plan.measures[0].scale) * sum_noise * 22 / 10),
        count + int(Fraction(plan.measures[1].scale) * count_noise * 22 / 10),
    ]

    cell = _average(plan.outputs[0], plan, noisy)

    exact = max(Fraction(0), min(Fraction(120), centre + Fraction(total, count)))
    if cell.value is None:
        assert cell.margin == 60
    else:
        assert 0 <= cell.value <= 120
        assert abs(Fraction(cell.value) - exact) <= Fraction(cell.margin)

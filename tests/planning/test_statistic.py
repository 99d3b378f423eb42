# ruff: noqa: S608 - SQL as text is what is tested
"""What a plan of a statistic promises: what it measures, what it costs, what is refused and how."""

import dataclasses
import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import MalformedRequest, QuestionRefused
from gateway.planning.statistic import plan_statistic, release_after_s
from gateway.privacy.accuracy import margin_of
from gateway.privacy.mechanism import cost_of
from gateway.terms.dataset import PrivacyUnit
from gateway.terms.identifiers import ColumnName
from gateway.terms.loss import PicoRho
from gateway.terms.permit import Function, Permit
from gateway.terms.plan import MeasureKind, Output, OutputKind, StatisticPlan
from gateway.terms.predicate import AllOf, Comparator, Comparison
from gateway.terms.treatment import Keep

LIVING = Comparison(ColumnName("note"), Comparator.NOT_EQUAL, ("dead",))


def asking(sql: str, **members: object) -> bytes:
    return json.dumps({"sql": sql, **members}, default=str).encode()


def planned(sql: str, permit: Permit, **members: object) -> StatisticPlan:
    return plan_statistic(asking(sql, **members), permit)


def test_a_count_by_two_lists_is_planned_whole(permit: Permit) -> None:
    plan = planned("SELECT sex, province AS p, COUNT(*) AS n FROM data GROUP BY province, sex", permit)

    assert plan.dataset == permit.dataset
    assert plan.predicate == LIVING
    assert [(key.name, key.column.name, key.values) for key in plan.keys] == [
        ("p", "province", ("01", "48", "79")),
        ("sex", "sex", ("f", "m")),
    ]
    assert plan.groups == 6
    (measure,) = plan.measures
    assert (measure.kind, measure.column, measure.centre) == (MeasureKind.ROWS, None, 0)
    assert (measure.sensitivity, measure.rho) == (4, 5_000_000_001)
    assert plan.outputs == (Output(name="n", kind=OutputKind.COUNT, measures=(0,), decimals=0, bounds=None),)
    assert (plan.loss.rho, plan.loss.delta) == (5_000_000_001, 0)
    assert plan.release_after_s == 1.0


def test_equal_measures_are_computed_once_and_paid_once(permit: Permit) -> None:
    plan = planned(
        "SELECT COUNT(*), COUNT(*) AS again, COUNT(income), AVG(income), SUM(income), COUNT(DISTINCT id)"
        " FROM data",
        permit,
        rho="0.005",
    )

    assert [(m.kind, m.column, m.centre, m.sensitivity) for m in plan.measures] == [
        (MeasureKind.ROWS, None, 0, 4),
        (MeasureKind.SUM, "income", 0, 4 * 100_050),
        (MeasureKind.SUM, "income", 49_525, 4 * 50_525),
        (MeasureKind.UNITS, None, 0, 1),
        (MeasureKind.VALUES, "income", 0, 4),
    ]
    assert {m.rho for m in plan.measures} == {1_000_000_000}
    assert [(o.name, o.kind, o.measures, o.decimals, o.bounds) for o in plan.outputs] == [
        ("count", OutputKind.COUNT, (0,), 0, None),
        ("again", OutputKind.COUNT, (0,), 0, None),
        ("count_income", OutputKind.COUNT, (4,), 0, None),
        ("avg_income", OutputKind.AVG, (2, 4), 2, (-1000, 100_050)),
        ("sum_income", OutputKind.SUM, (1,), 2, (-1000, 100_050)),
        ("count_distinct_id", OutputKind.COUNT, (3,), 0, None),
    ]


@given(rho=st.integers(1_000_000, 5_000_000_001), outputs=st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_the_charge_is_the_sum_of_its_measures_and_never_more_than_asked(
    permit: Permit, rho: int, outputs: int
) -> None:
    """Promises P2 and P4."""
    functions = ["COUNT(*)", "SUM(age)", "AVG(income)", "COUNT(DISTINCT id)", "COUNT(born)"]
    plan = planned(f"SELECT {', '.join(functions[:outputs])} FROM data", permit, rho=Decimal(rho) / 10**12)

    assert plan.loss.rho == sum(measure.rho for measure in plan.measures) <= rho
    assert rho - plan.loss.rho < len(plan.measures)
    assert all(cost_of(m.scale, m.sensitivity) <= m.rho for m in plan.measures)


def test_an_epsilon_is_turned_into_rho_at_the_headline_delta(permit: Permit) -> None:
    plan = planned("SELECT COUNT(*) FROM data", permit, epsilon=0.25)

    # (sqrt(L + epsilon) - sqrt(L))^2 with L = ln(10^6)
    assert plan.loss.rho == 1_120_856_658


@pytest.mark.parametrize("margin", [200, "150.5", 1000])
def test_a_margin_is_kept_by_every_value_at_the_least_price(permit: Permit, margin: object) -> None:
    plan = planned("SELECT COUNT(*), COUNT(DISTINCT id) FROM data", permit, margin=margin)

    for measure in plan.measures:
        assert margin_of(measure.scale) <= Decimal(str(margin))
        cheaper = measure.sensitivity / (2 * (measure.rho - 1) / 1e12) ** 0.5
        assert margin_of(cheaper) >= int(Decimal(str(margin)))


def test_a_margin_of_a_sum_is_in_the_columns_own_unit(permit: Permit) -> None:
    plan = planned("SELECT SUM(income) FROM data", permit, margin="90000.00")

    assert 8_999_900 <= margin_of(plan.measures[0].scale) <= 9_000_000


def test_a_margin_that_is_too_dear_is_refused_with_one_that_is_not(permit: Permit) -> None:
    with pytest.raises(QuestionRefused) as refused:
        planned("SELECT COUNT(*) FROM data", permit, margin=1)

    assert refused.value.about == "margin"
    assert planned("SELECT COUNT(*) FROM data", permit, margin=refused.value.nearest).loss.rho > 0


@pytest.mark.parametrize(
    ("members", "about"),
    [({"rho": "0.0050000001"}, "rho"), ({"epsilon": 3}, "epsilon"), ({"rho": "0.000000000001"}, "rho")],
)
def test_a_price_out_of_range_is_refused(permit: Permit, members: dict[str, object], about: str) -> None:
    with pytest.raises(QuestionRefused) as refused:
        planned("SELECT COUNT(*), SUM(age) FROM data", permit, **members)

    assert refused.value.about == about


@pytest.mark.parametrize(
    "members",
    [
        {"rho": "0.001", "epsilon": "1"},
        {"rho": "-1"},
        {"rho": 0},
        {"rho": True},
        {"rho": None},
        {"rho": [1]},
        {"rho": "1e-3"},
        {"rho": " 0.001"},
        {"rho": "\u0660.\u0661"},
        {"margin": 10**12},
        {"price": 1},
        {"sql": 5},
        {"sql": None},
    ],
)
def test_a_body_of_another_form_is_malformed(permit: Permit, members: dict[str, object]) -> None:
    with pytest.raises(MalformedRequest):
        plan_statistic(json.dumps({"sql": "SELECT COUNT(*) FROM data", **members}).encode(), permit)


def test_a_function_the_permit_does_not_give_is_refused(permit: Permit) -> None:
    """Promise P3."""
    counting = dataclasses.replace(permit, functions=frozenset({Function.COUNT}))

    assert planned("SELECT COUNT(*) FROM data", counting).groups == 1
    for question in ("SUM(age)", "AVG(age)"):
        with pytest.raises(QuestionRefused, match="is not permitted here"):
            planned(f"SELECT {question} FROM data", counting)


def test_a_column_that_is_not_permitted_is_refused_like_one_that_does_not_exist(permit: Permit) -> None:
    """Promise P3."""
    details = []
    for name in ("phone", "zzzzz"):
        with pytest.raises(QuestionRefused) as refused:
            planned(f"SELECT COUNT(*) FROM data WHERE {name} = 'x'", permit)
        details.append(refused.value.detail.replace(name, "?"))

    assert details == ["there is no column `?` that may be used here"] * 2


def test_a_slip_is_answered_with_what_was_perhaps_meant(permit: Permit) -> None:
    with pytest.raises(QuestionRefused) as refused:
        planned("SELECT COUNT(*) FROM data WHERE provnice = '01'", permit)

    assert refused.value.members() == {"about": "provnice", "nearest": "province"}


def test_the_column_that_tells_persons_apart_is_only_counted(permit: Permit) -> None:
    """Promise P4: even a permit that names it gives no more than the number of persons."""
    named = dataclasses.replace(permit, columns=(*permit.columns, (ColumnName("id"), Keep())))

    assert planned("SELECT COUNT(DISTINCT id) FROM data", named).measures[0].kind is MeasureKind.UNITS
    for sql in ("SELECT COUNT(id) FROM data", "SELECT COUNT(*) FROM data WHERE id = 'x'"):
        with pytest.raises(QuestionRefused) as refused:
            planned(sql, named)
        assert refused.value.members() == {"about": "id", "nearest": "COUNT(DISTINCT id)"}


def test_a_sum_that_could_overflow_is_refused_before_anyone_asks_the_data(permit: Permit) -> None:
    """Promise P5."""
    unit = PrivacyUnit(column=ColumnName("id"), rows_max=2**20, units_max=2**30)
    wide = dataclasses.replace(permit, dataset=dataclasses.replace(permit.dataset, unit=unit))

    assert planned("SELECT COUNT(*) FROM data", wide).groups == 1
    with pytest.raises(QuestionRefused, match="does not fit into 62 bits"):
        planned("SELECT SUM(income) FROM data", wide)


def test_a_dataset_without_a_privacy_unit_offers_no_statistics(permit: Permit) -> None:
    bare = dataclasses.replace(permit, dataset=dataclasses.replace(permit.dataset, unit=None))

    with pytest.raises(QuestionRefused, match="offers no statistics"):
        planned("SELECT COUNT(*) FROM data", bare)


def test_an_average_is_not_asked_by_margin(permit: Permit) -> None:
    with pytest.raises(QuestionRefused, match="an average is asked by"):
        planned("SELECT AVG(age) FROM data", permit, margin=5)


@pytest.mark.parametrize(
    "spelling",
    [
        """select PROVINCE, count(*) from DATA
        where age>=18 and income<5 and sex in('f','m') group by province""",
        """SELECT province AS p, COUNT(*) AS n FROM "vn.nso.people" -- all of them
        WHERE (income < 5.00) AND /* grown up */ NOT (NOT (18 <= age)) AND sex IN ('f', 'm', 'f')
        GROUP BY province;""",
        """SELECT COUNT(*), province FROM vn.nso.people
        WHERE sex IN ('f','m') AND (age >= 18.0 AND (5 > income)) GROUP BY province""",
        """SELECT province, COUNT(*) FROM people
        WHERE sex IN ('f','m') AND age >= 18 AND age >= 18 AND income < 5 GROUP BY province""",
    ],
)
def test_one_question_has_one_digest_however_it_is_spelled(permit: Permit, spelling: str) -> None:
    plain = (
        "SELECT province, COUNT(*) FROM data WHERE age >= 18 AND income < 5 AND sex IN ('f', 'm')"
        " GROUP BY province"
    )

    one, other = planned(plain, permit), planned(spelling, permit)

    assert one.digest == other.digest
    assert (one.predicate, one.measures) == (other.predicate, other.measures)


def test_another_question_has_another_digest(permit: Permit) -> None:
    revised = dataclasses.replace(permit, dataset=dataclasses.replace(permit.dataset, revision=4))
    filtered = dataclasses.replace(permit, rows=AllOf(()))
    plans = [
        planned("SELECT COUNT(*) FROM data", permit),
        planned("SELECT COUNT(*) FROM data", permit, rho="0.001"),
        planned("SELECT COUNT(*) FROM data", revised),
        planned("SELECT COUNT(*) FROM data", filtered),
        planned("SELECT COUNT(age) FROM data", permit),
        planned("SELECT COUNT(*) FROM data WHERE age = 1", permit),
        planned("SELECT COUNT(*) FROM data WHERE age > 1", permit),
        planned("SELECT COUNT(*) FROM data WHERE income = 1", permit),
        planned("SELECT COUNT(*) FROM data WHERE province = '1'", permit),
        planned("SELECT sex, COUNT(*) FROM data GROUP BY sex", permit),
    ]

    assert len({plan.digest for plan in plans}) == len(plans)


def test_the_slot_of_a_reply_depends_on_public_sizes_only() -> None:
    """Promise P5."""

    def slot(units_max: int, cells: int) -> float:
        return release_after_s(PrivacyUnit(column=ColumnName("id"), rows_max=2, units_max=units_max), cells)

    assert slot(500_000, 5_000) == 1.0
    assert slot(500_001, 1) == 4.0
    assert slot(1, 5_001) == 4.0
    assert slot(50_000_000, 1) == 16.0
    assert slot(50_000_001, 1) == 64.0


@given(body=st.binary(max_size=60))
@settings(max_examples=200, deadline=None)
def test_no_bytes_raise_anything_but_malformed(permit: Permit, body: bytes) -> None:
    with pytest.raises(MalformedRequest):
        plan_statistic(body, permit)


def test_the_price_of_a_pico_rho_limit_is_never_passed(permit: Permit) -> None:
    """Promise P2: the default is all that one question may cost, rounded to its measures."""
    plan = planned("SELECT COUNT(*), SUM(age) FROM data", permit)

    assert plan.loss.rho == PicoRho(5_000_000_000)

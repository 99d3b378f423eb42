# ruff: noqa: S608 - SQL as text is what is tested
"""What SQL may say, how it is read, and that everything else is refused by name."""

import dataclasses
import json
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import GatewayError, QuestionRefused
from gateway.planning.statistic import plan_statistic
from gateway.terms.identifiers import ColumnName
from gateway.terms.permit import Permit
from gateway.terms.plan import StatisticPlan
from gateway.terms.predicate import AllOf, AnyOf, Comparator, Comparison, Not, Predicate

LIVING = Comparison(ColumnName("note"), Comparator.NOT_EQUAL, ("dead",))


def planned(sql: str, permit: Permit) -> StatisticPlan:
    return plan_statistic(json.dumps({"sql": sql}).encode(), permit)


def condition_of(where: str, permit: Permit) -> set[Predicate]:
    predicate = planned(f"SELECT COUNT(*) FROM data WHERE {where}", permit).predicate
    assert isinstance(predicate, AllOf)
    return set(predicate.parts) - {LIVING}


def compare(column: str, comparator: Comparator, *constants: object) -> Comparison:
    return Comparison(ColumnName(column), comparator, constants)


@pytest.mark.parametrize(
    ("where", "parts"),
    [
        ("age >= 18", {compare("age", Comparator.AT_LEAST, 18)}),
        ("18 > AGE", {compare("age", Comparator.LESS, 18)}),
        ("age != -1", {compare("age", Comparator.NOT_EQUAL, -1)}),
        ("province = '01'", {compare("province", Comparator.EQUAL, "01")}),
        ("province IN ('79', '01', '79')", {compare("province", Comparator.ONE_OF, "01", "79")}),
        ("province NOT IN ('79')", {Not(compare("province", Comparator.EQUAL, "79"))}),
        (
            "income BETWEEN 1.50 AND 2e1",
            {
                compare("income", Comparator.AT_LEAST, Decimal("1.5")),
                compare("income", Comparator.AT_MOST, Decimal(20)),
            },
        ),
        ("born < DATE '2000-01-31'", {compare("born", Comparator.LESS, date(2000, 1, 31))}),
        ("born < '2000-01-31'", {compare("born", Comparator.LESS, date(2000, 1, 31))}),
        ("married = TRUE", {compare("married", Comparator.EQUAL, True)}),
        ("born IS NULL", {compare("born", Comparator.IS_NULL)}),
        ("born IS NOT NULL", {Not(compare("born", Comparator.IS_NULL))}),
        (
            "age = 1 OR NOT age = 2",
            {AnyOf((compare("age", Comparator.EQUAL, 1), Not(compare("age", Comparator.EQUAL, 2))))},
        ),
        ("province = 'it''s'", {compare("province", Comparator.EQUAL, "it's")}),
        (r"province = 'a\'", {compare("province", Comparator.EQUAL, "a\\")}),
    ],
)
def test_a_condition_is_read_as_sql_says(permit: Permit, where: str, parts: set[Predicate]) -> None:
    found = condition_of(where, permit)

    assert (
        found == parts
        or {AnyOf(tuple(reversed(part.parts))) if isinstance(part, AnyOf) else part for part in found}
        == parts
    )


@pytest.mark.parametrize(
    ("sql", "about"),
    [
        ("SELECT * FROM data", "STAR"),
        ("SELECT MEDIAN(age) FROM data", "MEDIAN"),
        ("SELECT STDDEV(age) FROM data", "STDDEV"),
        ("SELECT secret_function(age) FROM data", "secret_function"),
        ("SELECT COUNT(*) + 1 FROM data", "ADD"),
        ("SELECT COUNT(1) FROM data", "COUNT of a constant"),
        ("SELECT COUNT(DISTINCT age) FROM data", "age"),
        ("SELECT COUNT(DISTINCT id, age) FROM data", "COUNT(DISTINCT)"),
        ("SELECT SUM(DISTINCT age) FROM data", "SUM(DISTINCT)"),
        ("SELECT COUNT(id) FROM data", "id"),
        ("SELECT COUNT(*) FILTER (WHERE age > 1) FROM data", "FILTER"),
        ("SELECT SUM(age) OVER () FROM data", "WINDOW"),
        ("SELECT SUM(age * 2) FROM data", "MUL"),
        ("SELECT SUM(note) FROM data", "note"),
        ("SELECT SUM(province) FROM data", "province"),
        ("SELECT COUNT(phone) FROM data", "phone"),
        ("SELECT COUNT(d.age) FROM data", "table prefix"),
        ("SELECT DISTINCT COUNT(*) FROM data", "DISTINCT"),
        ("SELECT COUNT(*) INTO x FROM data", "INTO"),
        ("SELECT COUNT(*) FROM other", "other"),
        ("SELECT COUNT(*) FROM data AS d", "AS after FROM"),
        ("SELECT COUNT(*) FROM data, data", "JOIN"),
        ("SELECT COUNT(*) FROM data JOIN x ON a = b", "JOIN"),
        ("SELECT COUNT(*) FROM (SELECT 1)", "subquery"),
        ("SELECT COUNT(*) FROM data TABLESAMPLE (1)", "TABLESAMPLE"),
        ("SELECT COUNT(*) FROM read_csv('x')", "READ_CSV"),
        ("SELECT COUNT(*) FROM data FOR UPDATE", "FOR UPDATE"),
        ("SELECT COUNT(*) FROM data HAVING COUNT(*) > 1", "HAVING"),
        ("SELECT COUNT(*) FROM data ORDER BY 1", "ORDER BY"),
        ("SELECT COUNT(*) FROM data LIMIT 1", "LIMIT"),
        ("SELECT COUNT(*) FROM data OFFSET 1", "OFFSET"),
        ("SELECT COUNT(*) FROM data UNION SELECT 1", "subquery"),
        ("WITH x AS (SELECT 1) SELECT COUNT(*) FROM data", "SELECT"),
        ("SELECT COUNT(*) FROM data; DROP TABLE data", ";"),
        ("DELETE FROM data", "SELECT"),
        ("SELECT COUNT(*)", "FROM"),
        ("SELECT province FROM data GROUP BY province", "SELECT"),
        ("SELECT province, COUNT(*) FROM data", "province"),
        ("SELECT COUNT(*) FROM data GROUP BY province", "province"),
        ("SELECT age, COUNT(*) FROM data GROUP BY age", "age"),
        ("SELECT id, COUNT(*) FROM data GROUP BY id", "id"),
        ("SELECT province, COUNT(*) FROM data GROUP BY 1", "GROUP BY"),
        ("SELECT province, COUNT(*) FROM data GROUP BY ROLLUP (province)", "ROLLUP"),
        ("SELECT province, province AS p, COUNT(*) FROM data GROUP BY province", "province"),
        ("SELECT province, COUNT(*) FROM data GROUP BY province, province", "GROUP BY"),
        ("SELECT COUNT(*) AS x, SUM(age) AS X FROM data", "x"),
        ("SELECT province, sex, born, COUNT(*) FROM data GROUP BY province, sex, born", None),
        ("SELECT COUNT(*) FROM data WHERE age", "age"),
        ("SELECT COUNT(*) FROM data WHERE age = income", "income"),
        ("SELECT COUNT(*) FROM data WHERE age + 1 = 2", "ADD"),
        ("SELECT COUNT(*) FROM data WHERE 1 = 1", "LITERAL"),
        ("SELECT COUNT(*) FROM data WHERE age = '18'", "age"),
        ("SELECT COUNT(*) FROM data WHERE age = 17.5", "age"),
        ("SELECT COUNT(*) FROM data WHERE age = 99999999999999999999", "age"),
        ("SELECT COUNT(*) FROM data WHERE age = NULL", "NULL"),
        ("SELECT COUNT(*) FROM data WHERE age IS TRUE", "IS"),
        ("SELECT COUNT(*) FROM data WHERE married > FALSE", "married"),
        ("SELECT COUNT(*) FROM data WHERE married = 1", "married"),
        ("SELECT COUNT(*) FROM data WHERE age = TRUE", "age"),
        ("SELECT COUNT(*) FROM data WHERE province = 1", "province"),
        ("SELECT COUNT(*) FROM data WHERE province LIKE '0%'", "LIKE"),
        ("SELECT COUNT(*) FROM data WHERE province || 'x' = 'y'", "DPIPE"),
        ("SELECT COUNT(*) FROM data WHERE province = E'a'", "BYTESTRING"),
        ("SELECT COUNT(*) FROM data WHERE province = 'a' 'b'", "CONCAT"),
        ("SELECT COUNT(*) FROM data WHERE born = '2000-02-30'", "born"),
        ("SELECT COUNT(*) FROM data WHERE born = DATE '2000-1-1'", "DATE"),
        ("SELECT COUNT(*) FROM data WHERE born > CURRENT_DATE", "CURRENT_DATE"),
        ("SELECT COUNT(*) FROM data WHERE born = TIMESTAMP '2000-01-01'", "CAST"),
        ("SELECT COUNT(*) FROM data WHERE id = 'x'", "id"),
        ("SELECT COUNT(*) FROM data WHERE note = 'x'", "note"),
        ("SELECT COUNT(*) FROM data WHERE age IN (SELECT 1)", "subquery"),
        ("SELECT COUNT(*) FROM data WHERE age = ANY(1)", "ANY"),
        ("SELECT COUNT(*) FROM data WHERE age BETWEEN SYMMETRIC 1 AND 2", "SYMMETRIC"),
        ("SELECT COUNT(*) FROM data WHERE CASE WHEN age = 1 THEN TRUE END", "CASE"),
        ("SELECT COUNT(*) FROM data WHERE age = $1", "PARAMETER"),
        ('SELECT COUNT(*) FROM data WHERE "AGE" = 1', "AGE"),
        ('SELECT COUNT(*) AS "<b>" FROM data', "<b>"),
        ("", "SELECT"),
        ("SELEKT", "SELECT"),
        ("SELECT FROM WHERE", "sql"),
        ("SELECT 'unclosed", "sql"),
        ("SELECT COUNT(*) FROM data WHERE " + "(" * 4000 + "age = 1" + ")" * 4000, "sql"),
        ("SELECT COUNT(*) FROM data WHERE " + "NOT " * 50 + "age = 1", "sql"),
        ("SELECT COUNT(*) FROM data WHERE " + " AND ".join(["age = 1"] * 500), "WHERE"),
        ("SELECT COUNT(*) FROM data WHERE " + " AND ".join(["age = 1"] * 150), "where"),
        ("SELECT COUNT(*) FROM data WHERE age IN (" + ",".join("1" * 1001) + ")", "where"),
        ("SELECT COUNT(*) FROM data " + "-" * 9000, "sql"),
    ],
)
def test_what_is_not_on_the_list_is_refused_by_name(permit: Permit, sql: str, about: str | None) -> None:
    narrow = dataclasses.replace(permit, groups_max=11)

    with pytest.raises(QuestionRefused) as refused:
        planned(sql, narrow)

    assert refused.value.about == (about or "GROUP BY")
    assert len(refused.value.detail) < 140


TEXT = r"""
SELECT FROM WHERE GROUP BY AND OR NOT IN BETWEEN IS NULL COUNT SUM AVG DISTINCT ( ) * , data age province
id note = < <> '01' 18 1.5 - + . ; AS x " ' -- /* */ DATE CASE WHEN CAST :: ARRAY [ ] { } INTERVAL UNION
WITH JOIN LIMIT HAVING ORDER TRUE $1 @ # \ EXISTS ANY OVER FILTER EXTRACT XMLTABLE JSON_TABLE LATERAL
VALUES ALTER SHOW SET PIVOT MATCH_RECOGNIZE TRIM SUBSTRING POSITION OVERLAY E'a' U&'b' $$c$$ 0x1F 1_0
"""
WORDS = TEXT.split()


@given(sql=st.one_of(st.text(max_size=80), st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join)))
@settings(max_examples=400, deadline=None)
def test_no_text_raises_anything_but_an_error_of_the_gateway(permit: Permit, sql: str) -> None:
    for text in (sql, f"SELECT COUNT(*) FROM data WHERE {sql}", f"SELECT {sql} FROM data"):
        try:
            plan_statistic(json.dumps({"sql": text}).encode(), permit)
        except GatewayError as error:
            assert len(error.detail) + len(str(error.members())) < 300  # noqa: PT017 - some are refused

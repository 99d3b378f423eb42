"""Invented visits: of the people of a household table, as often and as dear as age and department say."""

import re
from collections import Counter
from datetime import date
from pathlib import Path
from statistics import mean
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gateway.synthetic.households import draw_households
from gateway.synthetic.visits import DEPARTMENTS, draw_visits
from gateway.synthetic.write import write_households, write_visits

PEOPLE = 20_000
CHAPTERS = {
    *("A00-B99", "C00-D48", "D50-D89", "E00-E90", "F00-F99", "G00-G99", "H00-H59", "H60-H95", "I00-I99"),
    *("J00-J99", "K00-K93", "L00-L99", "M00-M99", "N00-N99", "O00-O99", "P00-P96", "Q00-Q99", "R00-R99"),
    *("S00-T98", "V01-Y98", "Z00-Z99", "U00-U99"),
}


@pytest.fixture(scope="module")
def people() -> pa.Table:
    return draw_households(PEOPLE, 7)


@pytest.fixture(scope="module")
def visits(people: pa.Table) -> list[dict[str, Any]]:
    return draw_visits(people, 7).to_pylist()


def age_of(visit: dict[str, Any]) -> float:
    return (visit["visit_date"] - visit["birth_date"]).days / 365.25


def test_the_same_seed_gives_the_same_visits(people: pa.Table) -> None:
    assert draw_visits(people, 3).equals(draw_visits(people, 3))
    assert not draw_visits(people, 3).equals(draw_visits(people, 4))


def test_visits_belong_to_the_people_of_the_table(people: pa.Table, visits: list[dict[str, Any]]) -> None:
    known = {person["citizen_id"]: person for person in people.to_pylist()}
    cards: dict[str, str] = {}
    for visit in visits:
        person = known[visit["citizen_id"]]
        assert [visit[name] for name in ("full_name", "sex", "birth_date")] == [
            person[name] for name in ("full_name", "sex", "birth_date")
        ]
        assert cards.setdefault(visit["citizen_id"], visit["insurance_no"]) == visit["insurance_no"]

    assert len({visit["visit_id"] for visit in visits}) == len(visits)
    assert len(set(cards.values())) == len(cards)


def test_columns_are_those_of_the_sharing_rules(people: pa.Table) -> None:
    names = [
        "visit_id",
        "citizen_id",
        "insurance_no",
        "full_name",
        "sex",
        "birth_date",
        "province",
        "visit_date",
    ]
    names += ["icd10_chapter", "department", "cost_vnd", "insurance_paid_vnd", "note"]

    assert draw_visits(people, 7).column_names == names


def test_values_have_valid_shapes(visits: list[dict[str, Any]]) -> None:
    for visit in visits:
        assert re.fullmatch(r"[A-Z]{2}[1-5]\d{2}\d{10}", visit["insurance_no"])
        assert date(2026, 1, 1) <= visit["visit_date"] <= date(2026, 12, 31)
        assert visit["birth_date"] <= visit["visit_date"]
        assert 0 <= visit["insurance_paid_vnd"] <= visit["cost_vnd"] <= 20_000_000
        assert "None" not in (visit["note"] or "")

    assert {visit["department"] for visit in visits} == set(DEPARTMENTS)
    assert {visit["icd10_chapter"] for visit in visits} <= CHAPTERS
    assert len({visit["icd10_chapter"] for visit in visits}) >= 20


def test_the_old_come_more_often_and_nobody_more_than_twelve_times(
    people: pa.Table, visits: list[dict[str, Any]]
) -> None:
    counts = Counter(visit["citizen_id"] for visit in visits)
    born = {person["citizen_id"]: person["birth_date"].year for person in people.to_pylist()}
    young, old = (
        mean(counts[person] for person, year in born.items() if span[0] <= year < span[1])
        for span in ((1996, 2016), (1920, 1960))
    )

    assert max(counts.values()) <= 12
    assert 0.4 < len(visits) / PEOPLE < 0.8
    assert old > 2 * young


def test_department_diagnosis_and_cost_go_together(visits: list[dict[str, Any]]) -> None:
    for visit in visits:
        if visit["department"] == "obstetrics":
            assert visit["sex"] == "female"
            assert 15 < age_of(visit) < 51
        if visit["department"] == "paediatrics":
            assert age_of(visit) < 17
        if visit["icd10_chapter"] == "P00-P96":
            assert age_of(visit) < 2

    costs = {
        name: mean(visit["cost_vnd"] for visit in visits if visit["department"] == name)
        for name in DEPARTMENTS
    }
    assert max(costs, key=lambda name: costs[name]) == "surgery"
    hearts = [visit["icd10_chapter"] for visit in visits if visit["department"] == "cardiology"]
    assert hearts.count("I00-I99") > len(hearts) / 2


def test_both_files_are_written_as_the_rules_say(tmp_path: Path) -> None:
    people = write_households(tmp_path / "households.parquet", people=300, seed=5)
    visits = write_visits(tmp_path / "visits.csv", people, seed=5)

    assert pq.read_table(tmp_path / "households.parquet").equals(people)
    header, *lines = (tmp_path / "visits.csv").read_text(encoding="utf-8").splitlines()
    assert header.replace('"', "").split(",") == visits.column_names
    assert len(lines) == visits.num_rows


def test_nobody_makes_no_visits(tmp_path: Path) -> None:
    people = write_households(tmp_path / "households.parquet", people=0, seed=5)

    assert write_visits(tmp_path / "visits.csv", people, seed=5).num_rows == 0

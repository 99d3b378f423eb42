"""Invented households: deterministic, of valid shape, and correlated as people are."""

import re
from collections import Counter, defaultdict
from datetime import date
from statistics import median
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from gateway.synthetic.households import draw_households
from gateway.synthetic.people import EDUCATIONS
from gateway.synthetic.places import PROVINCES, ward_codes

PEOPLE = 20_000
OCCUPATIONS = {
    "agriculture", "manufacturing", "construction", "trade", "transport", "services", "public", "student",
    "retired", "none",
}  # fmt: skip
ETHNICITIES = {"kinh", "tay", "thai", "muong", "khmer", "hmong", "other"}


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return draw_households(PEOPLE, 7)


@pytest.fixture(scope="module")
def people(table: pa.Table) -> list[dict[str, Any]]:
    return table.to_pylist()


def age_of(person: dict[str, Any]) -> float:
    return (date(2026, 4, 1) - person["birth_date"]).days / 365.25


def test_the_same_seed_gives_the_same_people_and_another_seed_gives_others() -> None:
    assert draw_households(500, 3).equals(draw_households(500, 3))
    assert not draw_households(500, 3).equals(draw_households(500, 4))


@pytest.mark.parametrize("count", [0, 1, 2, 13])
def test_any_number_of_people_can_be_drawn(count: int) -> None:
    assert draw_households(count, 1).num_rows == count


def test_columns_are_those_of_the_sharing_rules(table: pa.Table) -> None:
    texts = ["citizen_id", "household_id", "full_name", "sex", "birth_date", "province", "ward", "address"]
    texts += ["phone", "education", "occupation", "ethnicity", "household_size", "income_vnd", "note"]
    types = {"birth_date": pa.date32(), "household_size": pa.int64(), "income_vnd": pa.int64()}

    assert table.schema == pa.schema([(name, types.get(name, pa.string())) for name in texts])


def test_values_are_those_of_the_public_lists(table: pa.Table) -> None:
    def seen(name: str) -> set[Any]:
        return set(pc.unique(table.column(name)).to_pylist())

    assert seen("sex") == {"female", "male"}
    assert seen("province") == {province.code for province in PROVINCES}
    assert seen("education") == set(EDUCATIONS)
    assert seen("occupation") == OCCUPATIONS
    assert seen("ethnicity") == ETHNICITIES
    assert seen("household_size") <= set(range(1, 13))
    assert min(seen("income_vnd")) == 0
    assert {name for name in table.column_names if table.column(name).null_count} == {"phone", "note"}


def test_a_personal_number_tells_sex_and_year_and_is_unique(people: list[dict[str, Any]]) -> None:
    legacy = {code for province in PROVINCES for code in province.legacy_codes}
    for person in people:
        number, born = person["citizen_id"], person["birth_date"]
        assert re.fullmatch(r"\d{12}", number)
        assert number[:3] in legacy
        assert int(number[3]) == 2 * (born.year >= 2000) + (person["sex"] == "female")
        assert number[4:6] == f"{born.year % 100:02d}"

    assert len({person["citizen_id"] for person in people}) == PEOPLE


def test_phones_are_mobile_numbers_and_no_two_people_share_one(people: list[dict[str, Any]]) -> None:
    mobile = re.compile(r"0(3[2-9]|5[68]|7[06-9]|8[1-68]|9[0-46-8])\d{7}")
    phones = [person["phone"] for person in people if person["phone"] is not None]

    assert all(mobile.fullmatch(phone) for phone in phones)
    assert len(set(phones)) == len(phones) > PEOPLE * 0.8
    assert {person["phone"] for person in people if age_of(person) < 11} == {None}


def test_a_household_lives_in_one_place_and_is_as_large_as_it_says(people: list[dict[str, Any]]) -> None:
    households = defaultdict(list)
    for person in people:
        households[person["household_id"]].append(person)
    wards = {province.code: set(own) for province, own in zip(PROVINCES, ward_codes(), strict=True)}

    for members in households.values():
        places = {(one["province"], one["ward"], one["address"], one["ethnicity"]) for one in members}
        ((province, ward, _, _),) = places
        assert ward in wards[province]
        assert [one["household_size"] for one in members] == [len(members)] * len(members)
        assert age_of(members[0]) >= 22  # the head


def test_a_third_or_more_are_called_nguyen(people: list[dict[str, Any]]) -> None:
    surnames = Counter(person["full_name"].split()[0] for person in people)

    assert 0.30 <= surnames["Nguyễn"] / PEOPLE <= 0.45
    assert [name for name, _ in surnames.most_common(4)] == ["Nguyễn", "Trần", "Lê", "Phạm"]


def test_income_rises_with_education_and_with_the_wealth_of_the_province(
    people: list[dict[str, Any]],
) -> None:
    earners = [person for person in people if person["income_vnd"] > 0 and 25 <= age_of(person) < 60]
    by_education = [
        median(person["income_vnd"] for person in earners if person["education"] == education)
        for education in EDUCATIONS
    ]
    wealth = {province.code: province.wealth for province in PROVINCES}
    poor, rich = (
        median(person["income_vnd"] for person in earners if side * wealth[person["province"]] >= 0.5)
        for side in (-1, 1)
    )

    assert by_education == sorted(by_education)
    assert by_education[-1] > 2 * by_education[0]
    assert rich > 1.4 * poor
    assert 4_000_000 < median(person["income_vnd"] for person in earners) < 9_000_000


def test_what_people_do_fits_their_age(people: list[dict[str, Any]]) -> None:
    for person in people:
        age = age_of(person)
        if age < 5:
            assert (person["occupation"], person["education"], person["income_vnd"]) == ("none", "none", 0)
        if age < 14:
            assert person["occupation"] in {"none", "student"}
        if person["occupation"] == "retired":
            assert age >= 59
        if person["education"] == "university":
            assert age >= 21


def test_minorities_live_where_they_live(people: list[dict[str, Any]]) -> None:
    def share(province: str, ethnicity: str) -> float:
        here = [person["ethnicity"] for person in people if person["province"] == province]
        return here.count(ethnicity) / len(here)

    assert 0.8 < [person["ethnicity"] for person in people].count("kinh") / PEOPLE < 0.92
    assert share("04", "tay") > 0.4
    assert share("01", "kinh") > 0.94


def test_notes_hold_the_persons_own_data_in_many_spellings(people: list[dict[str, Any]]) -> None:
    told: Counter[str] = Counter()
    for person in people:
        note = person["note"] or ""
        number = person["citizen_id"]
        told["none"] += person["note"] is None
        told["name"] += person["full_name"] in note
        told["capitals"] += person["full_name"].upper() in note
        told["id"] += number in note
        told["spaced id"] += " ".join(number[at : at + 3] for at in (0, 3, 6, 9)) in note
        told["phone"] += (person["phone"] or "absent") in note
        told["international phone"] += "+84 " + (person["phone"] or "absent")[1:] in note
        told["address"] += person["address"] in note
        assert "{" not in note

    assert min(told.values()) > 100, told


def test_a_hundred_thousand_people_are_drawn_in_seconds() -> None:
    """The time itself is not asserted: the whole file would fail its own limits if this were slow."""
    assert draw_households(100_000, 1).num_rows == 100_000

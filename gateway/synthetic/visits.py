"""Visits to hospitals in 2026 by the people of a household table; columns as the rules declare.

The old and the very young come more often; department follows age and sex, the chapter of the
diagnosis (ICD-10) follows the department, cost follows department and age.
"""

from typing import Final

import numpy as np
import pyarrow as pa

from gateway.synthetic.identifiers import Integers, insurance_numbers
from gateway.synthetic.names import Flags, Texts
from gateway.synthetic.notes import VISIT_NOTES, write_notes
from gateway.synthetic.places import PROVINCES

VISITS_MAX: Final = 12
COST_MAX_VND: Final = 20_000_000
FIRST_DAY: Final = np.datetime64("2026-01-01")
DAYS: Final = 365

DEPARTMENTS: Final = {
    "cardiology": ({"I00-I99": 80, "R00-R99": 12, "Q00-Q99": 3, "E00-E90": 5}, 1_100_000),
    "obstetrics": ({"O00-O99": 78, "N00-N99": 12, "Z00-Z99": 10}, 1_300_000),
    "paediatrics": (
        {"J00-J99": 48, "A00-B99": 20, "K00-K93": 8, "P00-P96": 4, "Q00-Q99": 4, "L00-L99": 8, "H60-H95": 8},
        380_000,
    ),
    "internal": (
        {"E00-E90": 20, "K00-K93": 18, "J00-J99": 18, "M00-M99": 14, "G00-G99": 7, "N00-N99": 7, "D50-D89": 3}
        | {"F00-F99": 4, "A00-B99": 5, "U00-U99": 1, "L00-L99": 3},
        520_000,
    ),
    "surgery": ({"K00-K93": 30, "C00-D48": 30, "S00-T98": 22, "M00-M99": 12, "N00-N99": 6}, 3_200_000),
    "ophthalmology": ({"H00-H59": 92, "E00-E90": 4, "S00-T98": 4}, 450_000),
    "dentistry": ({"K00-K93": 95, "S00-T98": 5}, 360_000),
    "emergency": ({"S00-T98": 55, "I00-I99": 14, "R00-R99": 17, "V01-Y98": 6, "J00-J99": 8}, 1_500_000),
}
"""Of each: diagnoses by weight, and the usual cost."""
PERSON_COLUMNS: Final = (
    *("citizen_id", "household_id", "full_name", "sex", "birth_date"),
    *("province", "phone", "occupation"),
)
SCHOOL_AGE, CHILD_AGE, OLD_AGE = 6, 16, 60


def draw_visits(people: pa.Table, seed: int) -> pa.Table:
    """Return the year's visits of a household table's people, in order of their dates."""
    rng = np.random.default_rng([seed, 2])
    person = {name: people.column(name).to_numpy(zero_copy_only=False) for name in PERSON_COLUMNS}
    birth = person["birth_date"].astype("datetime64[D]")
    cards = insurance_numbers(
        rng, _groups(rng, birth, person["occupation"]), _legacy_codes(person["citizen_id"])
    )

    visits = _visits_each(rng, _ages(birth, np.full(len(birth), FIRST_DAY)))
    who = np.repeat(np.arange(people.num_rows), visits)
    day = FIRST_DAY + rng.integers(DAYS, size=len(who)).astype("timedelta64[D]")
    not_born = day < birth[who]
    who, day = who[~not_born], day[~not_born]
    order = np.argsort(day, kind="stable")
    who, day = who[order], day[order]

    age, female = _ages(birth[who], day), person["sex"][who] == "female"
    department = _departments(rng, age, female)
    cost = _costs(rng, department, age)
    share = np.array([{"1": 1.0, "3": 0.95}.get(card[2], 0.8) for card in cards.tolist()])[who]
    paid = np.where(rng.random(len(who)) < 0.1, 0, np.floor(cost * share / 1000) * 1000).astype(np.int64)  # noqa: PLR2004
    count = len(who)
    return pa.table(
        {
            "visit_id": pa.array([f"V2026{number:08d}" for number in range(1, count + 1)], pa.string()),
            "citizen_id": pa.array(person["citizen_id"][who], pa.string()),
            "insurance_no": pa.array(cards[who], pa.string()),
            "full_name": pa.array(person["full_name"][who], pa.string()),
            "sex": pa.array(person["sex"][who], pa.string()),
            "birth_date": pa.array(birth[who], pa.date32()),
            "province": pa.array(_hospitals(rng, person["province"][who]), pa.string()),
            "visit_date": pa.array(day, pa.date32()),
            "icd10_chapter": pa.array(_diagnoses(rng, department, age), pa.string()),
            "department": pa.array(department, pa.string()),
            "cost_vnd": pa.array(cost, pa.int64()),
            "insurance_paid_vnd": pa.array(paid, pa.int64()),
            "note": pa.array(_notes(rng, person, cards, who), pa.string()),
        }
    )


def _visits_each(rng: np.random.Generator, age: Integers) -> Integers:
    """Return 0 to 12 visits each; some people come again and again."""
    expected = 0.36 + 0.014 * np.maximum(0, age - 35) + 0.35 * (age < SCHOOL_AGE)
    visits = rng.poisson(expected * rng.gamma(1.2, 1 / 1.2, len(age)))
    return np.minimum(visits, VISITS_MAX).astype(np.int64)


def _departments(rng: np.random.Generator, age: Integers, female: Flags) -> Texts:
    fertile = female & (age >= CHILD_AGE) & (age < 50)  # noqa: PLR2004 (an age)
    child, old = age < CHILD_AGE, age >= OLD_AGE
    never = -50.0
    tastes = {
        "cardiology": np.where(child, -2.5, np.where(old, 1.1, -0.7)),
        "obstetrics": np.where(fertile, 0.7, never),
        "paediatrics": np.where(child, 2.2, never),
        "internal": np.where(child, -1.0, 1.0),
        "surgery": np.where(child, -1.5, np.where(old, 0.1, -0.3)),
        "ophthalmology": np.where(old, 0.2, -0.6),
        "dentistry": np.where(old, -0.8, -0.1),
        "emergency": np.full(len(age), -0.2),
    }
    scores = np.stack([tastes[name] for name in DEPARTMENTS], axis=1)
    chosen = np.argmax(scores + rng.gumbel(size=scores.shape), axis=1)
    return np.asarray(np.array(list(DEPARTMENTS), dtype=object)[chosen], dtype=object)


def _diagnoses(rng: np.random.Generator, department: Texts, age: Integers) -> Texts:
    found = np.empty(len(department), dtype=object)
    for name, (weights, _) in DEPARTMENTS.items():
        here = department == name
        shares = np.array(list(weights.values()), dtype=float)
        chapters = np.array(list(weights), dtype=object)
        found[here] = chapters[rng.choice(len(chapters), size=int(here.sum()), p=shares / shares.sum())]
    return np.asarray(np.where((found == "P00-P96") & (age > 0), "J00-J99", found), dtype=object)


def _costs(rng: np.random.Generator, department: Texts, age: Integers) -> Integers:
    usual = np.select(
        [department == name for name in DEPARTMENTS], [usual for _, usual in DEPARTMENTS.values()]
    )
    cost = usual * np.exp(0.006 * (age - 40) + rng.normal(0, 0.6, len(age)))
    thousands = np.round(np.clip(cost, 20_000, COST_MAX_VND) / 1000)
    return np.asarray(thousands * 1000, dtype=np.int64)


def _hospitals(rng: np.random.Generator, home: Texts) -> Texts:
    """Return the hospital's province: mostly one's own, else one of the two big cities."""
    codes = np.array([place.code for place in PROVINCES])
    south = home.astype(np.int64) >= int(codes[len(codes) // 2])
    away = rng.random(len(home)) < 0.08  # noqa: PLR2004 (a share of visits)
    return np.asarray(np.where(away, np.where(south, "79", "01"), home), dtype=object)


def _groups(rng: np.random.Generator, birth: np.ndarray, occupation: Texts) -> Texts:
    """Return the two letters of the insurance card's beneficiary group."""
    age = _ages(birth, np.full(len(birth), FIRST_DAY))
    poor = rng.random(len(age)) < 0.06  # noqa: PLR2004 (a share of people)
    employed = np.isin(occupation, ["manufacturing", "construction", "transport", "services", "public"])
    choices = [age < SCHOOL_AGE, occupation == "student", poor, occupation == "retired", employed]
    return np.asarray(np.select(choices, ["TE", "HS", "HN", "HT", "DN"], "GD"), dtype=object)


def _legacy_codes(citizen_id: Texts) -> Texts:
    codes = np.empty(len(citizen_id), dtype=object)
    codes[:] = [number[:3] for number in citizen_id.tolist()]
    return codes


def _ages(birth: np.ndarray, day: np.ndarray) -> Integers:
    years = (day - birth).astype(np.int64) // 365.25
    return np.asarray(np.maximum(0, years), dtype=np.int64)


def _notes(
    rng: np.random.Generator, person: dict[str, np.ndarray], cards: Texts, who: Integers
) -> list[str | None]:
    birth = person["birth_date"].astype("datetime64[D]").astype(str)
    heads, household = np.unique(person["household_id"], return_index=True, return_inverse=True)[1:]
    has_none = np.array([phone is None for phone in person["phone"].tolist()], dtype=bool)
    phones = np.where(has_none, person["phone"][heads][household], person["phone"])  # a child's: the head's
    values = (person["full_name"], person["citizen_id"], phones, cards, birth)
    people = (
        {
            "name": name,
            "id": id_,
            "phone": phone,
            "insurance": card,
            "birth": f"{born[8:]}/{born[5:7]}/{born[:4]}",
        }
        for name, id_, phone, card, born in zip(*(value[who].tolist() for value in values), strict=True)
    )
    return write_notes(rng, VISIT_NOTES, people, len(who))

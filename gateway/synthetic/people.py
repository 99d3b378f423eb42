"""Households and the people in them: ages that fit, and fields that depend on one another.

Order of dependence: province -> ethnic group and wealth; roles -> ages and sexes; age, province ->
education; age, education, province -> occupation; all of these -> income (log-normal).
Arrays have one element a person, in the order of households; the head comes first.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from gateway.synthetic.identifiers import Integers
from gateway.synthetic.names import Flags, Texts, weighted
from gateway.synthetic.places import PROVINCES

SURVEY_DAY: Final = np.datetime64("2026-04-01")
SIZE_SHARES: Final = np.array([0.11, 0.17, 0.19, 0.24, 0.14, 0.08, 0.035, 0.018, 0.008, 0.004, 0.003, 0.002])
EDUCATIONS: Final = ("none", "primary", "lower-secondary", "upper-secondary", "vocational", "university")
WORK: Final = ("agriculture", "manufacturing", "construction", "trade", "transport", "services", "public")
WORK_BASE: Final = np.array([0.9, 0.6, 0.0, 0.4, -0.5, 0.4, -1.0])
WORK_BY_EDUCATION: Final = np.array([-0.75, -0.05, -0.35, 0.05, -0.1, 0.25, 0.95])
WORK_BY_WEALTH: Final = np.array([-1.3, 0.6, 0.0, 0.3, 0.3, 0.6, 0.0])
INCOME_BY_WORK: Final = {
    "agriculture": -0.35, "manufacturing": 0.1, "construction": 0.05, "trade": 0.05, "transport": 0.15,
    "services": 0.1, "public": 0.1, "retired": -0.6, "student": -2.5, "none": -1.2,
}  # fmt: skip
INCOME_MAX_VND: Final = 500_000_000
SCHOOL_AGE, WORKING_AGE, ADULT_AGE, RETIREMENT_AGE = 6, 15, 18, 60


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """One array a field."""

    household: Integers
    role: Texts
    """head, spouse, child, parent or other."""
    household_size: Integers
    province: Integers
    """Index into ``PROVINCES``."""
    ethnicity: Texts
    female: Flags
    age: Integers
    birth_date: np.ndarray
    education: Integers
    """Index into ``EDUCATIONS``."""
    occupation: Texts
    income_vnd: Integers


def draw_people(rng: np.random.Generator, count: int) -> People:
    """Return that many people."""
    household, position, size = _households(rng, count)
    households = int(household[-1]) + 1 if count else 0
    weights = np.array([province.population for province in PROVINCES], dtype=float)
    province = rng.choice(len(PROVINCES), size=households, p=weights / weights.sum())[household]
    ethnicity = _ethnicities(rng, province, household)
    role, female, age = _families(rng, household, position)
    education = _educations(rng, age, province)
    occupation = _occupations(rng, age, education, province)
    return People(
        household=household,
        role=role,
        household_size=size,
        province=province,
        ethnicity=ethnicity,
        female=female,
        age=age,
        birth_date=SURVEY_DAY - _days(rng, age),
        education=education,
        occupation=occupation,
        income_vnd=_incomes(rng, age, education, occupation, province),
    )


def _households(rng: np.random.Generator, count: int) -> tuple[Integers, Integers, Integers]:
    """Return household number, position in it and its size; the last household may be cut short."""
    sizes = rng.choice(np.arange(1, 13), size=count, p=SIZE_SHARES / SIZE_SHARES.sum())
    household = np.repeat(np.arange(count), sizes)[:count]
    real_sizes = np.bincount(household, minlength=1)
    starts = np.cumsum(real_sizes) - real_sizes
    return household, np.arange(count) - starts[household], real_sizes[household]


def _ethnicities(rng: np.random.Generator, province: Integers, household: Integers) -> Texts:
    drawn = np.empty(len(province), dtype=object)
    for at, place in enumerate(PROVINCES):
        here = province == at
        shares = {"other": 0.015} | dict(place.minorities)
        shares = {"kinh": 1 - sum(shares.values())} | shares
        drawn[here] = weighted(rng, shares, int(here.sum()))
    heads = np.unique(household, return_index=True)[1]
    return drawn[heads][household]  # a family is of one group


def _families(
    rng: np.random.Generator, household: Integers, position: Integers
) -> tuple[Texts, Flags, Integers]:
    """Return roles, sexes and ages; a parent is at least 18 years older than a child."""
    count = len(household)
    heads = np.flatnonzero(position == 0)
    head_age = np.clip(rng.normal(49, 14, len(heads)), 22, 88).astype(np.int64)[household]
    head_female = (rng.random(len(heads)) < 0.3)[household]  # noqa: PLR2004 (a share of heads)

    luck = rng.random(count)
    parents_may_live = (head_age <= 62) & (position >= 2)  # noqa: PLR2004 (ages and places)
    role = np.full(count, "child", dtype=object)
    role[parents_may_live & (luck < 0.14)] = "parent"  # noqa: PLR2004
    role[(position >= 2) & (luck > 0.95)] = "other"  # noqa: PLR2004
    role[(position == 1) & (luck < 0.86)] = "spouse"  # noqa: PLR2004
    role[position == 0] = "head"

    ages = {
        "head": head_age,
        "spouse": np.maximum(20, head_age + rng.integers(-6, 5, count)),
        "child": rng.integers(np.maximum(0, head_age - 42), head_age - 17),
        "parent": np.minimum(head_age + rng.integers(20, 36, count), 101),
        "other": np.maximum(18, head_age + rng.integers(-15, 16, count)),
    }
    age = np.select([role == name for name in ages], list(ages.values()))
    drawn_female = rng.random(count) < 0.5 + 0.003 * np.maximum(0, age - 50)
    female = np.where(role == "head", head_female, np.where(role == "spouse", ~head_female, drawn_female))
    return role, female, age.astype(np.int64)


def _educations(rng: np.random.Generator, age: Integers, province: Integers) -> Integers:
    """Adults of later years and richer provinces went to school longer; children as far as they can be."""
    wealth = _wealth(province)
    schooling = rng.normal(0, 1, len(age)) + 0.55 * wealth - 0.022 * (age - 40)
    adult = np.digitize(schooling, [-1.7, -0.75, 0.1, 0.85, 1.15])
    by_age = np.select([age < 11, age < WORKING_AGE, age < ADULT_AGE], [0, 1, 2], 3)  # noqa: PLR2004
    young = np.where(age < 22, np.minimum(adult, by_age), adult)  # noqa: PLR2004
    return np.where(age < ADULT_AGE, by_age - (by_age > 0) * (schooling < -1), young).astype(np.int64)


def _occupations(rng: np.random.Generator, age: Integers, education: Integers, province: Integers) -> Texts:
    level, wealth = education[:, None] - 2.0, _wealth(province)[:, None]
    taste = WORK_BASE + WORK_BY_EDUCATION * level + WORK_BY_WEALTH * wealth
    work = np.array(WORK, dtype=object)[np.argmax(taste + rng.gumbel(size=taste.shape), axis=1)]

    luck = rng.random(len(age))
    studies = np.select([age < SCHOOL_AGE, age < WORKING_AGE, age < ADULT_AGE, age < 23], [0, 1, 0.85, 0.4])  # noqa: PLR2004
    rests = np.select([age < RETIREMENT_AGE, work == "agriculture", age < 70], [0.0, 0.35, 0.7], 0.95)  # noqa: PLR2004
    idle = (luck > 0.94) | (age < SCHOOL_AGE)  # noqa: PLR2004
    choices = [luck < studies, luck < rests, idle]
    return np.asarray(np.select(choices, ["student", "retired", "none"], work), dtype=object)


def _incomes(
    rng: np.random.Generator, age: Integers, education: Integers, occupation: Texts, province: Integers
) -> Integers:
    """Return income a month, in steps of 10,000 dong; children have none."""
    by_work = np.select([occupation == name for name in INCOME_BY_WORK], list(INCOME_BY_WORK.values()))
    by_age = -0.0006 * (np.clip(age, WORKING_AGE, 70) - 44.0) ** 2
    level = np.log(6_600_000) + 0.16 * (education - 2) + by_work + by_age + 0.33 * _wealth(province)
    income = np.exp(level + rng.normal(0, 0.45, len(age)))
    nothing = (age < WORKING_AGE) | ((occupation == "none") & (rng.random(len(age)) < 0.6))  # noqa: PLR2004
    steps = np.where(nothing, 0, np.round(np.minimum(income, INCOME_MAX_VND) / 10_000))
    return steps.astype(np.int64) * 10_000


def _wealth(province: Integers) -> np.ndarray:
    return np.array([place.wealth for place in PROVINCES])[province]


def _days(rng: np.random.Generator, age: Integers) -> np.ndarray:
    """Return days lived at an age, a birthday anywhere in the year."""
    return np.floor(age * 365.25 + rng.random(len(age)) * 365).astype("timedelta64[D]")

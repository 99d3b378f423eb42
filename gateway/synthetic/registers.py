"""Three registers about some of a household table's people: taxes, land, civil status; small, and invented.

Columns as ``policies`` declares them. Revenue follows the industry, area the use of the land, the price the
place; a birth is registered where the family lives, with mother and father where the household has them.
"""

from typing import Final

import numpy as np
import pyarrow as pa

from gateway.synthetic.identifiers import Integers, tax_codes
from gateway.synthetic.names import Texts
from gateway.synthetic.places import PROVINCES

ROWS_MAX: Final = 6_000
"""Of each register, about."""
YEAR: Final = np.datetime64("2026-01-01")
INDUSTRIES: Final = {
    "G": (46, 60), "I": (18, 45), "C": (10, 90), "S": (9, 20), "H": (7, 40), "A": (4, 35), "F": (3, 120),
    "P": (1, 30), "Q": (1, 50), "L": (1, 70),
}  # fmt: skip
"""Of each: its weight, and the usual revenue of a month in millions of dong."""
LAND_USES: Final = {
    "rice": (34, 700), "rural-housing": (24, 300), "perennial": (14, 1800), "urban-housing": (12, 90),
    "forest": (6, 9000), "aquaculture": (4, 2500), "commerce": (3, 150), "industry": (1, 5000),
    "unused": (1, 400), "security": (1, 3000),
}  # fmt: skip
"""Of each: its weight, and the usual area in square metres."""
EVENTS: Final = {
    "marriage": 40,
    "divorce": 12,
    "death": 34,
    "correction": 10,
    "adoption": 2,
    "recognition": 2,
}
TAX_RATES: Final = {"G": 0.015, "I": 0.045, "C": 0.045, "H": 0.045}
LATE_SHARE, NO_ACCOUNT_SHARE = 0.07, 0.2
ADULT_AGE, CHILD_AGE = 18, 8
NOBODY: Final = (None, None)


def draw_declarations(people: pa.Table, seed: int) -> pa.Table:
    """Return monthly tax declarations of household businesses."""
    rng = np.random.default_rng([seed, 3])
    who = _some(rng, _ages(people) >= ADULT_AGE, ROWS_MAX // 6)
    months = rng.integers(1, 13, size=len(who))
    rows = np.repeat(np.arange(len(who)), months)
    month = np.concatenate([np.arange(count) for count in months.tolist()]).astype("timedelta64[M]")
    codes = tax_codes(rng, len(who))[rows]
    industry = _drawn(rng, INDUSTRIES, len(who))[rows]
    usual = np.array([INDUSTRIES[each][1] for each in industry.tolist()])
    revenue = np.round(usual * rng.lognormal(0, 0.7, len(rows)), 1) * 1_000_000
    rate = np.array([TAX_RATES.get(each, 0.07) for each in industry.tolist()])
    accounts = [f"19{number:011d}" for number in rng.integers(10**11, size=len(who)).tolist()]
    without = (rng.random(len(who)) < NO_ACCOUNT_SHARE)[rows]
    chosen = people.take(pa.array(who[rows]))
    return pa.table(
        {
            "tax_code": pa.array(codes, pa.string()),
            "owner_name": chosen.column("full_name"),
            "address": chosen.column("address"),
            "province": chosen.column("province"),
            "industry": pa.array(industry, pa.string()),
            "period": pa.array((YEAR.astype("datetime64[M]") + month).astype("datetime64[D]"), pa.date32()),
            "revenue_vnd": pa.array(revenue.astype(np.int64), pa.int64()),
            "tax_due_vnd": pa.array((revenue * rate).astype(np.int64), pa.int64()),
            "bank_account": pa.array([accounts[row] for row in rows.tolist()], pa.string(), mask=without),
            "is_late": pa.array(rng.random(len(rows)) < LATE_SHARE, pa.bool_()),
        }
    )


def draw_parcels(people: pa.Table, seed: int) -> pa.Table:
    """Return parcels of land and who holds them."""
    rng = np.random.default_rng([seed, 4])
    holders = _some(rng, _ages(people) >= ADULT_AGE, ROWS_MAX // 2)
    rows = np.repeat(holders, rng.integers(1, 4, size=len(holders)))[:ROWS_MAX]
    chosen = people.take(pa.array(rows))
    use = _drawn(rng, LAND_USES, len(rows))
    area = np.array([LAND_USES[each][1] for each in use.tolist()]) * rng.lognormal(0, 0.5, len(rows))
    wealth = np.array([_WEALTH[code] for code in chosen.column("province").to_pylist()])
    price = np.exp(
        13 + 2 * wealth + np.isin(use, ["urban-housing", "commerce"]) + rng.normal(0, 0.4, len(rows))
    )
    wards, sheets = chosen.column("ward").to_pylist(), rng.integers(1, 60, size=len(rows)).tolist()
    numbers = [f"{ward}-{sheet}-{at}" for at, (ward, sheet) in enumerate(zip(wards, sheets, strict=True), 1)]
    return pa.table(
        {
            "parcel_id": pa.array(numbers, pa.string()),
            "holder_id": chosen.column("citizen_id"),
            "holder_name": chosen.column("full_name"),
            "province": chosen.column("province"),
            "ward": chosen.column("ward"),
            "land_use": pa.array(use, pa.string()),
            "area_m2": pa.array(np.round(np.minimum(area, 99_999), 1), pa.float64()),
            "price_vnd_m2": pa.array((np.round(price, -3)).astype(np.int64), pa.int64()),
            "registered_on": pa.array(YEAR - rng.integers(1, 11_000, size=len(rows)), pa.date32()),
            "latitude": pa.array(np.round(rng.uniform(8.6, 23.3, len(rows)), 6), pa.float64()),
            "longitude": pa.array(np.round(rng.uniform(102.2, 109.4, len(rows)), 6), pa.float64()),
        }
    )


def draw_events(people: pa.Table, seed: int) -> pa.Table:
    """Return registered events of civil status, under the names that the registry itself has for columns."""
    rng = np.random.default_rng([seed, 5])
    ages = _ages(people)
    born = _some(rng, ages < CHILD_AGE, ROWS_MAX // 2)
    others = _some(rng, ages >= ADULT_AGE, ROWS_MAX // 2)
    rows = np.concatenate([born, others])
    is_birth = np.arange(len(rows)) < len(born)
    chosen = people.take(pa.array(rows))
    births = chosen.column("birth_date").to_numpy().astype("datetime64[D]")
    weights: dict[str, tuple[int, int]] = {event: (weight, 0) for event, weight in EVENTS.items()}
    event = np.where(is_birth, "birth", _drawn(rng, weights, len(rows)))
    last = YEAR + np.timedelta64(180, "D")
    registered = np.where(
        is_birth, births + rng.integers(1, 60, size=len(rows)), last - rng.integers(1, 4000, size=len(rows))
    )
    parents = _parents(people)
    households = chosen.column("household_id").to_pylist()
    found = [
        parents.get(name, NOBODY) if child else NOBODY
        for name, child in zip(households, is_birth.tolist(), strict=True)
    ]
    return pa.table(
        {
            "Số định danh": chosen.column("citizen_id"),
            "Họ, chữ đệm, tên": chosen.column("full_name"),
            "Loại việc": pa.array(event, pa.string()),
            "Ngày đăng ký": pa.array(np.minimum(registered, last), pa.date32()),
            "Ngày sinh": chosen.column("birth_date"),
            "Giới tính": chosen.column("sex"),
            "Dân tộc": chosen.column("ethnicity"),
            "Tỉnh": chosen.column("province"),
            "Xã": chosen.column("ward"),
            "Số định danh của mẹ": pa.array([mother for mother, _ in found], pa.string()),
            "Số định danh của cha": pa.array([father for _, father in found], pa.string()),
        }
    )


_WEALTH: Final = {place.code: place.wealth for place in PROVINCES}


def _ages(people: pa.Table) -> Integers:
    births = people.column("birth_date").to_numpy().astype("datetime64[D]")
    return np.asarray((YEAR - births).astype(np.int64) // 365.25, dtype=np.int64)


def _some(rng: np.random.Generator, eligible: np.ndarray, count: int) -> Integers:
    """Return the places of at most so many of the eligible people, in the table's order."""
    places = np.flatnonzero(eligible)
    return np.sort(rng.choice(places, size=min(count, len(places)), replace=False)).astype(np.int64)


def _drawn(rng: np.random.Generator, weights: dict[str, tuple[int, int]], count: int) -> Texts:
    names, shares = (
        np.array(list(weights), dtype=object),
        np.array([weight for weight, _ in weights.values()]),
    )
    return np.asarray(names[rng.choice(len(names), size=count, p=shares / shares.sum())], dtype=object)


def _parents(people: pa.Table) -> dict[str, tuple[str | None, str | None]]:
    """Return mother and father of each household: its first woman and man of an age to be parents."""
    found: dict[str, tuple[str | None, str | None]] = {}
    columns = [people.column(name).to_pylist() for name in ("household_id", "citizen_id", "sex")]
    for household, number, sex, age in zip(*columns, _ages(people).tolist(), strict=True):
        if age >= ADULT_AGE:
            mother, father = found.get(household, (None, None))
            if sex == "female":
                found[household] = (mother or number, father)
            else:
                found[household] = (mother, father or number)
    return found

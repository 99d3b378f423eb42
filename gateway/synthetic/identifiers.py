"""Numbers that Vietnamese people carry, of valid shape, unique within a table, and nobody's.

* personal number: old province code of birth (3), century and sex (1), year (2), serial (6):
  Decree 137/2015/ND-CP article 13, Circular 59/2021/TT-BCA;
* health insurance card: group (2 letters), benefit level (1-5), old province (2), social insurance
  number (10): Decision 1351/QD-BHXH;
* tax code: nine digits and a check digit (weights 31 29 23 19 17 13 7 5 3);
* mobile number: `0`, a prefix in use since 2018, seven digits.
"""

import math

import numpy as np
from numpy.typing import NDArray

from gateway.synthetic.names import Flags, Texts

Integers = NDArray[np.int64]

TAX_WEIGHTS = np.array([31, 29, 23, 19, 17, 13, 7, 5, 3])
MOBILE_PREFIXES = tuple(
    f"0{prefix}"
    for prefix in (
        *range(32, 40),
        56,
        58,
        70,
        *range(76, 80),
        *range(81, 87),
        88,
        *range(90, 95),
        *range(96, 99),
    )
)
SERIALS = 10**6
STEP = 381_917
"""Prime to a power of ten: steps of it visit every serial once."""
CENTURY_OF_TWO = 2000


def citizen_ids(rng: np.random.Generator, legacy_codes: Texts, female: Flags, birth_years: Integers) -> Texts:
    """Return personal numbers; people of one province, sex and year get different serials."""
    century_and_sex = 2 * (birth_years >= CENTURY_OF_TWO) + female
    prefix = legacy_codes.astype(np.int64) * 1000 + century_and_sex * 100 + birth_years % 100
    numbers = prefix * SERIALS + _serials(rng, prefix)
    return _digits(numbers, 12)


def _serials(rng: np.random.Generator, group: Integers) -> Integers:
    """Return a serial for each, different within a group of at most a million."""
    order = np.argsort(group, kind="stable")
    ordered = group[order]
    starts = np.concatenate(([True], ordered[1:] != ordered[:-1])) if len(group) else np.zeros(0, bool)
    first = np.maximum.accumulate(np.where(starts, np.arange(len(group)), 0))
    rank = np.empty(len(group), dtype=np.int64)
    rank[order] = np.arange(len(group)) - first
    return (group * 7919 + int(rng.integers(SERIALS)) + rank * STEP) % SERIALS


def insurance_numbers(rng: np.random.Generator, groups: Texts, legacy_codes: Texts) -> Texts:
    """Return health insurance cards for people of the given beneficiary groups."""
    count = len(groups)
    social = _digits(_distinct(rng, count, 10**10), 10)
    level = np.where(np.isin(groups, ["TE", "HN"]), 1, np.where(groups == "HT", 3, 4))
    parts = zip(groups.tolist(), level.tolist(), legacy_codes.tolist(), social.tolist(), strict=True)
    return _texts([f"{group}{digit}{code[1:]}{number}" for group, digit, code, number in parts])


def tax_codes(rng: np.random.Generator, count: int) -> Texts:
    """Return ten-digit tax codes; a body whose check digit would be 10 belongs to nobody and is left out."""
    bodies = 10**8 + rng.integers(8 * 10**8, size=count)
    while (bad := _checks(bodies) == 10).any():  # noqa: PLR2004 (not a digit)
        bodies[bad] += 1
    return _digits(bodies * 10 + _checks(bodies), 10)


def _checks(bodies: Integers) -> Integers:
    digits = bodies[:, None] // 10 ** np.arange(8, -1, -1) % 10
    return np.asarray(10 - (digits * TAX_WEIGHTS).sum(axis=1) % 11, dtype=np.int64)


def phones(rng: np.random.Generator, count: int) -> Texts:
    """Return different mobile numbers."""
    numbers = _distinct(rng, count, len(MOBILE_PREFIXES) * 10**7)
    parts = zip((numbers // 10**7).tolist(), (numbers % 10**7).tolist(), strict=True)
    return _texts([f"{MOBILE_PREFIXES[prefix]}{number:07d}" for prefix, number in parts])


def _distinct(rng: np.random.Generator, count: int, below: int) -> Integers:
    """Return different numbers, spread over the whole range."""
    step = int(below * 0.6180339887)  # the golden section spreads them evenly
    while math.gcd(step, below) != 1:
        step += 1
    start = int(rng.integers(below))
    numbers = np.array([(start + step * at) % below for at in range(count)], dtype=np.int64)
    return rng.permutation(numbers)


def _digits(numbers: Integers, length: int) -> Texts:
    return _texts([f"{number:0{length}d}" for number in numbers.tolist()])


def _texts(words: list[str]) -> Texts:
    texts = np.empty(len(words), dtype=object)
    texts[:] = words
    return texts

"""Numbers of valid shape, and no number twice."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.synthetic.identifiers import citizen_ids, insurance_numbers, phones, tax_codes
from gateway.synthetic.notes import NAME_STYLES, NUMBER_STYLES, without_diacritics
from gateway.synthetic.places import PROVINCES, ward_codes


def texts(words: list[str]) -> np.ndarray:
    return np.array(words, dtype=object)


def is_tax_code(code: str) -> bool:
    """General Department of Taxation: weighted sum, eleven, ten minus the rest."""
    weights = (31, 29, 23, 19, 17, 13, 7, 5, 3)
    total = sum(weight * int(digit) for weight, digit in zip(weights, code, strict=False))
    return len(code) == 10 and 10 - total % 11 == int(code[9])


@given(st.integers(0, 2**32))
def test_tax_codes_have_a_valid_check_digit(seed: int) -> None:
    codes = tax_codes(np.random.default_rng(seed), 50).tolist()

    assert [code for code in codes if not is_tax_code(code)] == []


def test_the_check_of_tax_codes_knows_a_real_one() -> None:
    assert is_tax_code("0100233488")
    assert not is_tax_code("0100233480")


@given(st.integers(0, 2**32), st.integers(1, 3000))
def test_people_of_one_province_sex_and_year_get_different_numbers(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    numbers = citizen_ids(rng, texts(["079"] * count), np.full(count, True), np.full(count, 1990)).tolist()

    assert len(set(numbers)) == count
    assert {number[:6] for number in numbers} == {"079190"}


@given(st.integers(0, 2**32), st.integers(1, 3000))
def test_phones_and_insurance_numbers_are_different(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    cards = insurance_numbers(rng, texts(["DN"] * count), texts(["079"] * count)).tolist()

    assert len(set(phones(rng, count).tolist())) == count
    assert len(set(cards)) == count
    assert {card[:5] for card in cards} == {"DN479"}


def test_all_sixty_three_old_provinces_are_in_one_of_the_thirty_four() -> None:
    legacy = [code for province in PROVINCES for code in province.legacy_codes]

    assert (len(PROVINCES), len(legacy), len(set(legacy))) == (34, 63, 63)
    assert {province.name for province in PROVINCES if len(province.legacy_codes) == 3} == {
        "Phú Thọ", "Ninh Bình", "Lâm Đồng", "Hồ Chí Minh", "Vĩnh Long", "Cần Thơ",
    }  # fmt: skip


def test_no_ward_code_belongs_to_two_provinces() -> None:
    codes = [code for own in ward_codes() for code in own]

    assert len(codes) == len(set(codes)) == 3321
    assert {len(code) for code in codes} == {5}


@pytest.mark.parametrize(
    ("style", "text", "spelled"),
    [
        (NAME_STYLES[3], "Đỗ Thị Hường", "Do Thi Huong"),
        (NAME_STYLES[4], "Đỗ Thị Hường", "ĐỖ THỊ HƯỜNG"),
        (NAME_STYLES[5], "Đỗ Thị Hường", "DO THI HUONG"),
        (NAME_STYLES[6], "Đỗ Thị Hường", "Thị Hường"),
        (NUMBER_STYLES[2], "001099012345", "001 099 012 345"),
        (NUMBER_STYLES[3], "0912345678", "0.912.345.678"),
        (NUMBER_STYLES[5], "0912345678", "+84 912345678"),
        (NUMBER_STYLES[5], "001099012345", "001099012345"),
    ],
)
def test_names_and_numbers_are_spelled_as_people_write_them(style: object, text: str, spelled: str) -> None:
    assert callable(style)
    assert style(text) == spelled


def test_plain_letters_are_ascii() -> None:
    assert all(without_diacritics(province.name).isascii() for province in PROVINCES)

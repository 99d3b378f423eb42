"""How much of a text is shown, counted in characters as people see them."""

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.masking.generalise import prefixed
from gateway.masking.grapheme import _MAY_EXTEND, CODE_POINTS_MAX, graphemes
from gateway.masking.partial import partially_shown

ENDS = st.integers(0, 12)


@pytest.mark.parametrize(
    ("text", "first", "last", "expected"),
    [
        ("0912345678", 0, 3, "*******678"),
        ("0912345678", 3, 0, "091*******"),
        ("0912345678", 3, 3, "091****678"),
        ("0912345678", 3, 4, "**********"),  # three hidden: neither half nor four
        ("0912345678", 0, 0, "**********"),
        ("123456", 1, 2, "1***56"),  # half
        ("12345", 1, 2, "*****"),
        ("abcd", 1, 1, "a**d"),
        ("abc", 1, 0, "***"),  # short: hidden whole
        ("a", 0, 1, "*"),
        ("", 1, 1, ""),
        ("0912345678", 64, 64, "**********"),
    ],
)
def test_the_ends_are_shown_if_enough_stays_hidden(text: str, first: int, last: int, expected: str) -> None:
    assert partially_shown(text, first, last) == expected


def test_both_spellings_of_an_accent_are_masked_alike() -> None:
    composed, decomposed = (unicodedata.normalize(form, "Ồn ào quá ạ") for form in ("NFC", "NFD"))

    assert partially_shown(decomposed, 1, 1) == partially_shown(composed, 1, 1) == "Ồ*********ạ"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("q\u0303abcdx\u0323\u0303", "q\u0303****x\u0323\u0303"),  # no composed form exists
        ("👩\u200d👩\u200d👧abcd👍🏽", "👩\u200d👩\u200d👧****👍🏽"),
        ("\u0301abcdz", "\u0301****z"),  # a mark without a letter
    ],
)
def test_no_mark_is_cut_off_its_letter(text: str, expected: str) -> None:
    assert partially_shown(text, 1, 1) == expected


def test_texts_that_are_not_looked_at_letter_by_letter_hold_no_mark() -> None:
    quick = [chr(code) for code in range(0x1F00) if not _MAY_EXTEND.search(chr(code))]

    assert len(quick) == 0x300 + 0x100
    assert all(graphemes("a" + character) == ["a", character] for character in quick)


@given(st.text(st.characters(codec="utf-8", exclude_characters="*"), max_size=30), ENDS, ENDS)
def test_at_least_half_or_four_are_hidden_and_the_length_stays(text: str, first: int, last: int) -> None:
    characters = graphemes(unicodedata.normalize("NFC", text))

    masked = graphemes(partially_shown(text, first, last) or "")

    hidden = [place for place, character in enumerate(masked) if character == "*"]
    assert len(masked) == len(characters)
    assert len(hidden) >= min(4, (len(characters) + 1) // 2)
    assert len(characters) >= 4 or len(hidden) == len(characters)
    assert all(masked[place] == characters[place] for place in set(range(len(masked))) - set(hidden))


@pytest.mark.parametrize("character", ["a", "é", "漢", "\u0301", "\u200d", "\u0316\u0301"])
def test_a_text_that_is_too_long_to_count_is_null_at_once(character: str) -> None:
    """A million marks take NFC an hour, in which nobody else is served."""
    longest = (character * CODE_POINTS_MAX)[:CODE_POINTS_MAX]
    began = time.process_time()

    assert partially_shown(longest, 1, 1) is not None
    assert [partially_shown(longest * 40, 1, 1), prefixed(longest * 40, 2)] == [None, None]
    assert [partially_shown(longest + "a", 1, 1), prefixed(longest + "a", 2)] == [None, None]
    assert time.process_time() - began < 0.1


@given(st.text(max_size=30))
def test_graphemes_put_together_are_the_text(text: str) -> None:
    assert "".join(graphemes(text)) == text

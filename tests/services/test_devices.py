"""User codes: eight letters, all equally likely, found again however they are typed."""

import re

from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger.volatile import Volatile
from gateway.services.devices import ALPHABET, normal_user_code, unused_user_code


def code_from(given: bytes) -> str:
    volatile = Volatile.create(None)
    code = unused_user_code(volatile, lambda count: given.ljust(count, b"\x00")[:count], now_ms=0)
    volatile.close()
    return code


@given(st.binary(min_size=32, max_size=32).filter(lambda given: sum(byte < 240 for byte in given) >= 8))
def test_a_user_code_is_eight_letters_without_vowels(given: bytes) -> None:
    assert re.fullmatch(f"[{ALPHABET}]{{4}}-[{ALPHABET}]{{4}}", code_from(given))


def test_no_letter_is_likelier() -> None:
    """Of 256 bytes the last 16 are passed over, so that each letter has 12 of the other 240."""
    assert code_from(bytes(range(255, 239, -1)) + bytes(range(16))) == "BCDF-GHJK"
    assert 240 % len(ALPHABET) == 0


@given(st.text(alphabet=ALPHABET, min_size=8, max_size=8), st.sampled_from(["", "-", " ", ".", " - "]))
def test_case_and_separators_do_not_matter(letters: str, between: str) -> None:
    typed = f" {letters[:4].lower()}{between}{letters[4:]} "

    assert normal_user_code(typed) == f"{letters[:4]}-{letters[4:]}"


@given(st.text())
def test_any_text_has_a_normal_form_that_is_its_own(typed: str) -> None:
    once = normal_user_code(typed)

    assert normal_user_code(once) == once

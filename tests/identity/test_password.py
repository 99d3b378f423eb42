"""Passwords that are kept as hashes, compared whatever the keyboard, and cost the same for nobody."""

import unicodedata

import pytest
from argon2 import extract_parameters
from argon2.low_level import Type

from gateway.identity.password import NOBODY, hash_password, passphrase_key, password_matches

PASSWORD = "Đường-về-Huế 1975"
HASH = hash_password(PASSWORD, b"s" * 16)


def test_the_right_password_fits_and_another_does_not() -> None:
    assert password_matches(HASH, PASSWORD)
    assert not password_matches(HASH, PASSWORD + " ")


def test_letters_typed_in_parts_are_the_same_letters() -> None:
    assert unicodedata.normalize("NFD", PASSWORD) != PASSWORD
    assert password_matches(HASH, unicodedata.normalize("NFD", PASSWORD))


@pytest.mark.parametrize("given", ["", "short", "x" * 257, "\ud800" * 8])
def test_what_cannot_be_a_password_fits_nobody(given: str) -> None:
    assert not password_matches(HASH, given)
    assert not password_matches(None, given)


def test_bytes_that_are_no_text_are_not_all_one_password() -> None:
    """As `?`, eight of them would be the password of whoever has eight question marks."""
    assert not password_matches(hash_password("?" * 8, b"s" * 16), "\udce9" * 8)
    with pytest.raises(ValueError, match="surrogates"):
        passphrase_key("\udce9" * 12, b"s" * 16)


def test_nobody_has_no_password() -> None:
    assert not password_matches(None, PASSWORD)


def test_looking_up_nobody_costs_as_much_as_a_check() -> None:
    assert extract_parameters(NOBODY) == extract_parameters(HASH)
    assert extract_parameters(HASH).type is Type.ID


@pytest.mark.parametrize("broken", ["", "$argon2id$", "plain", "ă"])
def test_a_broken_hash_fits_nothing(broken: str) -> None:
    assert not password_matches(broken, PASSWORD)


def test_a_hash_is_of_its_salt() -> None:
    assert hash_password(PASSWORD, b"t" * 16) != HASH


@pytest.mark.parametrize(
    ("password", "salt"),
    [("short", b"s" * 16), ("x" * 257, b"s" * 16), (PASSWORD, b"s"), ("\ud800" * 8, b"s" * 16)],
)
def test_a_weak_password_or_salt_is_not_hashed(password: str, salt: bytes) -> None:
    with pytest.raises(ValueError, match=r"8 to 256|16 bytes|surrogates"):
        hash_password(password, salt)

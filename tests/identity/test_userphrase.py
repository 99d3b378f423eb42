"""The words that two screens show."""

import re

from hypothesis import given
from hypothesis import strategies as st

from gateway.identity.userphrase import _word, key_phrase

WORD = "[bdfghjklmnprstvz][aiou][bdfghjklmnprstvz][aiou][bdfghjklmnprstvz]"
thumbprints = st.text("abcdefgh", min_size=43, max_size=43)
hashes = st.binary(min_size=32, max_size=32)


@given(thumbprints, hashes)
def test_a_phrase_is_four_words_to_read_aloud(thumbprint: str, code_hash: bytes) -> None:
    assert re.fullmatch(rf"{WORD}(-{WORD}){{3}}", key_phrase(thumbprint, code_hash))


@given(thumbprints, hashes, hashes)
def test_another_code_or_key_shows_other_words(thumbprint: str, one: bytes, other: bytes) -> None:
    if one != other:
        assert key_phrase(thumbprint, one) != key_phrase(thumbprint, other)
    assert key_phrase(thumbprint, one) != key_phrase(thumbprint[:-1] + "z", one)


def test_words_are_spelled_as_published() -> None:
    """The proposal's own example: 127.0.0.1 is ``lusab-babad``."""
    assert (_word(0x7F00), _word(0x0001)) == ("lusab", "babad")


def test_the_words_are_the_same_on_both_sides_for_good() -> None:
    assert key_phrase("A" * 43, bytes(32)) == "lovaz-givut-kidar-tugaz"

"""What a commitment fixes and what it hides."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.transparency.commitment import commitment

SALT = bytes(range(32))


def test_the_formula_is_the_published_one() -> None:
    digest = hashlib.sha256(b"gwc1\x00body\x00" + SALT + b"value").digest()

    assert commitment("body", SALT, b"value") == base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert commitment("body", SALT, b"value") == "EnVmTDOhNEgTKQstbBwDLdtBplDjQdhjV1wPZhnA5dw"


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_field_salt_and_value_all_count(one: bytes, other: bytes) -> None:
    """Promise P9: an opening serves for its own field of its own entry only."""
    commitments = {
        commitment("body", SALT, one),
        commitment("question", SALT, one),
        commitment("body", bytes(32), one),
        commitment("body", SALT, one + b"\x00"),
    }

    assert len(commitments) == 4
    assert (commitment("body", SALT, one) == commitment("body", SALT, other)) == (one == other)


@pytest.mark.parametrize(
    ("field", "salt"), [("body", b"short"), ("body", bytes(33)), ("", SALT), ("a\0b", SALT), ("É", SALT)]
)
def test_an_ambiguous_opening_cannot_be_made(field: str, salt: bytes) -> None:
    with pytest.raises(ValueError, match=r"salt|field"):
        commitment(field, salt, b"value")

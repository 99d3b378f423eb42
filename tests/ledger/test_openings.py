"""An opening opens the commitments of its own entry, to who has its key, and to nobody else (P9)."""

import hmac
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger.entry import draft_of_release
from gateway.ledger.openings import Salts, packed, sealed, unpacked, unsealed
from gateway.transparency.canonical import parsed
from gateway.transparency.commitment import commitment

names = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=64)
openings = st.tuples(st.binary(min_size=32, max_size=32), st.dictionaries(names, st.binary(max_size=300)))


@given(st.binary(min_size=32, max_size=32), names)
def test_a_salt_is_the_hmac_of_its_field(seed: bytes, name: str) -> None:
    assert Salts(seed).of(name) == hmac.digest(seed, name.encode(), "sha256")


@given(openings)
def test_what_was_packed_unpacks(opening: tuple[bytes, dict[str, bytes]]) -> None:
    assert unpacked(packed(*opening)) == opening


@given(openings, st.integers(1, 40))
def test_half_an_opening_is_none(opening: tuple[bytes, dict[str, bytes]], cut: int) -> None:
    whole = packed(*opening)
    for wrong in (whole[:-cut], whole + b"\x00" * cut):
        try:
            assert packed(*unpacked(wrong)) == wrong  # it ended at the end of a field
        except ValueError:
            continue


def test_an_opening_opens_every_commitment_of_its_entry(build: Any) -> None:
    private = {"question": b"SELECT 1", "peer": b"203.0.113.7"}
    draft = draft_of_release(build.release(private=private, body=b"sent"), lambda size: b"\x07" * size)

    seed, values = unpacked(draft.opening)
    salts = Salts(seed)
    assert values == private
    assert parsed(draft.leaf(ts=0))["commitments"] == {
        name: commitment(name, salts.of(name), value) for name, value in {**values, "body": b"sent"}.items()
    }
    assert draft.body_salt == salts.of("body")


def test_an_opening_is_of_one_entry_and_one_key() -> None:
    cipher, other = AESGCM(bytes(32)), AESGCM(b"\x01" * 32)
    text = sealed(cipher, bytes(12), b"opening", b"hash of its entry")

    assert unsealed(cipher, text, b"hash of its entry") == b"opening"
    for key, secret, entry in (
        (other, text, b"hash of its entry"),
        (cipher, text, b"hash of another"),
        (cipher, text[:-1] + bytes([text[-1] ^ 1]), b"hash of its entry"),
    ):
        with pytest.raises(ValueError, match="does not fit"):
            unsealed(key, secret, entry)

"""Openings: the private values of an entry, sealed apart from it, so that they can be destroyed (P9).

    seed            32 random bytes an entry
    salt            HMAC-SHA256(seed, field): what a commitment is made with; says nothing of the seed
    opening         seed, then each field with its value; of the body no value, for that is sent
    sealed          12-byte nonce, then AES-256-GCM of the opening under an opening key (``key_file.py``);
                    the leaf's hash is the associated data, so that an opening opens one entry only

A nonce is random: were one key to seal 20,000 openings a second for a month, two of them would share
one with a chance of 2 in 100 million.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.transparency.commitment import SALT_BYTES

SEED_BYTES: Final = SALT_BYTES
NONCE_BYTES: Final = 12
_BLOCK_BYTES: Final = 64
_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))
_NAME_SIZE, _VALUE_SIZE = 1, 4


class Salts:
    """The salts of one entry: HMAC-SHA256 (RFC 2104), its two keyed blocks made once."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise ValueError(f"a seed is {SEED_BYTES} bytes")
        block = seed.ljust(_BLOCK_BYTES, b"\x00")
        self._inner = block.translate(_INNER)
        self._outer = block.translate(_OUTER)

    def of(self, field: str) -> bytes:
        """Return the salt of a field."""
        within = hashlib.sha256(self._inner + field.encode("ascii")).digest()
        return hashlib.sha256(self._outer + within).digest()


def packed(seed: bytes, values: Mapping[str, bytes]) -> bytes:
    """Return an opening: the seed, then name and value of each field, each after its size."""
    parts = [seed]
    for name, value in values.items():
        spelt = name.encode("ascii")
        parts += (
            len(spelt).to_bytes(_NAME_SIZE, "big"), spelt, len(value).to_bytes(_VALUE_SIZE, "big"), value
        )  # fmt: skip
    return b"".join(parts)


def unpacked(opening: bytes) -> tuple[bytes, dict[str, bytes]]:
    """Return seed and values of an opening.

    Raises:
        ValueError: It is none.

    """
    seed, values, at = opening[:SEED_BYTES], dict[str, bytes](), SEED_BYTES
    while at < len(opening):
        name, at = _sized(opening, at, _NAME_SIZE)
        value, at = _sized(opening, at, _VALUE_SIZE)
        values[name.decode("ascii")] = value
    if len(seed) != SEED_BYTES or packed(seed, values) != opening:
        raise ValueError("not an opening")
    return seed, values


def sealed(cipher: AESGCM, nonce: bytes, opening: bytes, leaf_hash: bytes) -> bytes:
    """Return an opening, readable only with its key and only for the entry of that hash."""
    return nonce + cipher.encrypt(nonce, opening, leaf_hash)


def unsealed(cipher: AESGCM, sealed_opening: bytes, leaf_hash: bytes) -> bytes:
    """Return what was sealed for the entry of that hash.

    Raises:
        ValueError: Another key, another entry, or it was changed.

    """
    try:
        return cipher.decrypt(sealed_opening[:NONCE_BYTES], sealed_opening[NONCE_BYTES:], leaf_hash)
    except InvalidTag as error:
        raise ValueError("the opening does not fit the entry") from error


def _sized(opening: bytes, at: int, size: int) -> tuple[bytes, int]:
    start = at + size
    stop = start + int.from_bytes(opening[at:start], "big")
    if stop > len(opening):
        raise ValueError("not an opening")
    return opening[start:stop], stop

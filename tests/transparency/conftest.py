"""Builders of this room: keys from seeds."""

import hashlib
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.transparency.note import NoteSigner, format_vkey

ORIGIN = "gateway.example/log/2026"


class SeededSigner:
    """An Ed25519 key from a seed."""

    def __init__(self, seed: str, name: str) -> None:
        self.key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed.encode()).digest())
        self.name = name
        self.vkey = format_vkey(name, self.key.public_key())

    def sign(self, message: bytes) -> bytes:
        return self.key.sign(message)


@pytest.fixture(scope="session")
def a_signer() -> Callable[..., NoteSigner]:
    def make(seed: str = "log", name: str = ORIGIN) -> NoteSigner:
        return SeededSigner(seed, name)

    return make

"""A P-256 private key of a firm and its file: PEM, for its owner only, never shown and never copied.

What a key does is its heirs' business, one thing each: ``ClientKey`` signs, ``DecryptionKey`` decrypts.
The key never leaves its handle but for ``save``.
"""

import os
from pathlib import Path
from typing import Final, Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.jose import Jwk, jwk_of, thumbprint
from gateway.terms.identifiers import Thumbprint

OWNER_ONLY: Final = 0o600


class PrivateKey:
    """The handle of a key; its repr shows the thumbprint (RFC 7638) only."""

    __slots__ = ("_private", "jwk", "thumbprint")

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        """Take a key; use ``create`` or ``load`` to get one."""
        if not isinstance(private.curve, ec.SECP256R1):
            raise ValueError("only P-256 keys are used")  # noqa: TRY004  the curve is a value, not a type
        self._private = private
        self.jwk: Jwk = jwk_of(private.public_key())
        self.thumbprint: Thumbprint = thumbprint(self.jwk)

    @classmethod
    def create(cls) -> Self:
        """Return a new key from the operating system's random source."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Return the key of a PEM file.

        Raises:
            ValueError: The file is no P-256 private key, or others than its owner may read it.

        """
        file = Path(path)
        if os.name == "posix" and file.stat().st_mode & 0o077:
            raise ValueError(f"others may read the key file; run: chmod 600 {file.name}")
        private = serialization.load_pem_private_key(file.read_bytes(), password=None)
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise ValueError("only P-256 keys are used")  # noqa: TRY004  the file's content is a value
        return cls(private)

    def save(self, path: str | Path) -> None:
        """Write the key as PEM, readable by its owner only; an existing file is never overwritten."""
        pem = self._private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        # SECURITY: the mode is given at creation, so there is no moment at which others may read it.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.thumbprint})"

    def __reduce__(self) -> str:
        raise TypeError("a private key is not pickled; use save")

"""What private keys can be asked to do. A handle shows its name, never its key, and does not pickle.

* ``TokenSigner``  ES256 over claims (RFC 9068 tokens); the header is exactly ``typ alg kid``.
* ``LogSigner``    Ed25519 over a note's text (``transparency.note.NoteSigner``).
* ``Sealer``       AES-256-GCM under a key of its own for every message: HKDF-SHA256 over the master,
                   a fresh 16-byte salt and the purpose. What was sealed for one purpose does not open
                   for another, and no number of messages wears a key out.
"""

import os
from collections.abc import Mapping
from typing import Final, NoReturn

import jwt
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway import jose
from gateway.transparency.note import format_vkey

MASTER_BYTES: Final = 32
_SALT_BYTES: Final = 16
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_VERSION: Final = b"\x01"


class Handle:
    """A private key that stays where it is."""

    __slots__ = ()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key is not copied")


class TokenSigner(Handle):
    """Signs tokens with one P-256 key."""

    __slots__ = ("_key", "kid", "public_key")

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        self.public_key: Final = key.public_key()
        self.kid: Final[str] = jose.thumbprint(jose.jwk_of(self.public_key))

    def __repr__(self) -> str:
        return f"TokenSigner(kid={self.kid!r})"

    def sign(self, claims: Mapping[str, object], typ: str) -> str:
        """Return the claims as a signed token of a type."""
        return jwt.encode(dict(claims), self._key, algorithm="ES256", headers={"typ": typ, "kid": self.kid})

    @property
    def jwk(self) -> dict[str, str]:
        """The public key to publish (RFC 7517)."""
        return {**jose.jwk_of(self.public_key), "kid": self.kid, "alg": "ES256", "use": "sig"}


class LogSigner(Handle):
    """Signs the log's checkpoints with one Ed25519 key, in the log's name.

    In a process that must not sign, a worker, it is made of the vkey and only names the key.
    """

    __slots__ = ("_key", "name", "vkey")

    def __init__(self, name: str, key: ed25519.Ed25519PrivateKey | str) -> None:
        self._key = None if isinstance(key, str) else key
        self.name: Final = name
        self.vkey: Final = key if isinstance(key, str) else format_vkey(name, key.public_key())

    def __repr__(self) -> str:
        return f"LogSigner(vkey={self.vkey!r})"

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of a signature over a note's text."""
        if self._key is None:
            raise TypeError("this process does not sign the log")
        return self._key.sign(message)


class Sealer(Handle):
    """Keeps short secrets outside the process: cursors, TOTP secrets, stored answers."""

    __slots__ = ("_master", "name")

    def __init__(self, master: bytes) -> None:
        if len(master) != MASTER_BYTES:
            raise ValueError(f"the sealing key is not {MASTER_BYTES} bytes")
        self._master = master
        derived = HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=b"gw1|seal-name").derive(master)
        self.name: Final[str] = jose.base64url(derived)
        """What to call the key; it shows nothing of it."""

    def __repr__(self) -> str:
        return f"Sealer(name={self.name!r})"

    def seal(self, purpose: str, data: bytes) -> bytes:
        """Return the data so that only ``unseal`` with the same purpose reads it or accepts it."""
        salt = os.urandom(_SALT_BYTES)
        cipher, nonce = self._cipher(purpose, salt)
        return _VERSION + salt + cipher.encrypt(nonce, data, None)

    def unseal(self, purpose: str, sealed: bytes) -> bytes:
        """Return what was sealed for a purpose.

        Raises:
            ValueError: It was not sealed here, not for this purpose, or was changed.

        """
        version, salt, rest = sealed[:1], sealed[1 : 1 + _SALT_BYTES], sealed[1 + _SALT_BYTES :]
        if version != _VERSION or len(salt) != _SALT_BYTES:
            raise ValueError("not sealed here")
        cipher, nonce = self._cipher(purpose, salt)
        try:
            return cipher.decrypt(nonce, rest, None)
        except InvalidTag as error:
            raise ValueError("not sealed here") from error

    def _cipher(self, purpose: str, salt: bytes) -> tuple[AESGCM, bytes]:
        info = b"gw1|seal|" + purpose.encode("utf-8")
        derived = HKDF(algorithm=SHA256(), length=_KEY_BYTES + _NONCE_BYTES, salt=salt, info=info).derive(
            self._master
        )
        return AESGCM(derived[:_KEY_BYTES]), derived[_KEY_BYTES:]

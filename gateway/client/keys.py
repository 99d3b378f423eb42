"""A firm's private key, and the two things it signs: who we are, and that this request is ours.

``assertion`` names the client to the token endpoint (RFC 7523 section 3), ``proof`` binds one request
to the key (RFC 9449 section 4.2) and, by ``qd``, to its query string and body, which DPoP leaves open.
Both live seconds and carry 128 random bits. The key never leaves its handle but for ``save``.
"""

import os
import secrets
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.jose import Jwk, base64url, jwk_of, query_digest, thumbprint, token_hash
from gateway.terms.identifiers import Thumbprint

ASSERTION_LIFE_S: Final = 60
ID_BYTES: Final = 16
OWNER_ONLY: Final = 0o600


class ClientKey:
    """A P-256 private key that signs for one client; its repr shows the thumbprint only."""

    __slots__ = ("__private", "jwk", "thumbprint")

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        """Take a key; use ``create`` or ``load`` to get one."""
        if not isinstance(private.curve, ec.SECP256R1):
            raise ValueError("only P-256 keys are used")  # noqa: TRY004  the curve is a value, not a type
        self.__private = private
        self.jwk: Jwk = jwk_of(private.public_key())
        self.thumbprint: Thumbprint = thumbprint(self.jwk)

    @classmethod
    def create(cls) -> "ClientKey":
        """Return a new key from the operating system's random source."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def load(cls, path: str | Path) -> "ClientKey":
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
        pem = self.__private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        # SECURITY: the mode is given at creation, so there is no moment at which others may read it.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)

    def assertion(self, *, client: str, issuer: str, now: datetime) -> str:
        """Return a signed statement that we are ``client``, for one use within a minute."""
        claims = {
            "iss": client,
            "sub": client,
            "aud": issuer,  # a string, not a list, and the issuer, not the endpoint (FAPI 2.0)
            "iat": int(now.timestamp()),
            "exp": int((now + timedelta(seconds=ASSERTION_LIFE_S)).timestamp()),
            "jti": _id(),
        }
        return self._signed(claims, {"kid": self.thumbprint, "typ": "JWT"})

    def proof(
        self,
        *,
        method: str,
        url: str,
        now: datetime,
        nonce: str | None = None,
        access_token: str | None = None,
        query_string: str = "",
        body: bytes = b"",
    ) -> str:
        """Return a DPoP proof over one request; ``url`` is without query and fragment.

        With an access token the proof also carries ``ath`` and ``qd``.
        """
        claims: dict[str, object] = {
            "htm": method,
            "htu": url,
            "iat": int(now.timestamp()),
            "jti": _id(),
        }
        if nonce is not None:
            claims["nonce"] = nonce
        if access_token is not None:
            claims |= {"ath": token_hash(access_token), "qd": query_digest(query_string, body)}
        return self._signed(claims, {"typ": "dpop+jwt", "jwk": self.jwk})

    def _signed(self, claims: dict[str, object], header: dict[str, object]) -> str:
        return jwt.encode(claims, self.__private, algorithm="ES256", headers=header)

    def __repr__(self) -> str:
        return f"ClientKey({self.thumbprint})"

    def __reduce__(self) -> str:
        raise TypeError("a private key is not pickled; use save")


def _id() -> str:
    return base64url(secrets.token_bytes(ID_BYTES))

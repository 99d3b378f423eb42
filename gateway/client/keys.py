"""A firm's private key, and the two things it signs: who we are, and that this request is ours.

``assertion`` names the client to the token endpoint (RFC 7523 section 3), ``proof`` binds one request
to the key (RFC 9449 section 4.2) and, by ``qd``, to its query string and body, which DPoP leaves open.
Both live seconds and carry 128 random bits.
"""

import secrets
from datetime import datetime, timedelta
from typing import Final

import jwt

from gateway.client.private_key import PrivateKey
from gateway.jose import base64url, query_digest, token_hash

ASSERTION_LIFE_S: Final = 60
ID_BYTES: Final = 16


class ClientKey(PrivateKey):
    """A P-256 private key that signs for one client."""

    __slots__ = ()

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
        accept: str | None = None,
    ) -> str:
        """Return a DPoP proof over one request; ``url`` is without query and fragment.

        With an access token the proof also carries ``ath`` and ``qd``. With ``accept`` it serves only for a
        request that has this field.
        """
        claims: dict[str, object] = {
            "htm": method,
            "htu": url,
            "iat": int(now.timestamp()),
            "jti": _id(),
        }
        if nonce is not None:
            claims["nonce"] = nonce
        if accept is not None:
            claims["accept"] = accept
        if access_token is not None:
            claims |= {"ath": token_hash(access_token), "qd": query_digest(query_string, body)}
        return self._signed(claims, {"typ": "dpop+jwt", "jwk": self.jwk})

    def _signed(self, claims: dict[str, object], header: dict[str, object]) -> str:
        return jwt.encode(claims, self._private, algorithm="ES256", headers=header)


def _id() -> str:
    return base64url(secrets.token_bytes(ID_BYTES))

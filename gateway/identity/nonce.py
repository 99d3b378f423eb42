"""DPoP nonces (RFC 9449 section 8): which minute it is, said with a key.

A nonce is an HMAC of the current window of 60 s; the current and the previous window are accepted,
so nothing is stored. The secret belongs to one boot of the gateway: after a restart every proof made
before it is void, which is why single-use ids of proofs need not survive one.
"""

import hashlib
import hmac
from datetime import datetime
from functools import lru_cache
from typing import Final

from gateway import jose

WINDOW_S: Final = 60
_NONCE_BYTES: Final = 18


def nonce_at(secret: bytes, now: datetime) -> str:
    """Return the nonce to hand out now (24 characters)."""
    return _nonce(secret, _window(now))


def nonce_accepted(secret: bytes, nonce: str, now: datetime) -> bool:
    """Return whether a nonce was handed out in this window or the one before."""
    window = _window(now)
    given = nonce.encode("utf-8", "replace")
    current = hmac.compare_digest(given, _nonce(secret, window).encode())
    previous = hmac.compare_digest(given, _nonce(secret, window - 1).encode())
    return current or previous


def _window(now: datetime) -> int:
    return int(now.timestamp()) // WINDOW_S


@lru_cache(maxsize=8)
def _nonce(secret: bytes, window: int) -> str:
    mac = hmac.digest(secret, f"gw1|dpop-nonce|{window}".encode(), hashlib.sha256)
    return jose.base64url(mac[:_NONCE_BYTES])

"""Certificates as they are told apart here: by the SHA-256 of their bytes (RFC 8705), and when they hold.

SECURITY: no name in a certificate is read. A name has many spellings, and every authority that is trusted
could write it; bytes have one. What comes over a connection has passed the handshake: its key was proved,
its chain ends at an authority of the operator's file, it may serve for clients, its dates held.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.errors import NotAuthenticated
from gateway.jose import base64url
from gateway.terms.identifiers import Thumbprint

CERTIFICATES_KEPT: Final = 4096
"""Certificates whose thumbprint and dates are kept: they are functions of its bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What counts of a certificate."""

    thumbprint: Thumbprint
    """``x5t#S256`` (RFC 8705 section 3.1)."""
    begins_at: datetime
    ends_at: datetime

    def holds_at(self, now: datetime) -> bool:
        """Return whether a moment is within its dates, both included (RFC 5280 section 4.1.2.5)."""
        return self.begins_at <= now <= self.ends_at


@lru_cache(maxsize=CERTIFICATES_KEPT)
def certificate_of(der: bytes) -> Certificate:
    """Return what counts of a certificate.

    Raises:
        ValueError: These bytes are none.

    """
    try:
        read = x509.load_der_x509_certificate(der)
    except x509.InvalidVersion as error:  # which is no ValueError
        raise ValueError("a certificate of no known version") from error
    return Certificate(
        thumbprint=Thumbprint(base64url(hashlib.sha256(der).digest())),
        begins_at=read.not_valid_before_utc,
        ends_at=read.not_valid_after_utc,
    )


def certificates_in(pem: bytes) -> tuple[Certificate, ...]:
    """Return the certificates of a PEM text, in its order.

    Raises:
        ValueError: There is none in it, or one that cannot be read.

    """
    try:
        found = x509.load_pem_x509_certificates(pem)
    except x509.InvalidVersion as error:
        raise ValueError("a certificate of no known version") from error
    return tuple(certificate_of(each.public_bytes(Encoding.DER)) for each in found)


def proved_certificate(der: bytes, now: datetime) -> Certificate:
    """Return the certificate that a connection was made with; ``der`` is empty where it had none.

    Its dates are looked at for each request: a connection may live longer than its certificate.

    Raises:
        NotAuthenticated: There is none, or it does not hold now.

    """
    if not der:
        raise NotAuthenticated(cause="certificate-missing")
    try:
        found = certificate_of(der)
    except ValueError:
        raise NotAuthenticated(cause="certificate-unreadable") from None
    if not found.holds_at(now):
        raise NotAuthenticated(cause="certificate-not-in-its-dates")
    return found

"""A reply encrypted to its recipient: who carries it, or keeps a copy, cannot read it.

JSON Web Encryption in its compact serialisation (RFC 7516), ECDH-ES+A256KW with A256GCM (RFC 7518): each
reply under a key of its own, never compressed, since lengths would tell of the content.
"""

from typing import Final

from joserfc import jwe
from joserfc.jwk import ECKey

from gateway.jose import JWE_ALG, JWE_ENC, Jwk, thumbprint

_ALGORITHMS: Final = [JWE_ALG, JWE_ENC]


def encrypted(body: bytes, content_type: str, recipient: Jwk) -> bytes:
    """Return a body as a JWE for a P-256 key, which the header names by its thumbprint (RFC 7638)."""
    header = {"alg": JWE_ALG, "enc": JWE_ENC, "kid": thumbprint(recipient), "cty": content_type}
    return jwe.encrypt_compact(
        header, body, ECKey.import_key(dict(recipient)), algorithms=_ALGORITHMS
    ).encode()

"""RFC 7516's compact JWE, read as RFC 7518 sections 4.6 and 5.3 say it, with primitives and no JOSE library.

Slow, small, and by another hand than joserfc's: what our gateway writes has to be what the documents say.
"""

import base64
import hashlib
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap


def decoded(text: str) -> bytes:
    """Return the bytes of base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def private_key(jwk: dict[str, str]) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(decoded(jwk["d"]), "big"), ec.SECP256R1())


def public_key(jwk: dict[str, str]) -> ec.EllipticCurvePublicKey:
    x, y = (int.from_bytes(decoded(jwk[name]), "big") for name in ("x", "y"))
    return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()


def agreed_key(
    private: ec.EllipticCurvePrivateKey,
    public: ec.EllipticCurvePublicKey,
    *,
    algorithm: str,
    bits: int,
    apu: bytes = b"",
    apv: bytes = b"",
) -> bytes:
    """Return what section 4.6.2 derives: the Concat KDF (NIST SP 800-56A) with SHA-256, of one round."""
    shared = private.exchange(ec.ECDH(), public)
    texts = (algorithm.encode("ascii"), apu, apv)
    framed = b"".join(len(text).to_bytes(4, "big") + text for text in texts)
    info = framed + bits.to_bytes(4, "big")  # AlgorithmID, PartyUInfo, PartyVInfo, SuppPubInfo
    one_round = hashlib.sha256((1).to_bytes(4, "big") + shared + info).digest()
    return one_round[: bits // 8]


def opened(jwe: bytes, private: ec.EllipticCurvePrivateKey) -> tuple[dict[str, Any], bytes]:
    """Return the protected header and the plaintext of an ECDH-ES+A256KW, A256GCM JWE.

    Raises:
        InvalidUnwrap, InvalidTag: Of ``cryptography``: it is not what was encrypted.

    """
    head, *parts = jwe.decode("ascii").split(".")
    wrapped, nonce, ciphertext, tag = map(decoded, parts)
    header = json.loads(decoded(head))
    wrapping = agreed_key(private, public_key(header["epk"]), algorithm=header["alg"], bits=256)
    content_key = aes_key_unwrap(wrapping, wrapped)
    return header, AESGCM(content_key).decrypt(nonce, ciphertext + tag, head.encode("ascii"))

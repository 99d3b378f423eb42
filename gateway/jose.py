"""The few JOSE words that both sides of the wire must say alike (RFC 7515, 7517, 7638, 9449).

Encoding, public keys as JWK, thumbprints, and the digests a proof carries. Nothing here verifies
a signature and nothing here sees a private key; ``identity`` verifies, ``client`` and ``keyring`` sign.
"""

import binascii
import hashlib
import json
import re
from functools import lru_cache
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from gateway.terms.identifiers import Thumbprint

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
Jwk = dict[str, str]

COORDINATE_BYTES = 32
PRIVATE_MEMBERS: Final = frozenset({"d", "k", "p", "q", "dp", "dq", "qi", "oth"})
"""Of JWKs that hold a secret (RFC 7518 section 6)."""
JWE_ALG: Final = "ECDH-ES+A256KW"
JWE_ENC: Final = "A256GCM"
"""How replies are encrypted to a client (RFC 7518 sections 4.6 and 5.3); nothing else is, or is read."""
JOSE_TYPE: Final = "application/jose"
"""The media type of compact serialisations (RFC 7515 section 9.2.1)."""
KEYS_MAX: Final = 4096
"""Public keys and thumbprints kept after they were read once; what they are is a function of their text."""
_ALPHABET = re.compile(r"[A-Za-z0-9_-]*")
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_STANDARD = bytes.maketrans(b"-_", b"+/")


def base64url(data: bytes) -> str:
    """Return base64url without padding (RFC 7515 section 2)."""
    return binascii.b2a_base64(data, newline=False).rstrip(b"=").translate(_URL_SAFE).decode("ascii")


def base64url_decoded(text: str) -> bytes:
    """Return the bytes of canonical base64url without padding.

    Raises:
        ValueError: Padding, another alphabet, an impossible length or stray trailing bits: there is
            exactly one spelling of every byte string.

    """
    if _ALPHABET.fullmatch(text) is None:
        raise ValueError("not base64url")
    try:
        data = binascii.a2b_base64(text.encode("ascii").translate(_STANDARD) + b"=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError("not base64url") from error
    if base64url(data) != text:
        raise ValueError("not canonical base64url")
    return data


def jwk_of(key: PublicKey) -> Jwk:
    """Return the required members of a public key's JWK (P-256 or Ed25519)."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        return {"crv": "Ed25519", "kty": "OKP", "x": base64url(key.public_bytes_raw())}
    numbers = key.public_numbers()
    x, y = (n.to_bytes(COORDINATE_BYTES, "big") for n in (numbers.x, numbers.y))
    return {"crv": "P-256", "kty": "EC", "x": base64url(x), "y": base64url(y)}


def key_of(jwk: object) -> PublicKey:
    """Return the public key of a JWK.

    Raises:
        ValueError: Not an object, a private or symmetric member, another type or curve, a wrong
            length, or a point that is not on the curve.

    """
    if not isinstance(jwk, dict) or not all(isinstance(value, str) for value in jwk.values()):
        raise ValueError("a key is an object of texts")
    if private := PRIVATE_MEMBERS & jwk.keys():
        raise ValueError(f"a public key has no member `{min(private)}`")
    match jwk.get("kty"), jwk.get("crv"):
        case "OKP", "Ed25519":
            return _ed25519(jwk.get("x", ""))
        case "EC", "P-256":
            return _p256(jwk.get("x", ""), jwk.get("y", ""))
        case _:
            raise ValueError("only P-256 and Ed25519 keys are used")


def required_of(jwk: Jwk) -> Jwk:
    """Return the required members of a JWK that ``key_of`` took; equal to ``jwk_of`` of that key."""
    return {name: jwk[name] for name in _required(jwk["kty"])}


# A proof carries its key, so the same few keys are read at every request; checking that a point lies
# on the curve costs half as much as a signature. Only what was read without error is kept.


@lru_cache(maxsize=KEYS_MAX)
def _p256(x: str, y: str) -> ec.EllipticCurvePublicKey:
    point = b"\x04" + _coordinate("x", x) + _coordinate("y", y)
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)


@lru_cache(maxsize=KEYS_MAX)
def _ed25519(x: str) -> ed25519.Ed25519PublicKey:
    try:
        return ed25519.Ed25519PublicKey.from_public_bytes(_coordinate("x", x))
    except UnsupportedAlgorithm as error:
        raise ValueError("Ed25519 is not supported here") from error


def _coordinate(name: str, text: str) -> bytes:
    raw = base64url_decoded(text)
    if len(raw) != COORDINATE_BYTES:
        raise ValueError(f"member `{name}` is not {COORDINATE_BYTES} bytes")
    return raw


def thumbprint(jwk: Jwk) -> Thumbprint:
    """Return the RFC 7638 thumbprint of a public JWK; members beyond the required are left out."""
    return _thumbprint(tuple((name, jwk[name]) for name in _required(jwk["kty"])))


def _required(kty: str) -> tuple[str, ...]:
    """Return the required members of a kind of key, in the order of RFC 7638."""
    return ("crv", "kty", "x") if kty == "OKP" else ("crv", "kty", "x", "y")


@lru_cache(maxsize=KEYS_MAX)
def _thumbprint(members: tuple[tuple[str, str], ...]) -> Thumbprint:
    canonical = json.dumps(dict(members), separators=(",", ":"), sort_keys=True)
    return Thumbprint(base64url(hashlib.sha256(canonical.encode("ascii")).digest()))


def token_hash(token: str) -> str:
    """Return ``ath``: the hash of an access token in its proof (RFC 9449 section 4.2)."""
    return base64url(hashlib.sha256(token.encode("ascii")).digest())


def request_digest(method: str, path: str, query_string: str, body: bytes) -> str:
    """Return the name of one exact request: no other method, path, query string or body has it.

    SHA-256 over words of its own and each part behind its length, so that no two splits are one text.
    """
    parts = (method.encode("ascii"), path.encode("ascii"), query_string.encode("ascii"), body)
    framed = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    return base64url(hashlib.sha256(b"gateway saved request 1\x00" + framed).digest())


def query_digest(query_string: str, body: bytes) -> str:
    """Return ``qd``: what DPoP leaves open, SHA-256 of query string, a zero byte and body."""
    return base64url(hashlib.sha256(query_string.encode("ascii") + b"\x00" + body).digest())

"""One signed text (JWS compact, RFC 7515) read strictly, and its signature verified.

A text has one spelling: three canonical base64url segments, ASCII, bounded in size and depth; JSON
without duplicate names, floats, NaN or large integers; no header but ``typ alg kid`` and, in proofs,
``jwk``. That shuts out ``crit b64 zip enc jku x5u x5c p2c`` and whatever is invented next (RFC 8725).
``verify_signature`` then has PyJWT check the one algorithm that the key's type allows, over the very
bytes that were parsed; nothing parses them a second time, its own way.

Not promised: one signature a text. ECDSA has two (s and n - s), so what serves once is named by
its ``jti``, never by a hash of the text.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, wraps
from types import MappingProxyType
from typing import Final, NoReturn, ParamSpec, TypeVar

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from gateway import jose
from gateway.errors import NotAuthenticated

HEADER_BYTES_MAX = 1024
DEPTH_MAX = 8
SEGMENTS = 3
INTEGER_DIGITS_MAX = 15
SIGNATURE_BYTES = 64
KID_CHARACTERS_MAX = 128
HEADERS_MAX: Final = 1024
"""Headers kept after they were read once; what a header says is a function of its text."""
ALGORITHMS: Final = frozenset({"ES256", "EdDSA"})
NO_TYPE: Final = ""
"""Stands among ``types`` for a header without ``typ``."""

_VERIFIERS: Final = {name: jwt.get_algorithm_by_name(name) for name in ALGORITHMS}
_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Parsed:
    """A well-formed signed text. SECURITY: nothing in it is verified yet."""

    text: str = field(repr=False)
    header: Mapping[str, object] = field(repr=False)
    claims: Mapping[str, object] = field(repr=False)
    signature: bytes = field(repr=False)
    """Of ``SIGNATURE_BYTES``, as it came."""

    @property
    def algorithm(self) -> str:
        return str(self.header["alg"])


def refusing_all_else(verify: Callable[_P, _T]) -> Callable[_P, _T]:
    """Turn every exception outside the tree into a refusal: a hostile text never becomes a 5xx.

    The parser is meant to leave nothing to catch; this is the net below it.
    """

    @wraps(verify)
    def verified(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return verify(*args, **kwargs)
        except NotAuthenticated:
            raise
        except Exception as error:  # noqa: BLE001  # see the docstring
            # SECURITY: cut off from its cause, whose message could quote the credential.
            raise NotAuthenticated(cause=f"unexpected-{type(error).__name__}") from None

    return verified


@refusing_all_else
def parse(text: str, *, types: frozenset[str], size_max: int, embedded_key: bool = False) -> Parsed:
    """Return header and claims of a signed text, unverified.

    ``embedded_key`` demands the header ``jwk`` (proofs carry their key); otherwise it is refused.

    Raises:
        NotAuthenticated: The text is not exactly what is expected; ``cause`` says in what.

    """
    if len(text) > size_max:
        refuse("too-large")
    if not text.isascii():
        refuse("not-ascii")
    segments = text.split(".")
    if len(segments) != SEGMENTS:
        refuse("not-three-segments")
    claims_bytes, signature = _decoded(segments[1]), _decoded(segments[2])
    if len(signature) != SIGNATURE_BYTES:  # both algorithms: r and s, or R and S, of 32 bytes each
        refuse("signature-length")
    header = _header(segments[0], types, embedded_key=embedded_key)
    return Parsed(text, header, _object(claims_bytes), signature)


def verify_signature(parsed: Parsed, key: jose.PublicKey) -> None:
    """Return if ``key`` made the signature, with the one algorithm its type allows.

    Raises:
        NotAuthenticated: It did not, or the header names another algorithm.

    """
    match key:
        case ed25519.Ed25519PublicKey():
            algorithm = "EdDSA"
        case ec.EllipticCurvePublicKey() if isinstance(key.curve, ec.SECP256R1):
            algorithm = "ES256"
        case _:
            refuse("key-kind")
    if parsed.algorithm != algorithm:
        refuse("algorithm-not-the-keys")
    # PyJWT verifies the very bytes that were parsed here; its own parser, which takes more than one
    # spelling of a token, is not in the way.
    signed = parsed.text.rpartition(".")[0].encode("ascii")
    if not _VERIFIERS[algorithm].verify(signed, key, parsed.signature):
        refuse("signature")


@lru_cache(maxsize=HEADERS_MAX)
def _header(segment: str, types: frozenset[str], *, embedded_key: bool) -> Mapping[str, object]:
    """Return the header of a segment. One key's proofs all have the same, so it is read once."""
    data = _decoded(segment)
    if len(data) > HEADER_BYTES_MAX:
        refuse("header-too-large")
    header = _object(data)
    _check_header(header, types, embedded_key=embedded_key)
    return MappingProxyType(header)


def _check_header(header: Mapping[str, object], types: frozenset[str], *, embedded_key: bool) -> None:
    allowed = {"typ", "alg", "kid", "jwk"} if embedded_key else {"typ", "alg", "kid"}
    if not header.keys() <= allowed:
        refuse("header-not-allowed")
    if header.get("alg") not in tuple(ALGORITHMS):  # tuples: what is looked for may be unhashable
        refuse("algorithm")
    if header.get("typ") == NO_TYPE or header.get("typ", NO_TYPE) not in tuple(types):
        refuse("type")
    kid = header.get("kid", "none")
    if not isinstance(kid, str) or not 1 <= len(kid) <= KID_CHARACTERS_MAX:
        refuse("kid")
    if embedded_key and not isinstance(header.get("jwk"), dict):
        refuse("key-missing")


def _decoded(segment: str) -> bytes:
    try:
        data = jose.base64url_decoded(segment)
    except ValueError:
        refuse("not-base64url")
    if not data:
        refuse("empty-segment")
    return data


def _object(data: bytes) -> dict[str, object]:
    try:
        # Decoded here: json.loads of bytes would guess UTF-16 and skip a byte-order mark.
        text = data.decode("ascii")
        value = _DECODER.decode(text)
    except (ValueError, RecursionError):
        refuse("not-json")
    if not isinstance(value, dict):
        refuse("not-an-object")
    if not _is_plain(text):
        _check_content(value, DEPTH_MAX)
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = dict(pairs)
    if len(names) != len(pairs):
        refuse("duplicate-name")
    return names


def _integer(digits: str) -> int:
    if len(digits.removeprefix("-")) > INTEGER_DIGITS_MAX:
        refuse("integer-too-large")
    return int(digits)


def _no_float(_: str) -> NoReturn:
    refuse("not-an-integer")


def _is_plain(text: str) -> bool:
    """Return whether nothing in a JSON text can be hidden or too deep, as one look at all of it tells."""
    return "\\" not in text and text.isprintable() and text.count("{") + text.count("[") <= DEPTH_MAX


def _check_content(value: object, depth_left: int) -> None:
    """Refuse depth, and texts that are not printable ASCII (escapes can hide NUL or half a surrogate)."""
    if isinstance(value, str):  # first, because it is the most frequent: each request is read here twice
        if not (value.isascii() and value.isprintable()):
            refuse("text-not-printable-ascii")
    elif isinstance(value, dict | list):
        if depth_left == 0:
            refuse("too-deep")
        for member in value:
            _check_content(member, depth_left - 1)
        if isinstance(value, dict):
            for member in value.values():
                _check_content(member, depth_left - 1)


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_integer, parse_float=_no_float, parse_constant=_no_float
)
"""Made once: ``json.loads`` with hooks makes one at every call."""


def refuse(cause: str) -> NoReturn:
    """Raise a refusal that tells the outsider nothing and the ledger ``cause``.

    SECURITY: what came before is cut off; messages of decoders quote their input.
    """
    raise NotAuthenticated(cause=cause) from None

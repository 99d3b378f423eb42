"""Answers that are encrypted to this client: asked for, opened, and never taken in clear instead.

A JWE in its compact serialisation (RFC 7516), ECDH-ES+A256KW with A256GCM (RFC 7518 sections 4.6, 5.3), its
header exactly ``alg``, ``enc``, ``kid``, ``cty``, ``epk``: no compression, no extension, no other algorithm.

SECURITY: whoever knows the public key can encrypt to it, so a JWE that opens does not say who made it. The
receipt does: its entry commits to the JWE and to what is in it (``receipt.py``).
"""

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from gateway.client.failures import AnswerRefused
from gateway.client.private_key import PrivateKey
from gateway.client.receipt import ENTRY_HEADER, PROOF_HEADER
from gateway.client.wire import BODY_BYTES_MAX, Response
from gateway.jose import JOSE_TYPE, JWE_ALG, JWE_ENC, base64url, base64url_decoded, key_of
from gateway.terms.identifiers import Thumbprint

KEYS_MAX: Final = 2
"""One, and while it is replaced the other."""
INLINE_BYTES_MAX: Final = 64 * 1024
"""What is opened at once; a larger body in a thread, so that it does not hold up the loop."""
HEADER_CHARS_MAX: Final = 1024
_HEADER: Final = frozenset({"alg", "enc", "kid", "cty", "epk"})
_EPK: Final = frozenset({"kty", "crv", "x", "y"})
_PART_CHARS: Final = (54, 16, 22)
"""Of a wrapped key of 32 bytes (RFC 3394), a nonce of 12 and a tag of 16 (NIST SP 800-38D)."""
_WORD: Final = r"[A-Za-z0-9!#$&^_.+-]{1,100}"
_MEDIA_TYPE: Final = re.compile(rf"{_WORD}/{_WORD}")
_CONTENT_TYPE: Final = re.compile(rf"{_WORD}/{_WORD}(?:; ?{_WORD}={_WORD})?")
_IN_CLEAR: Final = re.compile(r"/v1/(?:budgets|datasets(?:/[^/%]+(?:/plan)?)?)")
"""The paths of what is never encrypted: catalogue, plans and budgets hold no row and no statistic."""
_ANYTHING: Final = frozenset({"*/*", "application/*", ""})


class DecryptionKey(PrivateKey):
    """A P-256 private key that answers are encrypted to, and that signs nothing."""

    __slots__ = ()

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        """Take a key; use ``create`` or ``load`` to get one."""
        super().__init__(private)
        self.jwk = {**self.jwk, "use": "enc"}  # RFC 7517 section 4.2

    def decrypted(self, text: bytes) -> bytes:
        """Return what a JWE whose header is right encrypts to this key.

        Raises:
            AnswerRefused: It was changed, or was never encrypted to this key.

        """
        key = ECKey.import_key(self._private, {"use": "enc"})
        strict = _Registry(algorithms=(JWE_ALG, JWE_ENC))
        try:
            plaintext = jwe.decrypt_compact(text, key, registry=strict).plaintext
        except (JoseError, ValueError) as error:
            raise AnswerRefused("the answer does not decrypt: it was changed on its way here") from error
        if plaintext is None:
            raise AssertionError("what was decrypted has a plaintext")
        return plaintext


class _Registry(jwe.JWERegistry):
    max_ciphertext_length = BODY_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Opened:
    """What an encrypted answer says."""

    content_type: str
    plaintext: bytes = field(repr=False)
    key: Thumbprint
    """Of ours, the one that it was encrypted to."""


def opened(text: bytes, keys: Sequence[DecryptionKey]) -> Opened:
    """Return what a JWE says that is encrypted to one of these keys.

    Raises:
        AnswerRefused: No such JWE; it says why.

    """
    head, *parts = text.split(b".", 5)  # bounded: a body of dots must not become millions of parts
    if len(parts) != 4 or len(text) > BODY_BYTES_MAX:  # noqa: PLR2004  RFC 7516 section 7.1
        raise _not_ours("not five parts")
    wrapped, nonce, _, tag = parts
    if (len(wrapped), len(nonce), len(tag)) != _PART_CHARS:
        raise _not_ours("parts of other lengths")
    header = _header_of(head)
    key = next((key for key in keys if key.thumbprint == header["kid"]), None)
    if key is None:
        raise AnswerRefused(
            "the answer is encrypted to a key that is not held here; is the one that the operator "
            "registered last among them? `gateway login --encryption-key FILE` names it"
        )
    return Opened(header["cty"], key.decrypted(text), key.thumbprint)


def _header_of(text: bytes) -> dict[str, str]:
    """Return the texts of a header that has what ours have, and nothing else.

    SECURITY: read before anything is computed with what it says, and each member once: a second reader
    (joserfc's) must not understand another header.
    """
    try:
        if len(text) > HEADER_CHARS_MAX:
            raise ValueError("too long")  # noqa: TRY301  one place says what is not a header
        document = json.loads(base64url_decoded(text.decode("ascii")), object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        raise _not_ours("an unreadable header") from error
    if not isinstance(document, dict) or document.keys() != _HEADER:
        raise _not_ours("other header members")
    epk = document.pop("epk")
    if not all(isinstance(value, str) for value in document.values()):
        raise _not_ours("header members that are no texts")
    if (document["alg"], document["enc"]) != (JWE_ALG, JWE_ENC):
        raise _not_ours("other algorithms")
    if _CONTENT_TYPE.fullmatch(document["cty"]) is None:
        raise _not_ours("another content type")
    try:
        if epk.keys() != _EPK or epk["kty"] != "EC":
            raise ValueError("no P-256 key")  # noqa: TRY301  one place says what is not an ephemeral key
        key_of(epk)
    except (ValueError, AttributeError) as error:
        raise _not_ours("another ephemeral key") from error
    return document


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is there twice")
    return members


def _not_ours(why: str) -> AnswerRefused:
    return AnswerRefused(f"the answer is not encrypted as the gateway encrypts: it has {why}")


def require_few(keys: Sequence[DecryptionKey]) -> None:
    """Make sure that there are as many keys as a client may have, and each once.

    Raises:
        ValueError: There are not.

    """
    if len(keys) > KEYS_MAX or len({key.thumbprint for key in keys}) != len(keys):
        raise ValueError(f"there are at most {KEYS_MAX} encryption keys, all different")


class Decryption:
    """What a session does about encrypted answers; without keys it does nothing."""

    def __init__(self, keys: Sequence[DecryptionKey]) -> None:
        """Take the keys.

        Raises:
            ValueError: They are more than two, or not different.

        """
        require_few(keys)
        self._keys = tuple(keys)

    def is_wanted(self, path: str) -> bool:
        """Return whether the answer at a path has to be encrypted: wherever rows or statistics could be."""
        return bool(self._keys) and _may_hold_data(path)

    def asked(self, path: str, accept: str) -> str:
        """Return the ``Accept`` to send: encrypted where there is a key, and never where there is none.

        Else an answer that nobody here opens would be paid for.
        """
        if self.is_wanted(path):
            return encrypted_accept(accept)
        if not _may_hold_data(path) or JOSE_TYPE in accept.lower():
            return accept
        return f"{accept or '*/*'}, {JOSE_TYPE}; q=0"

    def with_receipt(self, response: Response) -> Response:
        """Return an answer with the headers of its receipt in clear; they come encrypted as it does.

        Raises:
            AnswerRefused: They came otherwise.

        """
        opened_headers = {}
        for name in (PROOF_HEADER, ENTRY_HEADER):
            if name in response.headers:
                found = opened(response.headers[name].encode("ascii", "replace"), self._keys)
                opened_headers[name] = base64url(found.plaintext)
        return response.with_headers(opened_headers)

    async def opened(self, response: Response) -> Opened:
        """Return what an answer says that was asked for encrypted.

        Raises:
            AnswerRefused: It is not what was asked for.

        """
        # SECURITY: who stands between could have asked for it in clear, read it, and passed it on.
        if response.content_type != JOSE_TYPE:
            raise AnswerRefused(
                "the answer was asked for encrypted and came in clear: others could read it on its way here; "
                "tell the gateway's operator"
            )
        if len(response.body) <= INLINE_BYTES_MAX:
            return opened(response.body, self._keys)
        return await asyncio.to_thread(opened, response.body, self._keys)


def _may_hold_data(path: str) -> bool:
    return _IN_CLEAR.fullmatch(path) is None


def encrypted_accept(accept: str) -> str:
    """Return the ``Accept`` that wants the same media types, encrypted."""
    elements = []
    for element in accept.split(","):
        media_type, *parameters = [part.strip(" \t").lower() for part in element.split(";")]
        weight = "".join(f"; {part}" for part in parameters if part.startswith("q="))
        if media_type in _ANYTHING:
            elements.append(f"{JOSE_TYPE}{weight}")
        elif media_type == JOSE_TYPE:
            elements.append("; ".join([JOSE_TYPE, *parameters]))
        elif media_type == "text/*" or _MEDIA_TYPE.fullmatch(media_type):
            inside = media_type.replace("*", "csv")  # the one text that there is
            elements.append(f'{JOSE_TYPE}; cty="{inside}"{weight}')
    return ", ".join(elements) or JOSE_TYPE

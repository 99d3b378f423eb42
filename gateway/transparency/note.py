"""Signed notes (c2sp.org/signed-note): a text and Ed25519 signatures over it.

    text, ending in a newline
    (an empty line)
    (em dash) name base64(key id, signature)

A verifier key ("vkey") is spelled ``name+hash+base64(0x01, public key)``. Reading is strict: one
spelling only, no signature twice. Signatures of keys we do not know are passed over, as the
specification demands (witnesses add theirs); one of our key that fails rejects the whole note.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.transparency.tree import ProofInvalid

NOTE_BYTES_MAX: Final = 16 * 1024
SIGNATURES_MAX: Final = 32
_ED25519: Final = b"\x01"
_KEY_ID_BYTES: Final = 4
_PUBLIC_KEY_BYTES: Final = 32
_PREFIX: Final = "\u2014 "


class NoteSigner(Protocol):
    """A private key as a handle; what it signs is a note's text, ending in a newline."""

    @property
    def name(self) -> str:
        """The key's name, for a log its origin."""

    @property
    def vkey(self) -> str:
        """The public half, as ``format_vkey`` spells it."""

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of an Ed25519 signature."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierKey:
    """Who may have signed, and with which key."""

    name: str
    id: bytes
    key: Ed25519PublicKey


def format_vkey(name: str, key: Ed25519PublicKey) -> str:
    """Return the spelling of a verifier key.

    Raises:
        ValueError: An empty name, or one with a space or a plus sign.

    """
    if not _is_name(name):
        raise ValueError("a key's name has no spaces, no plus sign and no control characters")
    raw = _ED25519 + key.public_bytes_raw()
    return f"{name}+{_key_id(name, raw).hex()}+{base64.b64encode(raw).decode('ascii')}"


def parse_vkey(vkey: str) -> VerifierKey:
    """Return the verifier key that a text spells.

    Raises:
        ProofInvalid: Another form, another algorithm, or a hash that is not this key's.

    """
    parts = vkey.split("+", 2)
    if len(parts) != 3 or not _is_name(parts[0]):  # noqa: PLR2004 -- name, hash, key
        raise ProofInvalid("a verifier key reads name+hash+key")
    name, key_id, encoded = parts
    raw = decoded(encoded)
    if raw[:1] != _ED25519 or len(raw) != 1 + _PUBLIC_KEY_BYTES:
        raise ProofInvalid("the verifier key is not an Ed25519 key")
    if key_id != _key_id(name, raw).hex():
        raise ProofInvalid("the verifier key's hash is not its own")
    return VerifierKey(name=name, id=bytes.fromhex(key_id), key=Ed25519PublicKey.from_public_bytes(raw[1:]))


def sign(text: str, signer: NoteSigner) -> bytes:
    """Return a text as a note with one signature."""
    message = text.encode("utf-8")
    if not text.endswith("\n") or not _is_printable(text):
        raise ValueError("a note's text ends in a newline and has no other control characters")
    key_id = bytes.fromhex(signer.vkey.removeprefix(signer.name + "+")[: 2 * _KEY_ID_BYTES])
    signature = base64.b64encode(key_id + signer.sign(message)).decode("ascii")
    return message + f"\n{_PREFIX}{signer.name} {signature}\n".encode()


def verify(note: bytes, vkey: str) -> str:
    """Return the text of a note that the key signed.

    Raises:
        ProofInvalid: Not a note, not signed by that key, or a signature of it that does not hold.

    """
    trusted = parse_vkey(vkey)
    text, signatures = _split(note)
    found = False
    for name, key_id, signature in signatures:
        if (name, key_id) != (trusted.name, trusted.id):
            continue
        try:
            trusted.key.verify(signature, text.encode("utf-8"))
        except InvalidSignature as error:
            raise ProofInvalid("the signature does not hold") from error
        found = True
    if not found:
        raise ProofInvalid("the note is not signed by the trusted key")
    return text


def decoded(text: str) -> bytes:
    """Return the bytes of standard base64 with padding, in its one spelling (RFC 4648 section 4).

    Raises:
        ProofInvalid: Any other spelling.

    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProofInvalid("not base64") from error
    if base64.b64encode(data).decode("ascii") != text:
        raise ProofInvalid("not canonical base64")
    return data


def _split(note: bytes) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """Return the text and its signatures as (key name, key id, signature)."""
    if len(note) > NOTE_BYTES_MAX:
        raise ProofInvalid("the note is too large")
    try:
        whole = note.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProofInvalid("the note is not UTF-8") from error
    text, separator, tail = whole.rpartition("\n\n")
    if not separator or not tail.endswith("\n") or not _is_printable(whole):
        raise ProofInvalid("not a note")
    lines = tail.split("\n")[:-1]
    if len(lines) > SIGNATURES_MAX:
        raise ProofInvalid("the note has too many signatures")
    signatures = [_signature(line) for line in lines]
    if len({(name, key_id) for name, key_id, _ in signatures}) != len(signatures):
        raise ProofInvalid("a key signed twice")
    return text + "\n", signatures


def _signature(line: str) -> tuple[str, bytes, bytes]:
    name, _, encoded = line.removeprefix(_PREFIX).partition(" ")
    if not line.startswith(_PREFIX) or not _is_name(name):
        raise ProofInvalid("a signature line reads (em dash) name signature")
    raw = decoded(encoded)
    if len(raw) <= _KEY_ID_BYTES:
        raise ProofInvalid("a signature is too short")
    return name, raw[:_KEY_ID_BYTES], raw[_KEY_ID_BYTES:]


def _key_id(name: str, raw: bytes) -> bytes:
    return hashlib.sha256(name.encode("utf-8") + b"\n" + raw).digest()[:_KEY_ID_BYTES]


def _is_name(name: str) -> bool:
    return bool(name) and "+" not in name and not any(c.isspace() or c < " " for c in name)


def _is_printable(text: str) -> bool:
    return not any(c < " " and c != "\n" for c in text)

"""Signed notes (c2sp.org/signed-note): a text and Ed25519 signatures over it.

    text, ending in a newline
    (an empty line)
    (em dash) name base64(key id, signature)

A verifier key ("vkey") is spelled ``name+hash+base64(algorithm, public key)``. While a log changes its
key two of them sign, so what is trusted is a text of one or more vkeys, one a line. Reading is strict:
one spelling only, no signature twice. Signatures of keys we do not know are passed over, as the
specification demands (witnesses add theirs); one of a trusted key that fails rejects the whole note.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.transparency.tree import ProofInvalid

NOTE_BYTES_MAX: Final = 16 * 1024
SIGNATURES_MAX: Final = 32
VKEYS_MAX: Final = 32
ED25519: Final = b"\x01"
COSIGNATURE: Final = b"\x04"
"""What a key signs with it: a note as it is, or a timestamped cosignature (c2sp.org/tlog-cosignature)."""
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


class Signature(NamedTuple):
    """One signature line, unverified."""

    name: str
    key_id: bytes
    data: bytes

    @property
    def line(self) -> str:
        """The line as a note spells it, with its newline."""
        encoded = base64.b64encode(self.key_id + self.data).decode("ascii")
        return f"{_PREFIX}{self.name} {encoded}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierKey:
    """Who may have signed, and with which key."""

    name: str
    id: bytes
    key: Ed25519PublicKey

    def made(self, signature: Signature) -> bool:
        """Return whether a signature says that it is of this key."""
        return (signature.name, signature.key_id) == (self.name, self.id)


def format_vkey(name: str, key: Ed25519PublicKey, *, algorithm: bytes = ED25519) -> str:
    """Return the spelling of a verifier key.

    Raises:
        ValueError: An empty name, or one with a space or a plus sign.

    """
    if not _is_name(name):
        raise ValueError("a key's name has no spaces, no plus sign and no control characters")
    raw = algorithm + key.public_bytes_raw()
    return f"{name}+{_key_id(name, raw).hex()}+{base64.b64encode(raw).decode('ascii')}"


def parse_vkey(vkey: str, *, algorithm: bytes = ED25519) -> VerifierKey:
    """Return the verifier key that a text spells; a key of one algorithm is none of another.

    Raises:
        ProofInvalid: Another form, another algorithm, or a hash that is not this key's.

    """
    parts = vkey.split("+", 2)
    if len(parts) != 3 or not _is_name(parts[0]):  # noqa: PLR2004 -- name, hash, key
        raise ProofInvalid("a verifier key reads name+hash+key")
    name, key_id, encoded = parts
    raw = decoded(encoded)
    if raw[:1] != algorithm or len(raw) != 1 + _PUBLIC_KEY_BYTES:
        kind = "a witness's" if algorithm == COSIGNATURE else "an"
        raise ProofInvalid(f"the verifier key is not {kind} Ed25519 key")
    if key_id != _key_id(name, raw).hex():
        raise ProofInvalid("the verifier key's hash is not its own")
    return VerifierKey(name=name, id=bytes.fromhex(key_id), key=Ed25519PublicKey.from_public_bytes(raw[1:]))


def parse_vkeys(vkeys: str) -> tuple[VerifierKey, ...]:
    """Return the trusted keys of a text, one a line; a signature of any of them is enough.

    Raises:
        ProofInvalid: None, too many, or a line that is no verifier key.

    """
    lines = vkeys.split("\n")
    if len(lines) > VKEYS_MAX:
        raise ProofInvalid("too many verifier keys")
    return tuple(parse_vkey(line) for line in lines)


def sign(text: str, *signers: NoteSigner) -> bytes:
    """Return a text as a note with a signature of each signer."""
    message = text.encode("utf-8")
    if not text.endswith("\n") or not _is_printable(text):
        raise ValueError("a note's text ends in a newline and has no other control characters")
    return joined(text, [_signed(message, signer) for signer in signers])


def joined(text: str, signatures: Iterable[Signature]) -> bytes:
    """Return a text as a note with signatures that exist already."""
    return f"{text}\n{''.join(signature.line for signature in signatures)}".encode()


def verify(note: bytes, vkeys: str) -> str:
    """Return the text of a note that one of the keys signed.

    Raises:
        ProofInvalid: Not a note, signed by none of the keys, or a signature of one that does not hold.

    """
    return verified(note, parse_vkeys(vkeys))[0]


def verified(note: bytes, trusted: tuple[VerifierKey, ...]) -> tuple[str, VerifierKey]:
    """Return the text of a note and the first of its signers that is trusted.

    Raises:
        ProofInvalid: As for ``verify``.

    """
    text, signatures = split(note)
    message = text.encode("utf-8")
    found: VerifierKey | None = None
    for signature in signatures:
        key = next((key for key in trusted if key.made(signature)), None)
        if key is None:
            continue
        try:
            key.key.verify(signature.data, message)
        except InvalidSignature as error:
            raise ProofInvalid("the signature does not hold") from error
        found = found or key
    if found is None:
        raise ProofInvalid("the note is not signed by the trusted key")
    return text, found


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


def split(note: bytes) -> tuple[str, list[Signature]]:
    """Return a note's text and its signatures, unverified.

    Raises:
        ProofInvalid: Not a note.

    """
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
    if len({(name, key_id) for name, key_id, _data in signatures}) != len(signatures):
        raise ProofInvalid("a key signed twice")
    return text + "\n", signatures


def _signed(message: bytes, signer: NoteSigner) -> Signature:
    key_id = bytes.fromhex(signer.vkey.removeprefix(signer.name + "+")[: 2 * _KEY_ID_BYTES])
    return Signature(signer.name, key_id, signer.sign(message))


def _signature(line: str) -> Signature:
    name, _, encoded = line.removeprefix(_PREFIX).partition(" ")
    if not line.startswith(_PREFIX) or not _is_name(name):
        raise ProofInvalid("a signature line reads (em dash) name signature")
    raw = decoded(encoded)
    if len(raw) <= _KEY_ID_BYTES:
        raise ProofInvalid("a signature is too short")
    return Signature(name, raw[:_KEY_ID_BYTES], raw[_KEY_ID_BYTES:])


def _key_id(name: str, raw: bytes) -> bytes:
    return hashlib.sha256(name.encode("utf-8") + b"\n" + raw).digest()[:_KEY_ID_BYTES]


def _is_name(name: str) -> bool:
    return bool(name) and "+" not in name and not any(c.isspace() or c < " " for c in name)


def _is_printable(text: str) -> bool:
    return not any(c < " " and c != "\n" for c in text)

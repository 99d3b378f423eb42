"""What a witness says: at this time, the largest tree I saw of this log has this root.

A cosignature is a signature line on a checkpoint (c2sp.org/tlog-cosignature, version 1, Ed25519): eight
bytes of Unix seconds, then a signature over that time and the checkpoint's text. It says nothing about
what the log holds, only that the witness will never say another thing about a tree of that size.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from cryptography.exceptions import InvalidSignature

from gateway.transparency.note import COSIGNATURE, Signature, VerifierKey, joined, parse_vkey, split
from gateway.transparency.tree import ProofInvalid

_TIME_BYTES: Final = 8
_BYTES: Final = _TIME_BYTES + 64


def parse_witness_vkey(vkey: str) -> VerifierKey:
    """Return the key of a witness.

    Raises:
        ProofInvalid: Another form, or a key that signs another thing than cosignatures.

    """
    return parse_vkey(vkey, algorithm=COSIGNATURE)


def cosigned_message(text: str, time_s: int) -> bytes:
    """Return what a witness signs of a checkpoint's text at a time."""
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()


def cosignatures(note: bytes, vkeys: Iterable[str]) -> Mapping[str, int]:
    """Return which witnesses cosigned a note, and when (Unix seconds); the log's signature is not looked at.

    Raises:
        ProofInvalid: Not a note, or a cosignature of one of these witnesses that does not hold.

    """
    text, signatures = split(note)
    found: dict[str, int] = {}
    for vkey in vkeys:
        key = parse_witness_vkey(vkey)
        for signature in signatures:
            if key.made(signature):
                found[vkey] = _time_of(text, signature, key)
    return found


def with_cosignature(note: bytes, lines: bytes, vkey: str) -> bytes:
    """Return a note with the line of one witness added, out of the lines that it answered.

    Lines of other keys are left out: a witness speaks for itself.

    Raises:
        ProofInvalid: No valid cosignature of this witness among them.

    """
    key = parse_witness_vkey(vkey)
    text, signatures = split(note)
    answered = split(f"{text}\n".encode() + lines)[1]
    mine = [signature for signature in answered if key.made(signature)]
    if not mine:
        raise ProofInvalid("the witness did not cosign")
    _time_of(text, mine[0], key)
    return joined(text, [*(signature for signature in signatures if not key.made(signature)), mine[0]])


def _time_of(text: str, signature: Signature, key: VerifierKey) -> int:
    """Return when a witness cosigned.

    Raises:
        ProofInvalid: The cosignature does not hold.

    """
    if len(signature.data) != _BYTES:
        raise ProofInvalid("a cosignature is a time and a signature")
    time_s = int.from_bytes(signature.data[:_TIME_BYTES], "big")
    try:
        key.key.verify(signature.data[_TIME_BYTES:], cosigned_message(text, time_s))
    except InvalidSignature as error:
        raise ProofInvalid("a witness's cosignature does not hold") from error
    return time_s

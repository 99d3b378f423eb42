"""Checkpoints and receipts: what a log promised, and the proof that a reply stands in it.

A receipt is a text of c2sp.org/tlog-proof@v1: the index, the Merkle path, the signed checkpoint, and
in its ``extra`` line the salt that opens the entry's commitment to the body. ``verify_receipt`` needs
that text, the entry, the body and the log's public key: no network, no store. Every text has one
spelling: what reads well but spells otherwise is refused.

It does not prove that the log is the only one (compare checkpoints with others for that).
"""

import base64
import hmac
from binascii import b2a_base64
from dataclasses import dataclass
from typing import Final

from gateway.transparency.canonical import NotCanonical, parsed
from gateway.transparency.commitment import SALT_BYTES, commitment
from gateway.transparency.note import NoteSigner, decoded, parse_vkeys, sign, verified
from gateway.transparency.tree import HASH_BYTES, SIZE_MAX, ProofInvalid, leaf_hash, root_from_inclusion

PROOF_BYTES_MAX: Final = 20 * 1024
ENTRY_BYTES_MAX: Final = 4096
BODY_FIELD: Final = "body"
PLAIN_FIELD: Final = "plain"
"""Of a body that was encrypted, what it encrypts: under the same salt, so that a receipt opens both."""
_MAGIC: Final = "c2sp.org/tlog-proof@v1"
_PATH_MAX: Final = 63
_CHECKPOINT_LINES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The head of a tree: what a log commits to by signing."""

    origin: str
    size: int
    root: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class InclusionProof:
    """The parts of a tlog-proof; nothing in it is verified yet."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes
    """The signed note, verbatim."""
    extra: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedReceipt:
    """What a receipt proved."""

    index: int
    size: int
    origin: str
    entry: dict[str, object]


def format_checkpoint(checkpoint: Checkpoint) -> str:
    """Return the text of a checkpoint (tlog-checkpoint, without extension lines)."""
    root = base64.b64encode(checkpoint.root).decode("ascii")
    return f"{checkpoint.origin}\n{checkpoint.size}\n{root}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """Return the checkpoint that a note's text spells; extension lines are refused.

    Raises:
        ProofInvalid: Another form, or another spelling of it.

    """
    lines = text.split("\n")
    if len(lines) != _CHECKPOINT_LINES + 1 or lines[-1] or not lines[0]:
        raise ProofInvalid("a checkpoint has three lines: origin, size, root")
    root = decoded(lines[2])
    if len(root) != HASH_BYTES:
        raise ProofInvalid("the root is not 32 bytes")
    return Checkpoint(origin=lines[0], size=parse_size(lines[1]), root=root)


def sign_checkpoint(checkpoint: Checkpoint, *signers: NoteSigner) -> bytes:
    """Return a checkpoint as a note. Call only when its tree is durable: a log never unsigns."""
    if any(signer.name != checkpoint.origin for signer in signers):
        raise ValueError("a log signs under its origin")
    return sign(format_checkpoint(checkpoint), *signers)


def verify_checkpoint(note: bytes, vkey: str) -> Checkpoint:
    """Return the checkpoint that the log of this key, or of one of these keys (one a line), signed.

    Raises:
        ProofInvalid: Not signed by it, not a checkpoint, or one of another origin.

    """
    text, signer = verified(note, parse_vkeys(vkey))
    checkpoint = parse_checkpoint(text)
    if checkpoint.origin != signer.name:
        raise ProofInvalid("the checkpoint's origin is not the key's name")
    return checkpoint


def format_proof(proof: InclusionProof) -> bytes:
    """Return the text of a proof."""
    lines = b"".join(map(b2a_base64, proof.path))
    return proof_text(index=proof.index, path_lines=lines, checkpoint=proof.checkpoint, extra=proof.extra)


def proof_text(*, index: int, path_lines: bytes, checkpoint: bytes, extra: bytes) -> bytes:
    """Return the text of a proof whose path is spelt already: a line of base64 for each hash."""
    extra_line = b"extra " + b2a_base64(extra) if extra else b""
    return b"%b\n%bindex %d\n%b\n%b" % (_MAGIC.encode("ascii"), extra_line, index, path_lines, checkpoint)


def parse_proof(text: bytes) -> InclusionProof:
    """Return the parts of a proof's text, unverified.

    Raises:
        ProofInvalid: Too large, another form, or another spelling of it.

    """
    if len(text) > PROOF_BYTES_MAX:
        raise ProofInvalid("the proof is too large")
    head, separator, checkpoint = text.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise ProofInvalid("the proof's first part is not ASCII") from error
    if not separator or lines.pop(0) != _MAGIC:
        raise ProofInvalid("not a tlog-proof")
    extra = b""
    if lines and lines[0].startswith("extra "):
        extra = decoded(lines.pop(0).removeprefix("extra "))
    if not lines or not lines[0].startswith("index "):
        raise ProofInvalid("the proof names no index")
    index = parse_size(lines.pop(0).removeprefix("index "))
    if len(lines) > _PATH_MAX:
        raise ProofInvalid("the path is too long")
    proof = InclusionProof(
        index=index, path=tuple(decoded(line) for line in lines), checkpoint=checkpoint, extra=extra
    )
    if format_proof(proof) != text:
        raise ProofInvalid("not the one spelling of this proof")
    return proof


def salt_of(proof: bytes) -> bytes:
    """Return the salt that a receipt's proof carries, unverified.

    Raises:
        ProofInvalid: The text is no proof, or carries no salt.

    """
    salt = parse_proof(proof).extra
    if len(salt) != SALT_BYTES:
        raise ProofInvalid("the proof carries no salt")
    return salt


def verify_inclusion(*, proof: bytes, entry: bytes, vkey: str) -> tuple[int, Checkpoint]:
    """Return the index of an entry and the signed checkpoint of the log that holds it there.

    Raises:
        ProofInvalid: The proof does not hold.

    """
    parts = parse_proof(proof)
    checkpoint = verify_checkpoint(parts.checkpoint, vkey)
    root = root_from_inclusion(leaf_hash(entry), parts.index, checkpoint.size, parts.path)
    if not hmac.compare_digest(root, checkpoint.root):
        raise ProofInvalid("the entry does not stand in the log at that index")
    return parts.index, checkpoint


def verify_receipt(
    *, proof: bytes, entry: bytes, body: bytes | None, salt: bytes, vkey: str, plain: bytes | None = None
) -> VerifiedReceipt:
    """Return what a receipt proves: this entry stands in the log, and it commits to this body.

    Without a body only the first half is proved. ``plain`` is what an encrypted body encrypts: who has it
    proves that this was answered, without the key.

    Raises:
        ProofInvalid: The first thing wrong, named.

    """
    if len(entry) > ENTRY_BYTES_MAX:
        raise ProofInvalid("the entry is too large")
    try:
        document = parsed(entry)
    except NotCanonical as error:
        raise ProofInvalid(f"the entry is not canonical: {error}") from error
    index, checkpoint = verify_inclusion(proof=proof, entry=entry, vkey=vkey)
    if not hmac.compare_digest(salt_of(proof), salt):
        raise ProofInvalid("the salt is not the one the proof carries")
    commitments = document.get("commitments")
    for name, value, called in ((BODY_FIELD, body, "body"), (PLAIN_FIELD, plain, "plaintext")):
        stated = commitments.get(name) if isinstance(commitments, dict) else None
        if value is not None and stated != commitment(name, salt, value):
            raise ProofInvalid(f"the entry does not commit to this {called}")
    return VerifiedReceipt(index=index, size=checkpoint.size, origin=checkpoint.origin, entry=document)


def parse_size(text: str) -> int:
    """Return the number of entries, or the index, that a text spells.

    Raises:
        ProofInvalid: Not a decimal number, too large, or another spelling of it.

    """
    if not text.isascii() or not text.isdigit() or len(text) > len(str(SIZE_MAX)):
        raise ProofInvalid("not a decimal number")
    number = int(text)
    if str(number) != text or number > SIZE_MAX:
        raise ProofInvalid("not the one spelling of a number")
    return number

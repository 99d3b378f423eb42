"""The proof that an answer stands in the gateway's log, kept beside the answer.

A receipt file is JSON with members in base64url: ``receipt`` (the c2sp.org/tlog-proof text), ``entry`` (the
log entry), ``body`` (the answer's bytes) and, of an encrypted answer, ``plain`` (what they say). It verifies
offline against the log's verifier keys, which the caller must have from somewhere else than this answer. A
receipt handed to an auditor may go without them; then it proves the entry's place, and no answer.
"""

import json
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from gateway.client.failures import AnswerRefused, ClientFailure
from gateway.jose import base64url, base64url_decoded
from gateway.terms.identifiers import Thumbprint
from gateway.transparency.proof import VerifiedReceipt, salt_of, verify_receipt
from gateway.transparency.tree import ProofInvalid

PROOF_HEADER: Final = "Gateway-Receipt"
ENTRY_HEADER: Final = "Gateway-Entry"
FILE_BYTES_MAX: Final = 256 * 1024 * 1024
REFUSAL: Final = 400
_MEMBERS: Final = frozenset({"receipt", "entry", "body", "plain"})


class ReceiptUnreadable(ClientFailure, ValueError):
    """A receipt, or its file, is not what it must be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredReceipt:
    """Proof, log entry and the exact bytes that were received."""

    proof: bytes = field(repr=False)
    entry: bytes = field(repr=False)
    body: bytes | None = field(repr=False)
    """None where it was left out."""
    plain: bytes | None = field(default=None, repr=False)
    """What an encrypted body says; None where it came in clear, or was left out."""

    def verify(self, vkey: str) -> VerifiedReceipt:
        """Return where in the log of ``vkey`` (or of several keys, one a line) this very answer stands.

        Raises:
            ProofInvalid: The proof, the entry, the body, what it says, or the signature does not fit.

        """
        return verify_receipt(
            proof=self.proof,
            entry=self.entry,
            body=self.body,
            plain=self.plain,
            salt=salt_of(self.proof),
            vkey=vkey,
        )

    @property
    def place(self) -> dict[str, str]:
        """Proof and entry as the receipt file spells them; small, and text only."""
        return {"receipt": base64url(self.proof), "entry": base64url(self.entry)}

    def save(self, path: str | Path) -> None:
        """Write the receipt file; it holds the answer, so keep it as you keep the answer."""
        kept = {"body": self.body, "plain": self.plain}
        answer = {name: base64url(value) for name, value in kept.items() if value is not None}
        Path(path).write_text(json.dumps({**self.place, **answer}), encoding="ascii")

    def without_body(self) -> "StoredReceipt":
        """Return what may be handed to an auditor who must not see the answer."""
        return replace(self, body=None, plain=None)

    @classmethod
    def load(cls, path: str | Path) -> "StoredReceipt":
        """Return the receipt of a file that ``save`` wrote.

        Raises:
            ReceiptUnreadable: Not such a file.

        """
        members = _members(_read(Path(path)))
        return cls(
            proof=members["receipt"],
            entry=members["entry"],
            body=members.get("body"),
            plain=members.get("plain"),
        )


def _read(file: Path) -> bytes:
    """Return a file's bytes; a folder, a pipe or a huge file is named, not opened."""
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ReceiptUnreadable("the receipt file is no plain file")
        if status.st_size > FILE_BYTES_MAX:
            raise ReceiptUnreadable("the receipt file is too large")
        text = file.read_bytes()
    except OSError as error:
        raise ReceiptUnreadable(f"the receipt file cannot be read: {error.strerror}") from error
    if not text:
        raise ReceiptUnreadable("the receipt file is empty")
    return text


def _members(text: bytes) -> dict[str, bytes]:
    try:
        pairs = json.loads(text.decode("ascii"), object_pairs_hook=list)
    except (ValueError, RecursionError) as error:
        raise ReceiptUnreadable("the receipt file is not JSON, or its end is cut off") from error
    is_object = isinstance(pairs, list) and all(isinstance(pair, tuple) for pair in pairs)
    members = dict(pairs) if is_object else {}
    if not is_object or len(members) != len(pairs) or not members.keys() <= _MEMBERS:
        raise ReceiptUnreadable("the receipt file is no object of receipt, entry, body and plain, each once")
    for name in ("receipt", "entry"):
        if name not in members:
            raise ReceiptUnreadable(f"the receipt file has no `{name}`")
    decoded = {}
    for name, value in members.items():
        try:
            decoded[name] = base64url_decoded(value)
        except (ValueError, TypeError) as error:
            raise ReceiptUnreadable(f"`{name}` of the receipt file is not base64url") from error
    return decoded


def receipt_of(
    headers: Mapping[str, str], body: bytes, *, plain: bytes | None = None
) -> StoredReceipt | None:
    """Return the receipt that came with an answer; None where there was none.

    Raises:
        ReceiptUnreadable: There is one, but it cannot be read.

    """
    proof, entry = headers.get(PROOF_HEADER), headers.get(ENTRY_HEADER)
    if proof is None or entry is None:
        return None
    try:
        return StoredReceipt(
            proof=base64url_decoded(proof), entry=base64url_decoded(entry), body=body, plain=plain
        )
    except ValueError as error:
        is_jwe = "." in proof
        said = "encrypted, as the answer is, and its key is not held here" if is_jwe else "not base64url"
        raise ReceiptUnreadable(f"the answer's receipt is {said}") from error


def require_receipt(
    receipt: StoredReceipt | None,
    *,
    vkey: str,
    client: str,
    status: int,
    method: str,
    encrypted_to: Thumbprint | None = None,
) -> None:
    """Make sure that an answer stands in the log of ``vkey`` as this client's, with this status.

    SECURITY: of an encrypted one the log has to know the key and what it says. Else somebody on the way
    could have asked for it in clear, and encrypted what they read, or what they made up, to our public key.

    A refusal may come without a receipt: the reply that could not be recorded says just that, and
    a front may answer in the gateway's place. Neither holds data.

    Raises:
        AnswerRefused: Nothing proves that the gateway recorded what came; it must not be used.

    """
    if receipt is None:
        if status < REFUSAL:
            raise AnswerRefused("the answer came without a receipt, so nothing proves that it was recorded")
        return
    try:
        verified = verify_receipt(
            proof=receipt.proof,
            entry=receipt.entry,
            body=None if method == "HEAD" else receipt.body,  # which was recorded and not sent
            plain=receipt.plain,
            salt=salt_of(receipt.proof),
            vkey=vkey,
        )
    except ProofInvalid as error:
        raise AnswerRefused(f"the answer's receipt does not verify: {error}") from error
    facts = verified.entry.get("facts")
    facts = facts if isinstance(facts, dict) else {}
    if facts.get("status") != status:
        raise AnswerRefused("the answer's receipt is of an answer with another status")
    if status < REFUSAL and facts.get("client") != client:
        raise AnswerRefused("the answer's receipt is of another client's answer")
    if encrypted_to is not None and facts.get("encrypted_to") != encrypted_to:
        raise AnswerRefused("the answer's receipt is of an answer that was not encrypted to this key")


def verify_file(path: str | Path, vkey: str) -> VerifiedReceipt:
    """Return where in the log the answer of a receipt file stands; needs no network.

    Raises:
        ReceiptUnreadable: Not a receipt file.
        ProofInvalid: The file proves nothing; it says why.

    """
    return StoredReceipt.load(path).verify(vkey)

"""The proof that an answer stands in the gateway's log, kept beside the answer.

A receipt file is JSON with three members in base64url: ``receipt`` (the c2sp.org/tlog-proof text),
``entry`` (the log entry) and ``body`` (the answer's bytes). It verifies offline against the log's
verifier key, which the caller must have from somewhere else than this answer.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.client.failures import AnswerRefused, ClientFailure
from gateway.jose import base64url, base64url_decoded
from gateway.transparency.proof import VerifiedReceipt, salt_of, verify_receipt
from gateway.transparency.tree import ProofInvalid

PROOF_HEADER: Final = "Gateway-Receipt"
ENTRY_HEADER: Final = "Gateway-Entry"
FILE_BYTES_MAX: Final = 256 * 1024 * 1024
REFUSAL: Final = 400


class ReceiptUnreadable(ClientFailure, ValueError):
    """A receipt, or its file, is not what it must be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredReceipt:
    """Proof, log entry and the exact bytes that were received."""

    proof: bytes = field(repr=False)
    entry: bytes = field(repr=False)
    body: bytes = field(repr=False)

    def verify(self, vkey: str) -> VerifiedReceipt:
        """Return where in the log of ``vkey`` this very body stands.

        Raises:
            ProofInvalid: The proof, the entry, the body or the signature does not fit; it says which.

        """
        return verify_receipt(
            proof=self.proof, entry=self.entry, body=self.body, salt=salt_of(self.proof), vkey=vkey
        )

    @property
    def place(self) -> dict[str, str]:
        """Proof and entry as the receipt file spells them; small, and text only."""
        return {"receipt": base64url(self.proof), "entry": base64url(self.entry)}

    def save(self, path: str | Path) -> None:
        """Write the receipt file; it holds the answer, so keep it as you keep the answer."""
        text = json.dumps({**self.place, "body": base64url(self.body)})
        Path(path).write_text(text, encoding="ascii")

    @classmethod
    def load(cls, path: str | Path) -> "StoredReceipt":
        """Return the receipt of a file that ``save`` wrote.

        Raises:
            ReceiptUnreadable: Not such a file.

        """
        file = Path(path)
        if file.stat().st_size > FILE_BYTES_MAX:
            raise ReceiptUnreadable("the receipt file is too large")
        try:
            document = json.loads(file.read_text(encoding="ascii"))
            proof, entry, body = (base64url_decoded(document[name]) for name in ("receipt", "entry", "body"))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ReceiptUnreadable("not a receipt file: receipt, entry and body in base64url") from error
        return cls(proof=proof, entry=entry, body=body)


def receipt_of(headers: Mapping[str, str], body: bytes) -> StoredReceipt | None:
    """Return the receipt that came with an answer; None where there was none.

    Raises:
        ReceiptUnreadable: There is one, but it cannot be read.

    """
    proof, entry = headers.get(PROOF_HEADER), headers.get(ENTRY_HEADER)
    if proof is None or entry is None:
        return None
    try:
        return StoredReceipt(proof=base64url_decoded(proof), entry=base64url_decoded(entry), body=body)
    except ValueError as error:
        raise ReceiptUnreadable("the answer's receipt is not base64url") from error


def require_receipt(
    receipt: StoredReceipt | None, *, vkey: str, client: str, status: int, method: str
) -> None:
    """Make sure that an answer stands in the log of ``vkey`` as this client's, with this status.

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


def verify_file(path: str | Path, vkey: str) -> VerifiedReceipt:
    """Return where in the log the answer of a receipt file stands; needs no network.

    Raises:
        ReceiptUnreadable: Not a receipt file.
        ProofInvalid: The file proves nothing; it says why.

    """
    return StoredReceipt.load(path).verify(vkey)

"""An answer as it may be used: opened where it is encrypted, and proved where the log's key is known."""

from dataclasses import dataclass

from gateway.client.decryption import Decryption
from gateway.client.receipt import REFUSAL, StoredReceipt, receipt_of, require_receipt
from gateway.client.wire import Response
from gateway.terms.identifiers import Thumbprint


@dataclass(frozen=True, slots=True)
class Proved:
    """An answer in clear, with the proof of what came."""

    response: Response
    receipt: StoredReceipt | None
    encrypted_to: Thumbprint | None = None


async def proved(
    response: Response, *, method: str, client: str, log_key: str | None, decryption: Decryption | None
) -> Proved:
    """Return an answer that may be used; ``decryption`` where it was asked for encrypted.

    A refusal is never encrypted and holds no data, and to HEAD nothing is sent that could be.

    Raises:
        AnswerRefused: It is not encrypted as it has to be, or nothing proves that it was recorded.

    """
    plain = key = None
    answer = response
    if decryption is not None and response.status < REFUSAL:
        answer = response = decryption.with_receipt(response)
        if method != "HEAD":
            opened = await decryption.opened(response)
            plain, key = opened.plaintext, opened.key
            answer = response.saying(opened.content_type, plain)
    receipt = receipt_of(response.headers, response.body, plain=plain)
    if log_key is not None:
        require_receipt(
            receipt, vkey=log_key, client=client, status=response.status, method=method, encrypted_to=key
        )
    return Proved(answer, receipt, key)

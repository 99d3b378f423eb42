"""A cursor: where a page ended, sealed, so that it tells nothing but where to go on.

It is bound to one plan and one recipient by a MAC under the recipient's order key: what one question
gave serves no other, and what one firm got serves no other firm.
"""

import hashlib
import hmac
from collections.abc import Callable

from gateway.errors import MalformedRequest
from gateway.jose import base64url, base64url_decoded

CHARS_MAX = 1024
_BINDING_BYTES = 32


def sealed(content: bytes, digest: str, order_key: bytes, seal: Callable[[bytes], bytes]) -> str:
    """Return the cursor that a later request of the plan with this digest goes on from."""
    return base64url(seal(_binding(digest, order_key) + content))


def opened(cursor: object, digest: str, order_key: bytes, unseal: Callable[[bytes], bytes]) -> bytes:
    """Return what ``sealed`` sealed for the same plan and recipient.

    Raises:
        MalformedRequest: It is no cursor of this gateway, or one of another question or recipient.

    """
    if not isinstance(cursor, str) or len(cursor) > CHARS_MAX:
        raise MalformedRequest("`cursor` is a text that an earlier reply gave")
    try:
        content = unseal(base64url_decoded(cursor))
    except ValueError as error:
        raise MalformedRequest("`cursor` is not one that this gateway gave") from error
    if not hmac.compare_digest(content[:_BINDING_BYTES], _binding(digest, order_key)):
        raise MalformedRequest("`cursor` belongs to another question")
    return content[_BINDING_BYTES:]


def _binding(digest: str, order_key: bytes) -> bytes:
    return hmac.digest(order_key, b"cursor\x00" + digest.encode("ascii"), hashlib.sha256)

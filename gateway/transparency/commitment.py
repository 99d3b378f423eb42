"""Commitments: an entry shows that a value is fixed, and the value only to who holds its opening.

``base64url(SHA-256("gwc1" 0 field 0 salt value))`` with 32 random bytes of salt for each field of
each entry: without the salt nothing can be guessed, and destroying the opening leaves the entry, the
tree and every receipt valid (promise P9). The field's name is inside, so that no opening serves for
another field.
"""

import base64
import hashlib
import re
from typing import Final

SALT_BYTES: Final = 32
_FIELD: Final = re.compile(r"[a-z][a-z0-9_.-]{0,63}")


def commitment(field: str, salt: bytes, value: bytes) -> str:
    """Return the commitment to a value, base64url without padding.

    Raises:
        ValueError: A field name or a salt of the wrong form, which would make openings ambiguous.

    """
    if _FIELD.fullmatch(field) is None:
        raise ValueError("a field's name is lower-case ASCII without blanks")
    if len(salt) != SALT_BYTES:
        raise ValueError("a salt is 32 bytes")
    digest = hashlib.sha256(b"gwc1\x00" + field.encode("ascii") + b"\x00" + salt)
    digest.update(value)
    return base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode("ascii")

"""Commitments: an entry shows that a value is fixed, and the value only to who holds its opening.

``base64url(SHA-256("gwc1" 0 field 0 salt value))`` with 32 random bytes of salt for each field of
each entry: without the salt nothing can be guessed, and destroying the opening leaves the entry, the
tree and every receipt valid (promise P9). The field's name is inside, so that no opening serves for
another field.
"""

import hashlib
import re
from binascii import b2a_base64
from functools import lru_cache
from typing import Final

SALT_BYTES: Final = 32
_FIELD: Final = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


def commitment(field: str, salt: bytes, value: bytes) -> str:
    """Return the commitment to a value, base64url without padding.

    Raises:
        ValueError: A field name or a salt of the wrong form, which would make openings ambiguous.

    """
    if len(salt) != SALT_BYTES:
        raise ValueError("a salt is 32 bytes")
    digest = hashlib.sha256(_label(field) + salt)
    digest.update(value)
    return b2a_base64(digest.digest())[:-2].translate(_URL_SAFE).decode("ascii")  # 32 bytes end in `=`


@lru_cache(256)
def _label(field: str) -> bytes:
    if _FIELD.fullmatch(field) is None:
        raise ValueError("a field's name is lower-case ASCII without blanks")
    return b"gwc1\x00" + field.encode("ascii") + b"\x00"

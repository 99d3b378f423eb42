"""Passwords of operators, as argon2id hashes (RFC 9106 section 4, second recommended option).

A check costs the same whether or not the operator exists. Passwords are compared in NFKC, because
keyboards spell Vietnamese letters in more than one way (NIST SP 800-63B-4 section 3.1.1.2).
Does not throttle: that is the caller's, per source and operator.
"""

import contextlib
import unicodedata
from typing import Final

from argon2.exceptions import Argon2Error, InvalidHashError
from argon2.low_level import Type, hash_secret, hash_secret_raw, verify_secret

PASSWORD_CHARACTERS: Final = range(8, 257)
_PASSES: Final = 3
_MEMORY_KIB: Final = 64 * 1024
_LANES: Final = 4
_HASH_BYTES: Final = 32
SALT_BYTES: Final = 16

NOBODY: Final = (
    "$argon2id$v=19$m=65536,t=3,p=4$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)
"""A hash of nothing at the same cost, checked where there is no operator."""


def hash_password(password: str, salt: bytes) -> str:
    """Return the hash to keep; ``salt`` is 16 random bytes.

    Raises:
        ValueError: A password of under 8 or over 256 characters, or no text, or a salt of another size.

    """
    if len(password) not in PASSWORD_CHARACTERS:
        raise ValueError("a password has 8 to 256 characters")
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes")
    return hash_secret(
        _bytes(password),
        salt,
        time_cost=_PASSES,
        memory_cost=_MEMORY_KIB,
        parallelism=_LANES,
        hash_len=_HASH_BYTES,
        type=Type.ID,
    ).decode("ascii")


def password_matches(password_hash: str | None, password: str) -> bool:
    """Return whether the password is the one that was hashed; None (nobody) costs the same and fails."""
    given = b""
    if len(password) in PASSWORD_CHARACTERS:
        with contextlib.suppress(UnicodeEncodeError):
            given = _bytes(password)
    try:
        verify_secret((password_hash or NOBODY).encode("ascii"), given, Type.ID)
    except (Argon2Error, InvalidHashError, UnicodeEncodeError):
        return False
    return password_hash is not None  # verify_secret raises where nothing fits


def passphrase_key(passphrase: str, salt: bytes) -> bytes:
    """Return the 32-byte key that a passphrase stands for, at the same cost as a password's hash.

    Raises:
        ValueError: It is no text.

    """
    return hash_secret_raw(
        _bytes(passphrase),
        salt,
        time_cost=_PASSES,
        memory_cost=_MEMORY_KIB,
        parallelism=_LANES,
        hash_len=_HASH_BYTES,
        type=Type.ID,
    )


def _bytes(password: str) -> bytes:
    # SECURITY: strictly. JSON can carry half a surrogate, a terminal bytes that are no UTF-8: as `?`, all of
    # them would be one password.
    return unicodedata.normalize("NFKC", password).encode("utf-8")

"""Recovery codes: ten slips of paper that stand for a lost authenticator, each once.

A code is a look-up secret, something held (NIST SP 800-63B-4 section 3.1.2), so beside a password it
counts as ``otp``. It has 80 random bits, so a plain hash of it cannot be searched through; the hash is
bound to its operator. Who uses it up is the caller.
"""

import base64
import hashlib
from collections.abc import Callable
from typing import Final

CODES: Final = 10
_BYTES: Final = 10
_CHARACTERS: Final = 16
_BASE32: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_WRITTEN: Final = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's alphabet: no letter is taken for a digit."""
_READ_AS: Final = str.maketrans("oil", "011")


def new_codes(random_bytes: Callable[[int], bytes]) -> tuple[str, ...]:
    """Return ten new codes, for example ``k2vw-9x0t-3mfe-7qaz``."""
    return tuple(_written(random_bytes(_BYTES)) for _ in range(CODES))


def new_code(random_bytes: Callable[[int], bytes]) -> str:
    """Return one new code of that form, with which a person enrols."""
    return _written(random_bytes(_BYTES))


def recovery_hash(operator: str, typed: str) -> str | None:
    """Return what is kept of a code, however it was typed; None: no code looks so."""
    return _hash("recovery", operator, typed)


def enrolment_hash(operator: str, typed: str) -> str | None:
    """Return the same of a code with which a person enrols."""
    return _hash("enrolment", operator, typed)


def _hash(purpose: str, operator: str, typed: str) -> str | None:
    letters = "".join(each for each in typed[:40].lower().translate(_READ_AS) if each not in " -.")
    if len(letters) != _CHARACTERS or not set(letters) <= set(_WRITTEN):
        return None
    return hashlib.sha256(f"gw1|{purpose}|{operator}|{letters}".encode("utf-8", "surrogatepass")).hexdigest()


def _written(bits: bytes) -> str:
    letters = base64.b32encode(bits).decode("ascii").translate(str.maketrans(_BASE32, _WRITTEN))
    return "-".join(letters[start : start + 4] for start in range(0, _CHARACTERS, 4))

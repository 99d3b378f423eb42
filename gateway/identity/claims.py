"""Claims taken out of a parsed text by type: what is not exactly of the type is refused.

JSON's ``true`` is no integer, a digit string is no number, a list of one is no text (RFC 7519
sections 2 and 4.1; RFC 8725 section 3). Moments are whole seconds.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from gateway import jose
from gateway.identity.strict import refuse
from gateway.terms.identifiers import Thumbprint

FUTURE_MAX_S: Final = 10
"""How far ahead another machine's clock may be (FAPI 2.0 section 5.3.2.1)."""
JTI_CHARACTERS: Final = range(16, 129)
_THUMBPRINT_CHARACTERS: Final = 43
_SECONDS_MAX: Final = 253_402_300_799
"""The last second of year 9999, the last a datetime can hold."""
_TEXT_CHARACTERS_MAX: Final = 512
_WORD: Final = re.compile(r"[!-~]+")

Claims = Mapping[str, object]


def text_of(claims: Claims, name: str) -> str:
    """Return a claim that is a word: 1 to 512 printable characters, no space."""
    value = claims.get(name)
    if not isinstance(value, str) or len(value) > _TEXT_CHARACTERS_MAX or _WORD.fullmatch(value) is None:
        refuse(f"claim-{name}")
    return value


def seconds_of(claims: Claims, name: str) -> int:
    """Return a claim that is Unix time in whole seconds."""
    value = claims.get(name)
    if type(value) is not int or not 0 <= value <= _SECONDS_MAX:
        refuse(f"claim-{name}")
    return value


def begins_of(claims: Claims) -> int:
    """Return from when on a text holds: ``iat``, or ``nbf`` where there is one and it is later."""
    issued = seconds_of(claims, "iat")
    return max(issued, seconds_of(claims, "nbf")) if "nbf" in claims else issued


def token_id_of(claims: Claims) -> str:
    """Return ``jti``: long enough to be random, short enough to store."""
    value = text_of(claims, "jti")
    if len(value) not in JTI_CHARACTERS:
        refuse("claim-jti")
    return value


def thumbprint_of(claims: Claims, name: str) -> Thumbprint:
    """Return a claim that is the SHA-256 thumbprint of a key."""
    value = text_of(claims, name)
    if len(value) != _THUMBPRINT_CHARACTERS:
        refuse(f"claim-{name}")
    try:
        jose.base64url_decoded(value)
    except ValueError:
        refuse(f"claim-{name}")
    return Thumbprint(value)


def texts_of(claims: Claims, name: str) -> tuple[str, ...]:
    """Return a claim that is a list of texts."""
    values = claims.get(name)
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        refuse(f"claim-{name}")
    return tuple(values)


def moment(seconds: int) -> datetime:
    """Return Unix seconds as a moment."""
    return datetime.fromtimestamp(seconds, UTC)

"""Four words that two screens show, so that a person sees which client asks for activation.

The words come from the client's key and its device code; whoever sends the operator a code of their
own shows other words (RFC 8628 section 5.4, remote phishing). 64 bits as proquints: consonant and
vowel in turn, so that they can be read aloud (Wilkerson, "A Proposal for Proquints", 2009).
"""

import hashlib
from typing import Final

from gateway.terms.identifiers import Thumbprint

WORDS: Final = 4
_CONSONANTS: Final = "bdfghjklmnprstvz"
_VOWELS: Final = "aiou"


def key_phrase(thumbprint: Thumbprint, device_code_hash: bytes) -> str:
    """Return the phrase, for example ``lusab-babad-gutih-tugad``.

    It is made of the first 8 bytes of SHA-256 over ``gw1|phrase|``, the thumbprint, ``|`` and the
    hash of the device code; each 16 bits, from the top: 4 consonant, 2 vowel, 4, 2, 4.
    """
    digest = hashlib.sha256(b"gw1|phrase|" + thumbprint.encode("ascii") + b"|" + device_code_hash).digest()
    halves = (int.from_bytes(digest[2 * i : 2 * i + 2], "big") for i in range(WORDS))
    return "-".join(_word(half) for half in halves)


def _word(bits: int) -> str:
    return (
        _CONSONANTS[bits >> 12]
        + _VOWELS[bits >> 10 & 3]
        + _CONSONANTS[bits >> 6 & 15]
        + _VOWELS[bits >> 4 & 3]
        + _CONSONANTS[bits & 15]
    )

"""The root of a tree given whole (RFC 6962 section 2.1): a second way to it, for tests to compare with."""

import hashlib
from collections.abc import Iterable


def root_of(leaf_hashes: Iterable[bytes]) -> bytes:
    """The root over leaf hashes."""
    hashes = list(leaf_hashes)
    if not hashes:
        return hashlib.sha256(b"").digest()
    while len(hashes) > 1:
        pairs = zip(hashes[::2], hashes[1::2], strict=False)
        odd = hashes[-1:] if len(hashes) & 1 else []
        hashes = [hashlib.sha256(b"\x01" + left + right).digest() for left, right in pairs] + odd
    return hashes[0]

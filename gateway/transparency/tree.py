"""The Merkle tree of RFC 6962 section 2.1: hashes, roots and inclusion proofs.

A *node* (height, index) is the root of the 2^height leaves from index * 2^height on, all present.
The *right edge* of a tree holds, height by height, the root of what lies under the last node, which
may be incomplete; its last member is the root of the tree. Where nodes are kept is the caller's
business (``tiles.py`` keeps them as C2SP tiles).
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Final

HASH_BYTES: Final = 32
SIZE_MAX: Final = 2**63 - 1
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()

Node = Callable[[int, int], bytes]
"""Returns the hash of the complete node at (height, index)."""


class ProofInvalid(ValueError):
    """A proof does not prove what it is said to prove; the message names the first thing wrong."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of an entry as a leaf; the zero byte keeps leaves and nodes apart."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node over its two children."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(leaf_hashes: Iterable[bytes]) -> bytes:
    """Return the root of a tree given whole; memory grows with the logarithm of its size."""
    peaks: list[tuple[int, bytes]] = []
    for leaf in leaf_hashes:
        height, merged = 0, leaf
        while peaks and peaks[-1][0] == height:
            merged = node_hash(peaks.pop()[1], merged)
            height += 1
        peaks.append((height, merged))
    if not peaks:
        return EMPTY_ROOT
    root = peaks.pop()[1]
    while peaks:
        root = node_hash(peaks.pop()[1], root)
    return root


def right_edge(size: int, node: Node) -> tuple[bytes, ...]:
    """Return the right edge of a tree of ``size`` leaves, leaf first, root last; size is at least 1."""
    last = size - 1
    edge = [node(0, last)]
    height = 0
    while last > 0:
        below = edge[-1]
        edge.append(node_hash(node(height, last - 1), below) if last & 1 else below)
        last >>= 1
        height += 1
    return tuple(edge)


def inclusion_path(index: int, size: int, node: Node, edge: Sequence[bytes] | None = None) -> list[bytes]:
    """Return the siblings from the leaf at ``index`` up to below the root of ``size`` leaves.

    ``edge`` is the right edge of that tree; proofs of one batch share it.
    """
    if not 0 <= index < size:
        raise ValueError("the index lies outside the tree")
    edge = right_edge(size, node) if edge is None else edge
    path = []
    place, last, height = index, size - 1, 0
    while last > 0:
        sibling = place ^ 1
        if sibling < last:
            path.append(node(height, sibling))
        elif sibling == last:
            path.append(edge[height])
        place >>= 1
        last >>= 1
        height += 1
    return path


def root_from_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Return the root that a path leads to (RFC 9162 section 2.1.3.2).

    Raises:
        ProofInvalid: The index lies outside the tree, or the path has the wrong length.

    """
    if not 0 <= index < size <= SIZE_MAX:
        raise ProofInvalid("the index lies outside the tree")
    place, last, root = index, size - 1, leaf
    for sibling in path:
        if len(sibling) != HASH_BYTES:
            raise ProofInvalid("a hash of the path is not 32 bytes")
        if last == 0:
            raise ProofInvalid("the path is too long")
        if place & 1 or place == last:
            root = node_hash(sibling, root)
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        else:
            root = node_hash(root, sibling)
        place >>= 1
        last >>= 1
    if last:
        raise ProofInvalid("the path is too short")
    return root

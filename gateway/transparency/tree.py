"""The Merkle tree of RFC 6962 section 2.1: hashes, roots, proofs of inclusion and of consistency.

A *node* (height, index) is the root of the 2^height leaves from index * 2^height on, all present.
The *right edge* of a tree holds, height by height, the root of what lies under the last node, which
may be incomplete; its last member is the root of the tree. Where nodes are kept is the caller's
business (``tiles.py`` keeps them as C2SP tiles).
"""

import hashlib
from collections.abc import Callable, Sequence
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


def consistency_path(old: int, new: int, node: Node) -> list[bytes]:
    """Return the proof that the first ``old`` of ``new`` leaves are unchanged (RFC 9162 section 2.1.4.1)."""
    if not 0 <= old <= new:
        raise ValueError("a tree only grows")
    path: list[bytes] = []
    low, high = 0, new
    while low < old < high:
        half = 1 << (high - low - 1).bit_length() - 1
        if old - low <= half:
            path.append(_span_root(low + half, high, node))
            high = low + half
        else:
            path.append(_span_root(low, low + half, node))
            low += half
    if low:
        path.append(_span_root(low, high, node))
    return path[::-1]


def verify_consistency(
    *, old_size: int, old_root: bytes, new_size: int, new_root: bytes, path: Sequence[bytes]
) -> None:
    """Return if the tree of ``old_root`` is the beginning of the tree of ``new_root``.

    RFC 9162 section 2.1.4.2; its cases of size 0 and of equal sizes, which need no path, included.

    Raises:
        ProofInvalid: It is not, or the path does not show it.

    """
    if not 0 <= old_size <= new_size <= SIZE_MAX:
        raise ProofInvalid("a tree only grows")
    if any(len(node) != HASH_BYTES for node in path):
        raise ProofInvalid("a hash of the path is not 32 bytes")
    if old_size in {0, new_size}:
        if path:
            raise ProofInvalid("the path is too long")
        if old_root != (new_root if old_size else EMPTY_ROOT):
            raise ProofInvalid("the roots of one size differ")
        return
    if _roots_from_consistency(old_size, new_size, old_root, path) != (old_root, new_root):
        raise ProofInvalid("the older tree is not the beginning of the newer one")


def _roots_from_consistency(
    old_size: int, new_size: int, old_root: bytes, path: Sequence[bytes]
) -> tuple[bytes, bytes]:
    """Return the two roots that a path leads to; the older tree is neither empty nor the whole."""
    place, last = old_size - 1, new_size - 1
    while place & 1:
        place >>= 1
        last >>= 1
    siblings = iter(path)
    first = next(siblings, None) if place else old_root  # a full older tree is a node of the newer one
    if first is None:
        raise ProofInvalid("the path is too short")
    older = newer = first
    for sibling in siblings:
        if last == 0:
            raise ProofInvalid("the path is too long")
        if place & 1 or place == last:
            older, newer = node_hash(sibling, older), node_hash(sibling, newer)
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        else:
            newer = node_hash(newer, sibling)
        place >>= 1
        last >>= 1
    if last:
        raise ProofInvalid("the path is too short")
    return older, newer


def _span_root(low: int, high: int, node: Node) -> bytes:
    """Return the root of the leaves from ``low``, a multiple of a power of two not below their number."""
    width = high - low
    height = width.bit_length() - 1
    if width == 1 << height:
        return node(height, low >> height)
    return node_hash(node(height, low >> height), _span_root(low + (1 << height), high, node))

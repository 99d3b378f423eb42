"""Hash entries anew, a tile at a time, and tell the root at every size on the way.

The tree is the one of ``transparency/tree.py`` and the tiles those of ``transparency/tiles.py``, built
in whole rows instead of one leaf after the other, because a full check reads millions of entries.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from gateway.transparency.tiles import HEIGHT, WIDTH
from gateway.transparency.tree import EMPTY_ROOT, HASH_BYTES, node_hash

Rows = list[list[bytes]]
"""The hashes of a tile and, above them, every complete node of their subtree."""
_LEAF: Final = b"\x00"
_NODE: Final = b"\x01"


def rows_of(hashes: list[bytes]) -> Rows:
    """Return a tile's rows."""
    rows = [hashes]
    while len(rows[-1]) > 1:
        below = rows[-1]
        pairs = zip(below[::2], below[1::2], strict=False)  # the last of an odd row waits for its twin
        rows.append([sha256(_NODE + left + right).digest() for left, right in pairs])
    return rows


class GrowingTree:
    """A tree that grows by whole tiles of level 0. Owned by one check."""

    def __init__(self, start: int = 0, tiles: Sequence[bytes] = ()) -> None:
        """Begin after ``start`` leaves, a multiple of 256; ``tiles`` are the growing ones above level 0."""
        self._start = start
        self._upper = [_split(hashes) for hashes in tiles]
        self._peaks: list[tuple[int, bytes]] = []
        """(height, hash) of the complete subtrees that all whole tiles make, the largest first."""
        for level in range(len(self._upper), 0, -1):
            rows = rows_of(self._upper[level - 1])
            width = len(rows[0])
            self._peaks += [
                (level * HEIGHT + height, rows[height][(width >> height) - 1])
                for height in range(HEIGHT, -1, -1)
                if width >> height & 1
            ]
        self._rows: Rows = [[]]
        self._below: tuple[tuple[int, bytes], ...] = tuple(self._peaks)

    @property
    def size(self) -> int:
        return self._start + len(self._rows[0])

    def grow(self, leaves: Sequence[bytes]) -> list[tuple[int, int, bytes]]:
        """Add the entries of the next tile; only the last may have fewer than 256.

        Returns (level, number, hashes) of the tiles that became full.
        """
        self._start = self.size
        self._below = tuple(self._peaks)
        self._rows = rows_of([sha256(_LEAF + leaf).digest() for leaf in leaves])
        if len(leaves) < WIDTH:
            return []
        self._merge(HEIGHT, self._rows[HEIGHT][0])
        return [(0, self._start >> HEIGHT, b"".join(self._rows[0])), *self._lift(self._rows[HEIGHT][0])]

    def root_at(self, size: int) -> bytes:
        """Return the root at a size within the last tile, or where it begins."""
        width = size - self._start
        assert 0 <= width <= len(self._rows[0]), "a size within the last tile"  # noqa: S101
        root = b""
        for height, row in enumerate(self._rows):
            if width >> height & 1:
                node = row[(width >> height) - 1]
                root = node_hash(node, root) if root else node
        for _, node in reversed(self._below):
            root = node_hash(node, root) if root else node
        return root or EMPTY_ROOT

    def growing(self) -> list[tuple[int, int, bytes]]:
        """Return (level, number, hashes) of the tiles above level 0 that are not full."""
        whole = self.size >> HEIGHT
        return [
            (level, whole >> (HEIGHT * level), b"".join(hashes))
            for level, hashes in enumerate(self._upper, 1)
            if hashes
        ]

    def _merge(self, height: int, node: bytes) -> None:
        while self._peaks and self._peaks[-1][0] == height:
            node = node_hash(self._peaks.pop()[1], node)
            height += 1
        self._peaks.append((height, node))

    def _lift(self, root: bytes) -> list[tuple[int, int, bytes]]:
        """Put a full tile's root into the tile above, and so on while that becomes full."""
        full = []
        whole = self.size >> HEIGHT
        for level in range(1, HEIGHT):
            if len(self._upper) < level:
                self._upper.append([])
            hashes = self._upper[level - 1]
            hashes.append(root)
            if len(hashes) < WIDTH:
                break
            full.append((level, (whole >> (HEIGHT * level)) - 1, b"".join(hashes)))
            root = rows_of(hashes)[HEIGHT][0]
            self._upper[level - 1] = []
        return full


def _split(hashes: bytes) -> list[bytes]:
    return [hashes[place : place + HASH_BYTES] for place in range(0, len(hashes), HASH_BYTES)]

"""The tree as C2SP tiles (tlog-tiles): 256 hashes wide, eight levels of nodes in each.

Level 0 holds leaf hashes; a hash of level n + 1 is the root of a *full* tile of level n. ``Tiles``
keeps the right-hand, growing tile of each level open, loads full ones through a function when a
proof asks for an old node, and tells which tiles changed, so that the owner stores them.

Owner of the state: one thread. What it does not do: persist, or check what it loads (``audit`` does).
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from typing import Final

from gateway.transparency.tree import (
    EMPTY_ROOT,
    HASH_BYTES,
    SIZE_MAX,
    Node,
    node_hash,
    right_edge,
)

HEIGHT: Final = 8
WIDTH: Final = 1 << HEIGHT
_LOADED_MAX: Final = 64
"""Full tiles held in memory: 64 x 16 KiB."""

Load = Callable[[int, int, int], bytes]
"""Returns the first ``width`` hashes of the tile at (level, number, width)."""


class _Tile:
    """Hashes and, above them, every complete node of their subtree."""

    __slots__ = ("rows",)

    def __init__(self, hashes: bytes = b"") -> None:
        self.rows: list[list[bytes]] = [[] for _ in range(HEIGHT + 1)]
        for start in range(0, len(hashes), HASH_BYTES):
            self.append(hashes[start : start + HASH_BYTES])

    def append(self, leaf: bytes) -> None:
        row = self.rows[0]
        row.append(leaf)
        height = 0
        while not len(row) & 1 and height < HEIGHT:
            parent = node_hash(row[-2], row[-1])
            height += 1
            row = self.rows[height]
            row.append(parent)

    @property
    def full(self) -> bool:
        return len(self.rows[0]) == WIDTH

    @property
    def hashes(self) -> bytes:
        return b"".join(self.rows[0])


class Tiles:
    """One growing tree."""

    def __init__(self, size: int, load: Load) -> None:
        if not 0 <= size <= SIZE_MAX:
            raise ValueError("no such tree size")
        self._size = size
        self._load = load
        self._loaded: OrderedDict[tuple[int, int], _Tile] = OrderedDict()
        self._changed: dict[tuple[int, int], _Tile] = {}
        self._open: list[_Tile] = []
        level = 0
        while size >> (HEIGHT * level):
            number, width = divmod(size >> (HEIGHT * level), WIDTH)
            self._open.append(_Tile(load(level, number, width) if width else b""))
            level += 1
        if not self._open:
            self._open.append(_Tile())

    @property
    def size(self) -> int:
        return self._size

    def append(self, leaf: bytes) -> None:
        """Add a leaf hash."""
        level, value = 0, leaf
        while True:
            if level == len(self._open):
                self._open.append(_Tile())
            tile = self._open[level]
            number = self._size >> (HEIGHT * (level + 1))
            tile.append(value)
            if level or tile.full:
                self._changed[level, number] = tile
            if not tile.full:
                break
            self._keep((level, number), tile)
            self._open[level] = _Tile()
            value = tile.rows[HEIGHT][0]
            level += 1
        self._size += 1

    def changed(self) -> list[tuple[int, int, bytes]]:
        """Return (level, number, hashes) of what to store since the last call.

        The partial tile of level 0 is left out: its owner has the entries.
        """
        tiles = [(level, number, tile.hashes) for (level, number), tile in self._changed.items()]
        self._changed.clear()
        return tiles

    def node(self, height: int, index: int) -> bytes:
        """Return the hash of a complete node."""
        level, row = divmod(height, HEIGHT)
        number, offset = divmod(index, WIDTH >> row)
        return self._tile(level, number).rows[row][offset]

    def edge(self) -> tuple[bytes, ...]:
        """Return the right edge; the tree is not empty."""
        return right_edge(self._size, self.node)

    def root(self) -> bytes:
        """Return the root of the tree as it is."""
        return self.edge()[-1] if self._size else EMPTY_ROOT

    def _tile(self, level: int, number: int) -> _Tile:
        if level < len(self._open) and number == self._size >> (HEIGHT * (level + 1)):
            return self._open[level]
        tile = self._loaded.get((level, number))
        if tile is None:
            tile = _Tile(self._load(level, number, WIDTH))
            self._keep((level, number), tile)
        return tile

    def _keep(self, place: tuple[int, int], tile: _Tile) -> None:
        self._loaded[place] = tile
        if len(self._loaded) > _LOADED_MAX:
            self._loaded.popitem(last=False)


def nodes_of(size: int, load: Load) -> Node:
    """Return the nodes of a tree of which only tiles are at hand, each loaded once, as wide as in that tree.

    What is loaded is believed; a proof made of it is worth what verifying it is worth.
    """

    @cache
    def tile(level: int, number: int) -> _Tile:
        width = min(WIDTH, (size >> (HEIGHT * level)) - number * WIDTH)
        return _Tile(load(level, number, width))

    def node(height: int, index: int) -> bytes:
        level, row = divmod(height, HEIGHT)
        number, offset = divmod(index, WIDTH >> row)
        return tile(level, number).rows[row][offset]

    return node


def root_at(size: int, node: Node) -> bytes:
    """Return the root of a tree as it was at ``size``."""
    return right_edge(size, node)[-1] if size else EMPTY_ROOT

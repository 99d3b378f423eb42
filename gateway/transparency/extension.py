"""Whether one signed head follows from another, by tiles alone: what a log serves is enough to catch it.

Two heads of one log that do not follow from each other are proof that it told two stories. The tiles come
from whoever has them, and are not believed: the proof made of them holds or it does not.
"""

from collections.abc import Mapping

from gateway.transparency.proof import Checkpoint
from gateway.transparency.tile_path import TilePlace
from gateway.transparency.tiles import nodes_of
from gateway.transparency.tree import HASH_BYTES, ProofInvalid, consistency_path, verify_consistency


def tiles_between(one: Checkpoint, other: Checkpoint) -> frozenset[TilePlace]:
    """Return the tiles that show whether the smaller of two trees is the beginning of the larger."""
    asked: set[TilePlace] = set()

    def load(level: int, number: int, width: int) -> bytes:
        asked.add(TilePlace(level, number, width))
        return bytes(width * HASH_BYTES)

    old, new = sorted([one.size, other.size])
    consistency_path(old, new, nodes_of(new, load))
    return frozenset(asked)


def verify_extension(one: Checkpoint, other: Checkpoint, tiles: Mapping[TilePlace, bytes]) -> None:
    """Return if the smaller of two trees is the beginning of the larger; they may be given in any order.

    Raises:
        ProofInvalid: It is not, the heads are of different logs, or a tile is missing or of another size.

    """
    if one.origin != other.origin:
        raise ProofInvalid("the heads are of different logs")

    def load(level: int, number: int, width: int) -> bytes:
        hashes = tiles.get(TilePlace(level, number, width), b"")
        if len(hashes) != width * HASH_BYTES:
            raise ProofInvalid(f"tile {number} of level {level} is missing, or of another size")
        return hashes

    older, newer = sorted([one, other], key=lambda head: head.size)
    verify_consistency(
        old_size=older.size,
        old_root=older.root,
        new_size=newer.size,
        new_root=newer.root,
        path=consistency_path(older.size, newer.size, nodes_of(newer.size, load)),
    )

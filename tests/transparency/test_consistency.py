"""Consistency proofs against a second implementation, which knows only RFC 6962's recursion."""

import hashlib
from collections.abc import Callable

import pytest

from gateway.transparency.extension import tiles_between, verify_extension
from gateway.transparency.proof import Checkpoint
from gateway.transparency.tile_path import TilePlace
from gateway.transparency.tiles import Tiles, nodes_of, root_at
from gateway.transparency.tree import (
    EMPTY_ROOT,
    ProofInvalid,
    consistency_path,
    leaf_hash,
    verify_consistency,
)

SIZES = 40


def leaves(size: int, words: str = "") -> list[bytes]:
    return [leaf_hash(f"{words}{number}".encode()) for number in range(size)]


def naive_root(hashes: list[bytes]) -> bytes:
    if len(hashes) < 2:
        return hashes[0] if hashes else hashlib.sha256().digest()
    half = 1
    while half * 2 < len(hashes):
        half *= 2
    return hashlib.sha256(b"\x01" + naive_root(hashes[:half]) + naive_root(hashes[half:])).digest()


def naive_path(old: int, hashes: list[bytes], *, whole: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 6962 section 2.1.2, word by word."""
    if old == len(hashes):
        return [] if whole else [naive_root(hashes)]
    half = 1
    while half * 2 < len(hashes):
        half *= 2
    if old <= half:
        return [*naive_path(old, hashes[:half], whole=whole), naive_root(hashes[half:])]
    return [*naive_path(old - half, hashes[half:], whole=False), naive_root(hashes[:half])]


def a_tree(hashes: list[bytes]) -> tuple[Tiles, dict[tuple[int, int], bytes]]:
    stored: dict[tuple[int, int], bytes] = {}
    tiles = Tiles(0, lambda level, number, width: stored[level, number][: width * 32])
    for leaf in hashes:
        tiles.append(leaf)
        for level, number, data in tiles.changed():
            stored[level, number] = data
    start = len(hashes) // 256 * 256
    if start < len(hashes):
        stored[0, start // 256] = b"".join(hashes[start:])
    return tiles, stored


def test_every_proof_up_to_forty_entries_is_the_recursions_and_verifies() -> None:
    for new in range(1, SIZES + 1):
        hashes = leaves(new)
        tiles, _ = a_tree(hashes)
        for old in range(1, new + 1):
            path = consistency_path(old, new, tiles.node)
            assert path == naive_path(old, hashes)
            verify_consistency(
                old_size=old,
                old_root=naive_root(hashes[:old]),
                new_size=new,
                new_root=naive_root(hashes),
                path=path,
            )


def test_no_proof_up_to_forty_entries_survives_a_change() -> None:
    """Wrong sizes, wrong roots, nodes changed, missing, added or in another order."""
    tried = 0
    for new in range(2, SIZES + 1):
        hashes = leaves(new)
        new_root = naive_root(hashes)
        for old in range(1, new):
            old_root, path = naive_root(hashes[:old]), naive_path(old, hashes)
            changed = [
                (old, old_root, new, new_root, wrong)
                for wrong in [[], path[:-1], path[1:], [*path, new_root], [new_root, *path], path[::-1]]
                if wrong != path
            ]
            for place in range(len(path)):
                other = [*path]
                other[place] = hashlib.sha256(path[place]).digest()
                changed.append((old, old_root, new, new_root, other))
            changed += [
                (old, new_root, new, new_root, path),
                (old, old_root, new, old_root, path),
                (old, naive_root(leaves(old, "other")), new, new_root, path),
                (new, old_root, old, new_root, path),
            ]
            for case in changed:
                tried += 1
                with pytest.raises(ProofInvalid):
                    verify(*case)
    assert tried > 5000


def test_a_path_of_another_length_is_named_for_it() -> None:
    """Also where both roots are right: the sizes are then not those of the roots."""
    hashes = leaves(7)
    path, old_root, new_root = naive_path(3, hashes), naive_root(hashes[:3]), naive_root(hashes)

    with pytest.raises(ProofInvalid, match="the path is too short"):
        verify(3, old_root, 7, new_root, path[:-1])
    with pytest.raises(ProofInvalid, match="the path is too long"):
        verify(3, old_root, 7, new_root, [*path, new_root])
    with pytest.raises(ProofInvalid, match="the path is too short"):
        verify(3, old_root, 9, new_root, path)
    with pytest.raises(ProofInvalid, match="the path is too long"):
        verify(3, old_root, 4, new_root, path)
    with pytest.raises(ProofInvalid, match="the path is too short"):
        verify(3, old_root, 7, new_root, [])


def verify(old: int, old_root: bytes, new: int, new_root: bytes, path: list[bytes]) -> None:
    verify_consistency(old_size=old, old_root=old_root, new_size=new, new_root=new_root, path=path)


def test_the_empty_tree_is_the_beginning_of_every_tree_and_needs_no_path() -> None:
    verify(0, EMPTY_ROOT, 5, naive_root(leaves(5)), [])
    verify(0, EMPTY_ROOT, 0, EMPTY_ROOT, [])

    with pytest.raises(ProofInvalid, match="the roots of one size differ"):
        verify(0, naive_root(leaves(5)), 5, naive_root(leaves(5)), [])
    with pytest.raises(ProofInvalid, match="the path is too long"):
        verify(0, EMPTY_ROOT, 5, naive_root(leaves(5)), [EMPTY_ROOT])


def test_two_heads_of_one_size_are_one_head() -> None:
    root = naive_root(leaves(5))
    verify(5, root, 5, root, [])

    with pytest.raises(ProofInvalid, match="the roots of one size differ"):
        verify(5, naive_root(leaves(5, "other")), 5, root, [])


@pytest.mark.parametrize("sizes", [(-1, 3), (4, 3), (1, 2**63)])
def test_a_tree_that_shrinks_is_none(sizes: tuple[int, int]) -> None:
    with pytest.raises(ProofInvalid, match="a tree only grows"):
        verify(sizes[0], EMPTY_ROOT, sizes[1], EMPTY_ROOT, [])


def test_a_node_of_another_length_is_refused() -> None:
    hashes = leaves(7)
    path = naive_path(3, hashes)
    with pytest.raises(ProofInvalid, match="not 32 bytes"):
        verify(3, naive_root(hashes[:3]), 7, naive_root(hashes), [path[0][:-1], *path[1:]])


@pytest.mark.parametrize(("old", "new"), [(1, 257), (255, 256), (256, 257), (300, 1000), (600, 70_000)])
def test_tiles_alone_show_that_a_log_only_grew(old: int, new: int) -> None:
    hashes = leaves(new)
    tiles, stored = a_tree(hashes)
    one, other = (Checkpoint(origin="log", size=size, root=root_at(size, tiles.node)) for size in (old, new))

    served = {
        place: stored[place.level, place.number][: place.width * 32] for place in tiles_between(one, other)
    }

    verify_extension(one, other, served)
    verify_extension(other, one, served)
    assert len(served) <= 10, "a proof reads a handful of tiles"
    assert all(place.width == min(256, (new >> 8 * place.level) - 256 * place.number) for place in served)


def test_a_log_that_told_another_story_is_caught_by_its_own_tiles() -> None:
    honest, forked = leaves(300), leaves(290) + leaves(300, "x")[290:]
    _, stored = a_tree(forked)
    one = Checkpoint(origin="log", size=295, root=naive_root(honest[:295]))
    other = Checkpoint(origin="log", size=300, root=naive_root(forked))
    served = {
        place: stored[place.level, place.number][: place.width * 32] for place in tiles_between(one, other)
    }

    with pytest.raises(ProofInvalid, match="not the beginning"):
        verify_extension(one, other, served)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: {},
        lambda tiles: {place: data[:-1] for place, data in tiles.items()},
        lambda tiles: {place: data + b"x" for place, data in tiles.items()},
        lambda tiles: {place: bytes(len(data)) for place, data in tiles.items()},
    ],
)
def test_tiles_that_are_missing_short_long_or_invented_prove_nothing(
    spoil: Callable[[dict[TilePlace, bytes]], dict[TilePlace, bytes]],
) -> None:
    tiles, stored = a_tree(leaves(300))
    one, other = (Checkpoint(origin="log", size=size, root=root_at(size, tiles.node)) for size in (200, 300))
    served = {
        place: stored[place.level, place.number][: place.width * 32] for place in tiles_between(one, other)
    }

    with pytest.raises(ProofInvalid):
        verify_extension(one, other, spoil(served))


def test_heads_of_two_logs_are_not_compared() -> None:
    one, other = (Checkpoint(origin=name, size=0, root=EMPTY_ROOT) for name in ("log/2026", "log/2027"))
    with pytest.raises(ProofInvalid, match="different logs"):
        verify_extension(one, other, {})


def test_nodes_come_from_tiles_as_wide_as_the_tree_has_them() -> None:
    asked: list[tuple[int, int, int]] = []
    _, stored = a_tree(leaves(300))

    def load(level: int, number: int, width: int) -> bytes:
        asked.append((level, number, width))
        return stored[level, number][: width * 32]

    assert root_at(300, nodes_of(300, load)) == naive_root(leaves(300))
    assert sorted(asked) == [(0, 1, 44), (1, 0, 1)]

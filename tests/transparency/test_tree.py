"""The tree of RFC 6962, held against the RFC's own recursive definition and against CT's vectors."""

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from roots import root_of

from gateway.transparency.tiles import Tiles
from gateway.transparency.tree import (
    EMPTY_ROOT,
    ProofInvalid,
    inclusion_path,
    leaf_hash,
    right_edge,
    root_from_inclusion,
)


def naive_root(entries: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, word for word."""
    if not entries:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    split = naive_split(len(entries))
    parts = naive_root(entries[:split]) + naive_root(entries[split:])
    return hashlib.sha256(b"\x01" + parts).digest()


def naive_path(index: int, entries: Sequence[bytes]) -> list[bytes]:
    """PATH of RFC 6962 section 2.1.1, word for word."""
    if len(entries) == 1:
        return []
    split = naive_split(len(entries))
    if index < split:
        return [*naive_path(index, entries[:split]), naive_root(entries[split:])]
    return [*naive_path(index - split, entries[split:]), naive_root(entries[:split])]


def naive_split(size: int) -> int:
    split = 1
    while split * 2 < size:
        split *= 2
    return split


def entries_of(size: int) -> list[bytes]:
    return [f"entry {number}".encode() for number in range(size)]


def tiles_of(entries: Sequence[bytes]) -> tuple[Tiles, dict[tuple[int, int], bytes]]:
    """A tree and what its owner would have stored."""
    stored: dict[tuple[int, int], bytes] = {}

    def load(level: int, number: int, width: int) -> bytes:
        hashes = stored[level, number][: width * 32]
        assert len(hashes) == width * 32
        return hashes

    tiles = Tiles(0, load)
    for entry in entries:
        tiles.append(leaf_hash(entry))
    stored |= {(level, number): hashes for level, number, hashes in tiles.changed()}
    return tiles, stored


# The eight leaves and roots of certificate-transparency's merkle_tree_test, also in RFC 6962's own tooling.
CT_LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_certificate_transparency(size: int) -> None:
    root = root_of(leaf_hash(entry) for entry in CT_LEAVES[:size])

    assert root.hex() == CT_ROOTS[size - 1]
    assert tiles_of(CT_LEAVES[:size])[0].root() == root


def test_the_empty_tree_has_the_hash_of_nothing() -> None:
    assert root_of([]) == tiles_of([])[0].root() == EMPTY_ROOT == naive_root([])


@given(st.integers(1, 700), st.data())
def test_every_path_is_the_rfcs_and_leads_to_the_root(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    entries = entries_of(size)
    tiles, _ = tiles_of(entries)

    path = inclusion_path(index, size, tiles.node)

    assert path == naive_path(index, entries)
    assert root_from_inclusion(leaf_hash(entries[index]), index, size, path) == naive_root(entries)
    assert tiles.root() == naive_root(entries)


@given(st.integers(1, 700), st.data())
def test_a_grown_tree_still_proves_what_it_proved_when_it_was_small(size: int, data: st.DataObject) -> None:
    then = data.draw(st.integers(1, size))
    index = data.draw(st.integers(0, then - 1))
    tiles, _ = tiles_of(entries_of(size))

    assert inclusion_path(index, then, tiles.node) == naive_path(index, entries_of(then))
    assert right_edge(then, tiles.node)[-1] == naive_root(entries_of(then))


@pytest.mark.parametrize("size", [1, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 66_000])
def test_a_tree_restored_from_its_tiles_goes_on_as_if_nothing_had_happened(size: int) -> None:
    leaves = [leaf_hash(entry) for entry in entries_of(size + 3)]
    tiles, stored = tiles_of(entries_of(size))
    open_number, open_width = divmod(size, 256)
    stored[0, open_number] = b"".join(leaves[size - open_width : size])

    restored = Tiles(size, lambda level, number, width: stored[level, number][: width * 32])
    for leaf in leaves[size:]:
        restored.append(leaf)
        tiles.append(leaf)

    assert restored.root() == tiles.root() == root_of(leaves)
    for index in {0, 1, size // 2, size - 1, size, size + 2}:
        path = inclusion_path(index, size + 3, restored.node)
        assert root_from_inclusion(leaves[index], index, size + 3, path) == root_of(leaves)


def test_a_tree_of_70_000_has_the_tiles_of_the_specifications_example() -> None:
    tiles, stored = tiles_of(entries_of(70_000))

    widths = {place: len(hashes) // 32 for place, hashes in stored.items()}
    assert {place: width for place, width in widths.items() if place[0] > 0} == {
        (1, 0): 256,
        (1, 1): 17,
        (2, 0): 1,
    }
    assert sorted(number for level, number in widths if level == 0) == list(range(273))
    assert stored[2, 0] == root_of(leaf_hash(entry) for entry in entries_of(65_536))
    assert tiles.size == 70_000


@given(st.integers(1, 40), st.data())
def test_no_path_of_another_length_index_or_order_leads_anywhere_else(size: int, data: st.DataObject) -> None:
    entries = entries_of(size)
    index = data.draw(st.integers(0, size - 1))
    path = naive_path(index, entries)
    leaf, root = leaf_hash(entries[index]), naive_root(entries)

    for wrong in ([*path, root], path[:-1], [*path, b"short"]):
        if wrong != path:
            with pytest.raises(ProofInvalid):
                root_from_inclusion(leaf, index, size, wrong)
    for other in range(size):
        if other != index:
            try:
                assert root_from_inclusion(leaf, other, size, path) != root
            except ProofInvalid:
                continue


@pytest.mark.parametrize(("index", "size"), [(-1, 1), (1, 1), (0, 0), (0, 2**63), (2**63, 2**63 + 1)])
def test_an_index_outside_its_tree_is_refused(index: int, size: int) -> None:
    with pytest.raises(ProofInvalid):
        root_from_inclusion(b"\x00" * 32, index, size, [])
    with pytest.raises(ValueError, match="outside the tree"):
        inclusion_path(index, min(size, index), Tiles(0, lambda *_: b"").node)


def test_proofs_of_one_batch_may_share_the_right_edge() -> None:
    tiles, _ = tiles_of(entries_of(300))
    edge = tiles.edge()

    assert [inclusion_path(index, 300, tiles.node, edge) for index in range(300)] == [
        naive_path(index, entries_of(300)) for index in range(300)
    ]

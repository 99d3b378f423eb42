"""Tiles are read beside the writer: right at every width, never in its way, bounded."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from roots import root_of

from gateway.errors import HomeInvalid, LedgerUnavailable
from gateway.ledger.tile_reader import WAITING_MAX, TileReader
from gateway.transparency.proof import verify_checkpoint
from gateway.transparency.tile_path import TilePlace
from gateway.transparency.tree import leaf_hash, verify_consistency


async def filled(ledger: Any, build: Any, start: int, stop: int) -> None:
    await asyncio.gather(*[ledger.release(build.release(f"r-{number}")) for number in range(start, stop)])


async def hashes_of(ledger: Any, size: int) -> list[bytes]:
    return [
        leaf_hash(entry)
        for start in range(0, size, 256)
        for entry in await ledger.entries(start, start + 256)
    ]


@pytest.fixture
async def log(files: Any, build: Any) -> AsyncIterator[tuple[Any, TileReader]]:
    """A ledger of 600 entries, and a reader of its store."""
    ledger = files.open()
    await filled(ledger, build, 0, 600)
    reader = TileReader.open(files.path)
    yield ledger, reader
    reader.close()


async def test_a_tile_of_any_width_is_cut_from_the_stored_one(log: Any) -> None:
    ledger, reader = log
    hashes = await hashes_of(ledger, 600)

    for number, width in [(0, 1), (0, 77), (0, 255), (0, 256), (1, 256), (1, 3), (2, 1), (2, 88)]:
        start = 256 * number
        assert await reader.tile(TilePlace(0, number, width)) == b"".join(hashes[start : start + width])
    assert await reader.tile(TilePlace(1, 0, 1)) == root_of(hashes[:256])
    assert await reader.tile(TilePlace(1, 0, 2)) == root_of(hashes[:256]) + root_of(hashes[256:512])


@pytest.mark.parametrize(
    "place", [(0, 2, 89), (0, 2, 256), (0, 3, 1), (1, 0, 3), (2, 0, 1), (0, 2**54, 1), (63, 2**54, 256)]
)
async def test_what_the_tree_does_not_have_yet_is_not_there(log: Any, place: tuple[int, int, int]) -> None:
    _, reader = log

    assert await reader.tile(TilePlace(*place)) is None


async def test_the_reader_sees_what_the_writer_wrote_since(log: Any, build: Any) -> None:
    ledger, reader = log
    await filled(ledger, build, 600, 800)

    assert await reader.tile(TilePlace(0, 2, 256)) is not None
    assert await reader.tile(TilePlace(0, 3, 32)) is not None
    assert await reader.tile(TilePlace(0, 3, 33)) is None


async def test_roots_and_consistency_of_older_trees_follow_from_the_tiles(log: Any) -> None:
    ledger, reader = log
    hashes = await hashes_of(ledger, 600)
    head = verify_checkpoint(await ledger.checkpoint(), ledger._sequencer._signers[0].vkey)

    for old in (1, 255, 256, 257, 511, 599, 600):
        assert await reader.root_at(old) == root_of(hashes[:old])
        verify_consistency(
            old_size=old,
            old_root=root_of(hashes[:old]),
            new_size=head.size,
            new_root=head.root,
            path=await reader.consistency(old, head.size),
        )
    with pytest.raises(LedgerUnavailable, match="does not hold a tree of that size"):
        await reader.root_at(601)


async def test_more_than_can_wait_is_turned_away_and_the_ledger_goes_on(log: Any, build: Any) -> None:
    ledger, reader = log
    asked = [reader.tile(TilePlace(0, 0, 256)) for _ in range(3 * WAITING_MAX)]

    answers = await asyncio.gather(*asked, ledger.release(build.release("meanwhile")), return_exceptions=True)

    refused = [answer for answer in answers if isinstance(answer, LedgerUnavailable)]
    assert len(refused) == 2 * WAITING_MAX
    assert sum(isinstance(answer, bytes) for answer in answers) == WAITING_MAX
    assert await reader.tile(TilePlace(0, 0, 256)) is not None


async def test_a_store_that_is_not_there_is_named(files: Any) -> None:
    with pytest.raises(HomeInvalid, match="tiles cannot be read"):
        TileReader.open(files.folder / "elsewhere.sqlite")


@pytest.mark.parametrize("number", [2**54, 2**55 - 1, 2**55, 2**62, 2**63, 2**70])
async def test_a_tile_beyond_what_can_be_counted_is_not_there(number: int, log: Any) -> None:
    _, reader = log
    for level, width in ((0, 1), (0, 256), (1, 256)):
        assert await reader.tile(TilePlace(level, number, width)) is None

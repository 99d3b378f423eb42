"""What a log publishes, read from a mirror in a folder; tests/e2e/test_stranger.py reads a real gateway."""

from pathlib import Path

import pytest

from gateway.client.published import NotPublished, published
from gateway.transparency.tile_path import TilePlace


def test_a_folder_of_the_same_names_is_a_mirror(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_bytes(b"head")
    (tmp_path / "tile/0/000.p").mkdir(parents=True)
    (tmp_path / "tile/0/000.p/3").write_bytes(b"three")
    place = TilePlace(0, 0, 3)

    assert published(str(tmp_path), [place], head=True) == (b"head", {place: b"three"})
    assert published(str(tmp_path), [place], head=False) == (b"", {place: b"three"})


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotPublished, match=r"/tile/0/000` cannot be read: No such file"):
        published(str(tmp_path), [TilePlace(0, 0, 256)], head=False)

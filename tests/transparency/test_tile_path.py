"""A tile has one path, and a path that is not exactly that names none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.transparency.tile_path import TilePlace, parse_tile_path, tile_path


@pytest.mark.parametrize(
    ("place", "path"),
    [
        (TilePlace(0, 0, 256), "/tile/0/000"),
        (TilePlace(0, 1234067, 256), "/tile/0/x001/x234/067"),
        (TilePlace(1, 273, 17), "/tile/1/273.p/17"),
        (TilePlace(63, 1000, 255), "/tile/63/x001/000.p/255"),
        (TilePlace(2, 999, 1), "/tile/2/999.p/1"),
    ],
)
def test_the_specifications_spelling(place: TilePlace, path: str) -> None:
    assert tile_path(place) == path
    assert parse_tile_path(path) == place


@given(st.integers(0, 63), st.integers(0, (2**63 - 1) >> 8), st.integers(1, 256))
def test_every_place_has_a_path_that_leads_back(level: int, number: int, width: int) -> None:
    place = TilePlace(level, number, width)
    assert parse_tile_path(tile_path(place)) == place


@given(st.text(alphabet="/x.p0123456789", max_size=20))
def test_what_is_read_is_spelled_in_one_way(rest: str) -> None:
    place = parse_tile_path("/tile/" + rest)
    assert place is None or tile_path(place) == "/tile/" + rest


@pytest.mark.parametrize(
    "path",
    [
        "/tile/0/0", "/tile/0/00", "/tile/0/0000", "/tile/00/000", "/tile/64/000", "/tile/-1/000",
        "/tile/0/x000/000", "/tile/0/001/000", "/tile/0/x01/000", "/tile/0/X001/000", "/tile/0/x001",
        "/tile/0/000.p/0", "/tile/0/000.p/256", "/tile/0/000.p/300", "/tile/0/000.p/01", "/tile/0/000.p/",
        "/tile/0/000.p", "/tile/0/000/", "/tile/0/000\n", "/tile/0/000?x", "/tile//000", "tile/0/000",
        "/tile/entries/000", "/tile/data/000", "/tile/8/0/000", "/tile/0/../000",
        "/tile/0/\u0660\u0660\u0660",
        "/tile/0/x999/x999/x999/x999/x999/x999/999", "/tile/0/x001/x001/x001/x001/x001/x001/x001/001",
    ],
)  # fmt: skip
def test_another_spelling_names_no_tile(path: str) -> None:
    assert parse_tile_path(path) is None

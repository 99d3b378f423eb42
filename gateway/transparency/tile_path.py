"""Where a tile stands on the web: ``/tile/<L>/<N>[.p/<W>]`` of c2sp.org/tlog-tiles, in its one spelling.

``<N>`` is written in groups of three digits, all but the last with an ``x`` before them: 1234067 is
``x001/x234/067``. Hash tiles only: entries are not read over the web.
"""

import re
from typing import Final, NamedTuple

from gateway.transparency.tiles import HEIGHT, WIDTH
from gateway.transparency.tree import SIZE_MAX

LEVEL_MAX: Final = 63
PREFIX: Final = "/tile/"
_PATH: Final = re.compile(
    r"/tile/(0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII
)


class TilePlace(NamedTuple):
    """A tile, or the first ``width`` hashes of one."""

    level: int
    number: int
    width: int


def parse_tile_path(path: str) -> TilePlace | None:
    """Return the tile that a path names; None where it names none, or spells it in another way."""
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    level, digits, width = found.groups()
    number = int(digits.replace("x", "").replace("/", ""))
    place = TilePlace(int(level), number, int(width or WIDTH))
    if place.level > LEVEL_MAX or place.number > SIZE_MAX >> HEIGHT or place.width > WIDTH:
        return None
    return place if tile_path(place) == path else None


def tile_path(place: TilePlace) -> str:
    """Return the path of a tile."""
    groups = [f"{place.number % 1000:03}"]
    rest = place.number // 1000
    while rest:
        groups.append(f"x{rest % 1000:03}")
        rest //= 1000
    partial = "" if place.width == WIDTH else f".p/{place.width}"
    return f"{PREFIX}{place.level}/{'/'.join(reversed(groups))}{partial}"

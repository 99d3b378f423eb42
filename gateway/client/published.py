"""What a log publishes: its head at ``/checkpoint`` and its tiles, over the network or in a folder.

A mirror of a log is a folder of files with the same names, so both read alike.
"""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from gateway.client.failures import ClientFailure
from gateway.client.wire import Wire
from gateway.transparency.note import NOTE_BYTES_MAX
from gateway.transparency.tile_path import TilePlace, tile_path

TIMEOUT_S: Final = 30.0
_CHECKPOINT: Final = "/checkpoint"
_OK: Final = 200


class NotPublished(ClientFailure):
    """The log does not show what was asked of it."""


def published(log: str, places: Iterable[TilePlace], *, head: bool) -> tuple[bytes, dict[TilePlace, bytes]]:
    """Return a log's newest head (empty where it is not asked for) and tiles of it.

    ``log`` is an address, or a folder that mirrors one. Nothing of it is believed yet.

    Raises:
        NotPublished: Something is not there.
        GatewayUnreachable: No answer came.

    """
    names = {tile_path(place): place for place in places}
    wanted = [_CHECKPOINT, *names] if head else [*names]
    if log.startswith(("https://", "http://")):
        found = asyncio.run(_fetched(log, wanted))
    else:
        found = [_read(Path(log), name) for name in wanted]
    by_name = dict(zip(wanted, found, strict=True))
    return by_name.get(_CHECKPOINT, b""), {place: by_name[name] for name, place in names.items()}


async def _fetched(origin: str, names: list[str]) -> list[bytes]:
    wire = Wire(origin, tls=None, timeout_s=TIMEOUT_S)
    try:
        found = []
        for name in names:
            response = await wire.send("GET", name, message=lambda: ({}, b""))
            if response.status != _OK:
                raise NotPublished(f"{origin}{name} answers {response.status}")
            found.append(response.body)
        return found
    finally:
        await wire.close()


def _read(folder: Path, name: str) -> bytes:
    try:
        with (folder / name.removeprefix("/")).open("rb") as file:
            return file.read(NOTE_BYTES_MAX)
    except OSError as error:
        raise NotPublished(f"`{folder}{name}` cannot be read: {error.strerror}") from error

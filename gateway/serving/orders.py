"""What the main process tells a worker at its start, and what the worker says back."""

from dataclasses import dataclass, field
from typing import Final

from gateway.settings import Settings

SERVES: Final = b"serves\n"
"""A worker's one line, once it answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What a worker must know and cannot read from the home."""

    settings: Settings
    """The installation's, with this worker's share of places, threads and memory."""
    log_vkeys: str
    nonce_secret: bytes = field(repr=False)
    pseudonyms: tuple[bytes, ...] = field(repr=False)
    """The epochs' keys, which may lie nowhere but in memory."""

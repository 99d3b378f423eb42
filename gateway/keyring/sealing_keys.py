"""The keys that seal what must be opened again: the active one seals, every one opens.

A key that was replaced stays: second factors of operators and the ledger's own keys were sealed under it.
"""

import os
import time
from pathlib import Path
from typing import Final

from gateway import jose
from gateway.errors import HomeInvalid
from gateway.keyring.dated import DatedFiles, Now
from gateway.keyring.handles import MASTER_BYTES, Handle, Sealer

SEALING: Final = "sealing.key"


class SealingKeys(Handle):
    """A sealer of many keys. State: the files it read; replaced as a whole by ``reload``."""

    __slots__ = ("files",)

    def __init__(self, folder: Path, *, now: Now = time.time) -> None:
        self.files: Final = DatedFiles(
            folder, SEALING, read=_sealer, named=lambda key: key.name, kept=True, now=now
        )

    def __repr__(self) -> str:
        return f"SealingKeys(name={self.files.active.key.name!r})"

    def seal(self, purpose: str, data: bytes) -> bytes:
        """Return the data so that only ``unseal`` with the same purpose reads it or accepts it."""
        return self.files.active.key.seal(purpose, data)

    def unseal(self, purpose: str, sealed: bytes) -> bytes:
        """Return what any of the keys sealed for a purpose.

        Raises:
            ValueError: It was not sealed here, not for this purpose, or was changed.

        """
        *newer, oldest = self.files.keys
        for dated in newer:
            try:
                return dated.key.unseal(purpose, sealed)
            except ValueError:
                continue
        return oldest.key.unseal(purpose, sealed)


def new_master() -> bytes:
    """Return the file of 32 fresh bytes."""
    return jose.base64url(os.urandom(MASTER_BYTES)).encode("ascii") + b"\n"


def master_of(content: bytes, name: str) -> bytes:
    """Return the bytes in a file.

    Raises:
        HomeInvalid: It holds no key.

    """
    try:
        master = jose.base64url_decoded(content.decode("ascii").removesuffix("\n"))
    except ValueError:
        master = b""
    if len(master) != MASTER_BYTES:
        raise HomeInvalid(f"key file `{name}` holds no key of {MASTER_BYTES} bytes")
    return master


def _sealer(content: bytes, name: str) -> Sealer:
    return Sealer(master_of(content, name))

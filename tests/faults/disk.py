"""A disk that does as it is told: an ``apsw`` VFS over real files with somebody in between.

Whoever meddles gets each operation that changes the disk, before it is done, and the way to do it: he may
count it, note it, do half of it, fail it, fail it after doing it, or end the process.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import apsw

_NUMBERS = itertools.count()


@dataclass(frozen=True, slots=True)
class Operation:
    """One change of the disk."""

    kind: str
    """write, sync, truncate, delete."""
    file: str
    """Its name, without its folder."""
    offset: int = 0
    """Of a truncate: the size that is left. Of a delete: whether the folder is synced with it."""
    data: bytes = b""


Do = Callable[[Operation], None]
Meddle = Callable[[Operation, Do], None]


class Disk(apsw.VFS):  # type: ignore[misc]
    """Registered for as long as it lives; ``name`` is what a connection asks for."""

    def __init__(self, meddle: Meddle) -> None:
        self.meddle = meddle
        self.name = f"faults-{next(_NUMBERS)}"
        super().__init__(self.name, base="")

    def xOpen(self, name: Any, flags: list[int]) -> "DiskFile":  # noqa: N802 -- SQLite's name
        return DiskFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        self.meddle(
            Operation("delete", _short(filename), int(syncdir)),
            lambda _: super(Disk, self).xDelete(filename, syncdir),
        )

    def excepthook(self, *_: object) -> bool:
        """Say that no more is to be told: SQLite got the error and goes on without it."""
        return True


class DiskFile(apsw.VFSFile):  # type: ignore[misc]
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        self._name = _short(name.filename() if isinstance(name, apsw.URIFilename) else name or "")
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        do = super().xWrite
        self._disk.meddle(
            Operation("write", self._name, offset, bytes(data)), lambda done: do(done.data, done.offset)
        )

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        do = super().xTruncate
        self._disk.meddle(Operation("truncate", self._name, newsize), lambda done: do(done.offset))

    def xSync(self, flags: int) -> None:  # noqa: N802
        do = super().xSync
        self._disk.meddle(Operation("sync", self._name), lambda _: do(flags))

    def excepthook(self, *_: object) -> bool:
        """As above."""
        return True


class FlawedDisk(Disk):
    """A disk with switches for what goes wrong."""

    def __init__(self) -> None:
        self.is_full = False
        self.sync_fails = False
        self.sync_done_but_failed = False
        self.syncs = 0
        super().__init__(self._meddle)

    def _meddle(self, operation: Operation, do: Do) -> None:
        syncs = operation.kind == "sync"
        self.syncs += syncs
        if self.is_full and operation.kind == "write":
            raise apsw.FullError("no space left")
        if self.sync_fails and syncs:
            raise apsw.IOError("cannot sync")
        do(operation)
        if self.sync_done_but_failed and syncs:
            raise apsw.IOError("synced, but says it could not")


def _short(path: str) -> str:
    return path.rpartition("/")[2]

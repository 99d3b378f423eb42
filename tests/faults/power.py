"""Power losses, made from one recorded run: what the disk may look like after a cut at any moment.

The model of the disk: a write or a truncation is durable once its file was synced. Until then it may be
there or not, whole or in single sectors of 512 bytes, in any order. A file is there for good once it was
synced. A deletion, and the renaming of the head file, may come undone until any file is synced, which
makes what was done to names before it durable (a journalling file system keeps that order); a deletion
with which SQLite syncs the folder is durable at once. A file that replaced another is whole: it was synced
before it was renamed (tests/ledger/test_head_file.py).
"""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from tests.faults.disk import Do, Operation
from tests.faults.script import Answer

SECTOR = 512
HEAD = "head"


@dataclass(frozen=True, slots=True)
class HeadWritten:
    """The head file has a new content."""

    note: bytes


Event = Operation | HeadWritten | Answer


class Loss(StrEnum):
    """What becomes of the writes that were not synced."""

    ALL = "all dropped"
    SOME = "a random subset dropped"
    TORN = "torn into sectors, some dropped"
    SHUFFLED = "reordered, some dropped"
    NONE = "all there"


@dataclass(slots=True)
class Recorder:
    """Notes all that happens to a ledger's disk and all that it answers, in order."""

    head: Path
    trace: list[Event] = field(default_factory=list)
    _note: bytes = b""

    def meddle(self, operation: Operation, do: Do) -> None:
        self._look_at_head()
        do(operation)
        self.trace.append(operation)

    def tell(self, answer: Answer) -> None:
        self._look_at_head()
        self.trace.append(answer)

    def _look_at_head(self) -> None:
        note = self.head.read_bytes() if self.head.exists() else b""
        if note != self._note:
            self._note = note
            self.trace.append(HeadWritten(note))


@dataclass(slots=True)
class _File:
    """One file: what is durable (None: not there), and what was done since its last sync."""

    durable: bytes | None
    pending: list[Operation] = field(default_factory=list)
    doomed: bool = False
    """Deleted, but the folder was not synced."""


def remaining(
    before: dict[str, bytes], events: Iterable[Event], loss: Loss, chance: random.Random
) -> dict[str, bytes]:
    """Return the files that a power loss after these events leaves."""
    files = {name: _File(content) for name, content in before.items() if name != HEAD}
    heads = [before.get(HEAD)]
    for event in events:
        if isinstance(event, HeadWritten):
            heads.append(event.note)
        elif isinstance(event, Operation):
            _happen(files, event)
            if event.kind == "sync":
                heads = heads[-1:]
    left = {name: _left(file, loss, chance) for name, file in files.items()}
    left[HEAD] = heads[-1] if loss is Loss.NONE else heads[0] if loss is Loss.ALL else chance.choice(heads)
    return {name: content for name, content in left.items() if content is not None}


def _happen(files: dict[str, _File], event: Operation) -> None:
    file = files.setdefault(event.file, _File(None))
    match event.kind:
        case "sync":
            for name in [name for name, other in files.items() if other.doomed]:
                del files[name]
            file.durable = _applied(file.durable or b"", file.pending)
            file.pending = []
        case "delete" if event.offset:
            del files[event.file]
        case "delete":
            file.doomed = True
        case _ if file.doomed:  # made anew under the old name: the deletion is as durable as the new file
            files[event.file] = _File(None, [event])
        case _:
            file.pending.append(event)


def _left(file: _File, loss: Loss, chance: random.Random) -> bytes | None:
    if file.doomed and (loss is Loss.NONE or (loss is not Loss.ALL and chance.random() < 0.5)):
        return None
    survivors = list(_survivors(file.pending, loss, chance))
    if file.durable is None and not survivors:
        return None
    return _applied(file.durable or b"", survivors)


def _survivors(pending: list[Operation], loss: Loss, chance: random.Random) -> Iterator[Operation]:
    match loss:
        case Loss.ALL:
            return
        case Loss.NONE:
            yield from pending
        case Loss.SOME:
            yield from (operation for operation in pending if chance.random() < 0.5)
        case Loss.SHUFFLED:
            yield from chance.sample(pending, chance.randint(0, len(pending)))
        case Loss.TORN:
            for operation in pending:
                yield from (part for part in _sectors(operation) if chance.random() < 0.7)


def _sectors(operation: Operation) -> Iterator[Operation]:
    if operation.kind != "write":
        yield operation
        return
    start, data = operation.offset, operation.data
    at = 0
    while at < len(data):
        stop = min(len(data), at + SECTOR - (start + at) % SECTOR)
        yield Operation("write", operation.file, start + at, data[at:stop])
        at = stop


def _applied(content: bytes, operations: Iterable[Operation]) -> bytes:
    disk = bytearray(content)
    for operation in operations:
        if operation.kind == "truncate":
            del disk[operation.offset :]
            disk.extend(bytes(operation.offset - len(disk)))
        else:
            disk.extend(bytes(max(0, operation.offset - len(disk))))
            disk[operation.offset : operation.offset + len(operation.data)] = operation.data
    return bytes(disk)

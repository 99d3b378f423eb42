"""Snapshots: what questions read instead of a source. One private DuckDB file a dataset's state.

* A snapshot's name is a digest of the statement that makes it and of the source's stamp: other
  bounds, lists, persons, typing or bytes make another snapshot, and none is ever changed.
* It is written in a folder of its own and renamed when it is whole, on the disk, and the source is
  still as it was; what a crash leaves there is removed at the next start and never read.
* A source whose stamp is not the snapshot's has none: no answer is old, none mixes two states.
* Of several processes that serve one home, one at a time prepares; the next finds it made.

Folders have mode 0700, files 0600. They are not encrypted: they hold what the source beside them
holds. This file knows threads but no event loop; ``duckdb.py`` decides when to prepare.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Final

import duckdb

from gateway.engines.csv_file import CHECKED_BYTES_MAX, check_csv
from gateway.engines.database import Work, locked_database, text_of
from gateway.engines.parquet_file import opened_alike, parquet_files
from gateway.engines.preparation import (
    SNAPSHOT_FORM,
    Scan,
    Statement,
    parquet_relation,
    preparation_statement,
)
from gateway.engines.source import Stamp, StoredColumn, csv_header, resolve, stamp
from gateway.engines.typed import is_readable
from gateway.engines.unnamed import Unnamed
from gateway.errors import EngineFailed
from gateway.terms.dataset import Column, Dataset, PrivacyUnit, Source, SourceFormat
from gateway.terms.identifiers import DatasetId

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600
FILE_COLUMN: Final = "file_index"
"""DuckDB's name for which of several files a row is in."""
WORKSHOP: Final = "preparing-"
LOCK_EVERY_S: Final = 0.05
"""Between two looks at whether another process has done preparing."""
SUFFIX: Final = ".duckdb"
DESCRIBING_MB: Final = 256
FREE_BYTES_MIN: Final = 256 << 20
"""Left free on the disk whatever happens here: the ledger may live on the same one."""
GROWTH_MAX: Final = 4
"""A snapshot is expected to take at most this many times the bytes of its source."""
SPILL_SHARE: Final = 4
"""What does not fit the memory may take one of so many parts of the free disk."""

Subject = tuple[DatasetId, Source, PrivacyUnit | None, tuple[Column, ...]]
"""What a document says that a snapshot depends on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A prepared file, open, and the state of the source that it shows."""

    subject: Subject
    stamp: Stamp
    path: Path
    rows: int

    @property
    def table(self) -> str:
        """How a statement names it."""
        return f'"{self.path.stem}".snapshot'

    @property
    def state(self) -> str:
        """What tells this state of the source from others: 32 characters of lower-case hex."""
        return self.path.stem.rpartition("-")[2]


def subject_of(dataset: Dataset) -> Subject:
    """Return what a snapshot of the dataset depends on."""
    return dataset.id, dataset.source, dataset.unit, dataset.columns


class Snapshots:
    """The snapshots of one installation; at most one a dataset, the present one."""

    def __init__(
        self, folder: Path, data_folder: Path, *, memory_mb: int, questions_mb: int, threads: int
    ) -> None:
        self._folder = folder.resolve()
        self._data_folder = data_folder
        self._memory_mb = memory_mb
        self._threads = threads
        self._lock = threading.Lock()
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        folder.chmod(FOLDER_MODE)
        with self._folder_lock() as held:
            if held:  # else another process is at work there
                for left in folder.glob(WORKSHOP + "*"):
                    shutil.rmtree(left)
        # Owner of both: this object, under the lock. One database for all, so that what it keeps of their
        # files in memory is bounded once.
        self._database = locked_database((self._folder,), memory_mb=questions_mb, threads=threads)
        self._open: dict[DatasetId, Snapshot] = {}
        self._unnamed = Unnamed()

    def connect(self, dataset: Dataset) -> tuple[duckdb.DuckDBPyConnection, Snapshot] | None:
        """Return a connection of one's own and the snapshot; None: it must be prepared first.

        The connection has read the snapshot in a transaction, which keeps it attached: all statements of a
        question read this one, though another state of the source takes its place meanwhile.

        Raises:
            EngineFailed: There is no such source.

        """
        present = stamp(resolve(self._data_folder, dataset.source))
        with self._lock:
            snapshot = self._open.get(dataset.id)
            if snapshot is None or snapshot.stamp != present or snapshot.subject != subject_of(dataset):
                return None
            connection = self._database.cursor()
            connection.execute("BEGIN")
            connection.execute(f"SELECT position FROM {snapshot.table} LIMIT 0")  # noqa: S608  a digest of ours
            return connection, snapshot

    def prepare(self, dataset: Dataset, work: Work) -> None:
        """Make or find the snapshot of the source's present state; the one before it is removed.

        Raises:
            EngineFailed: The source cannot be read, changed meanwhile, or there is no room.

        """
        path = resolve(self._data_folder, dataset.source)
        state = stamp(path)
        with no_messages(dataset.source):
            scan = open_scan(path, dataset)
            statement = preparation_statement(scan)
            made = self._folder / _name(dataset, statement, state)
            self._unnamed.prepared(dataset.id, scan.unnamed)
            with self._folder_lock(work):
                if not _is_whole(made):
                    self._make(made, statement, scan, (path, state), work)
                with self._lock:
                    self._replace(dataset, state, made)
                for other in self._folder.glob(_prefix(dataset.id) + "*"):
                    if other != made:
                        other.unlink()

    def keep_only(self, datasets: Collection[DatasetId]) -> None:
        """Remove the snapshots of all other datasets."""
        with self._lock:
            for name in self._open.keys() - set(datasets):
                self._database.execute(f'DETACH "{self._open.pop(name).path.stem}"')
        kept = tuple(map(_prefix, datasets))
        for path in self._folder.glob("*" + SUFFIX):
            if not path.name.startswith(kept):
                path.unlink()

    def close(self) -> None:
        """Let go of all of them; the files stay for the next start."""
        with self._lock:
            self._open.clear()
            self._database.close()

    def _replace(self, dataset: Dataset, state: Stamp, made: Path) -> None:
        """Let questions read a made snapshot; those that read the one before go on with it."""
        old = self._open.get(dataset.id)
        is_new = old is None or old.path != made
        if is_new:
            self._database.execute(_attaching(made, "READ_ONLY"))
        counting = f'SELECT count(*) FROM "{made.stem}".snapshot'  # noqa: S608  a digest of ours
        ((rows,),) = self._database.execute(counting).fetchall()
        self._open[dataset.id] = Snapshot(subject=subject_of(dataset), stamp=state, path=made, rows=rows)
        if old is not None and is_new:
            self._database.execute(f'DETACH "{old.path.stem}"')

    @contextmanager
    def _folder_lock(self, work: Work | None = None) -> Iterator[bool]:
        """Hold the folder against other processes, waiting for it as long as there is work to do in it."""
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            while not (held := _is_locked(descriptor)) and work is not None:
                work.check()
                time.sleep(LOCK_EVERY_S)
            yield held
        finally:
            os.close(descriptor)

    def _make(
        self, made: Path, statement: Statement, scan: Scan, source: tuple[Path, Stamp], work: Work
    ) -> None:
        free = shutil.disk_usage(self._folder).free - FREE_BYTES_MIN
        growth = GROWTH_MAX * sum(file.stat().st_size for file in scan.files)
        if free < growth:
            raise EngineFailed(
                f"preparing the source `{scan.dataset.source.path}` lacks {_megabytes(growth - free)} of disk"
            )
        workshop = Path(tempfile.mkdtemp(prefix=WORKSHOP, dir=self._folder))  # mode 0700
        try:
            new = workshop / made.name
            connection = work.start(
                locked_database(
                    (*scan.files, workshop),
                    memory_mb=self._memory_mb,
                    threads=self._threads,
                    spill=(workshop / "spill", (free - growth) // SPILL_SHARE),
                )
            )
            connection.execute(_attaching(new, SNAPSHOT_FORM))
            new.chmod(FILE_MODE)
            connection.execute(f'CREATE TABLE "{new.stem}".snapshot AS {statement.sql}', statement.parameters)
            connection.execute(f'CHECKPOINT "{new.stem}"')
            work.end()
            _sync(new)
            path, state = source
            if stamp(path) != state:
                raise EngineFailed(f"the source `{scan.dataset.source.path}` changed while it was read")
            new.replace(made)
            _sync(self._folder)
        finally:
            work.end()
            shutil.rmtree(workshop)


def open_scan(path: Path, dataset: Dataset) -> Scan:
    """Return the source's files and the columns they have.

    Raises:
        EngineFailed: The files are not of the declared format, or not of one schema.
        duckdb.Error: The same; its message may quote a cell.

    """
    source = dataset.source
    if source.format is SourceFormat.CSV:
        header = csv_header(path, source.delimiter)
        return Scan((path,), dataset, tuple(StoredColumn(name=name, type="VARCHAR") for name in header))
    files = parquet_files(path)
    counts = [file.metadata.num_rows for file in opened_alike(files)] if len(files) > 1 else [0]
    with closing(locked_database(files, memory_mb=DESCRIBING_MB, threads=1)) as database:
        described = database.execute(
            f"DESCRIBE SELECT * EXCLUDE (file_row_number) FROM {parquet_relation('$paths')}",  # noqa: S608 (no value in it)
            {"paths": [str(file) for file in files]},
        ).fetchall()
    stored = tuple(StoredColumn(name=name, type=kind) for name, kind, *_ in described)
    if len(files) > 1 and any(column.name.lower() == FILE_COLUMN for column in stored):
        raise EngineFailed(f"the column `{FILE_COLUMN}` cannot be read from a folder")
    return Scan(files, dataset, stored, tuple(accumulate(counts[:-1], initial=0)))


def problems_of(path: Path, dataset: Dataset) -> tuple[str, ...]:
    """Return one sentence for each way in which the source is not as declared."""
    with no_messages(dataset.source):
        scan = open_scan(path, dataset)
    if dataset.source.format is SourceFormat.CSV:
        check_csv(path, dataset.source.delimiter, bytes_max=CHECKED_BYTES_MAX)
    types = {stored.name: stored.type for stored in scan.stored}
    declared = [column.source_name for column in dataset.columns]
    missing = [f"the source has no column `{name}`" for name in declared if name not in types]
    unread = [
        f"the column `{name}` is stored as a type that is never read"
        for name in declared
        if name in types and not is_readable(types[name])
    ]
    return (*missing, *unread)


@contextmanager
def no_messages(source: Source) -> Iterator[None]:
    """Turn what goes wrong into sentences of our own: DuckDB's quote cells, so none is chained."""
    try:
        yield
    except duckdb.InterruptException:
        said = f"preparing the source `{source.path}` was interrupted or took too long"
    except duckdb.OutOfMemoryException:
        said = f"preparing the source `{source.path}` needs more memory or disk than it may take"
    except duckdb.Error as error:
        is_text = "UTF-8" in str(error) or "UTF8" in str(error) or "string encoding" in str(error)
        what = "holds text that is not UTF-8" if is_text else f"cannot be read as {source.format.value}"
        said = f"the source `{source.path}` {what}"
    except OSError as error:
        said = f"the source `{source.path}` cannot be prepared: {os.strerror(error.errno or 0)}"
    else:
        return
    raise EngineFailed(said)


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _prefix(name: DatasetId) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16] + "-"


def _name(dataset: Dataset, statement: Statement, state: Stamp) -> str:
    """Return the name that nothing but this content has; a change of our own SQL changes it too."""
    said = repr((duckdb.__version__, SNAPSHOT_FORM, statement, state))
    return f"{_prefix(dataset.id)}{hashlib.sha256(said.encode()).hexdigest()[:32]}{SUFFIX}"


def _is_whole(made: Path) -> bool:
    """Return whether an earlier start left this snapshot, readable to its catalogue."""
    if not made.is_file():
        return False
    try:
        log = made.with_name(made.name + ".wal")  # DuckDB looks whether there is one; there is none
        with closing(locked_database((made, log), memory_mb=DESCRIBING_MB, threads=1)) as database:
            database.execute(_attaching(made, "READ_ONLY"))
            database.execute(f'SELECT position, counts FROM "{made.stem}".snapshot LIMIT 0')  # noqa: S608
    except duckdb.Error:
        return False
    return True


def _attaching(path: Path, options: str) -> str:
    return f'ATTACH {text_of(path)} AS "{path.stem}" ({options})'


def _sync(path: Path) -> None:
    """Put a file or a folder's names on the disk, so that a power cut leaves no whole name on half a file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _megabytes(size: int) -> str:
    return f"{(size >> 20) + 1:,} MB"

"""DuckDB databases that touch declared files only, and work on them that can be stopped.

No network, no extension, no other path, configuration locked. What goes wrong is a value with
constant words, so that nothing is forgotten in a thread.

SECURITY: DuckDB's messages quote cells, so no message of it leaves this file, not even chained.
"""

import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final, Generic, TypeVar

import duckdb

from gateway.errors import EngineFailed

FAILED: Final = "the engine could not answer"
"""The only words for whatever goes wrong with data: they depend on nothing (promise P5)."""

Answer = TypeVar("Answer")


def locked_database(
    paths: Sequence[Path], *, memory_mb: int, threads: int, spill: tuple[Path, int] | None = None
) -> duckdb.DuckDBPyConnection:
    """Return a database in memory that may touch ``paths`` and nothing else.

    Args:
        paths: Files of our own disk, or folders with all that is in them.
        memory_mb: The most it takes.
        threads: That work on one statement.
        spill: A private folder and the most bytes that what exceeds the memory may take there, as
            plain as the source; None: nothing is spilled.

    """
    folder, spill_bytes = ("", 0) if spill is None else (str(spill[0]), spill[1])
    database = duckdb.connect(
        ":memory:",
        config={
            "allow_community_extensions": False,
            "allow_unsigned_extensions": False,
            "allow_persistent_secrets": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "enable_external_file_cache": False,
            "python_enable_replacements": False,
            "memory_limit": f"{memory_mb}MB",
            "threads": threads,
            "temp_directory": folder,
            "max_temp_directory_size": f"{spill_bytes >> 10}KB",
            "preserve_insertion_order": True,
            "default_collation": "",
        },
    )
    # Order matters: the last setting locks all others. SET takes no parameters.
    folders = [path for path in paths if path.is_dir()]
    database.execute(f"SET allowed_paths = [{_listed(set(paths) - set(folders))}]")
    database.execute(f"SET allowed_directories = [{_listed(folders)}]")
    database.execute("SET enable_external_access = false")
    database.execute("SET lock_configuration = true")
    return database


def text_of(path: Path) -> str:
    """Return a path as SQL text, for the statements that take no parameters."""
    return "'" + str(path).replace("'", "''") + "'"


def _listed(paths: Collection[Path]) -> str:
    return ", ".join(map(text_of, paths))


class Work:
    """One piece of work's connection, and the way to stop it from another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._is_stopped = False

    def start(self, connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
        """Take over a connection: ``stop`` interrupts it, ``end`` closes it."""
        with self._lock:
            self._connection = connection
            if self._is_stopped:
                raise EngineFailed(FAILED)
            return connection

    def stop(self) -> None:
        with self._lock:
            self._is_stopped = True
            if self._connection is not None:
                self._connection.interrupt()

    def check(self) -> None:
        """Raise EngineFailed once the work is to stop, where there is no connection to interrupt."""
        if self._is_stopped:
            raise EngineFailed(FAILED)

    def end(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


class Running(Generic[Answer]):
    """Work and a thread's promise of its answer; a failure is a value, so that none is forgotten."""

    def __init__(self, pool: ThreadPoolExecutor, do: Callable[[Work], Answer]) -> None:
        self.work = Work()
        self.future: Future[Answer | EngineFailed] = pool.submit(self._run, do)

    def _run(self, do: Callable[[Work], Answer]) -> Answer | EngineFailed:
        try:
            return do(self.work)
        except EngineFailed as error:
            return error
        except Exception as error:  # noqa: BLE001 (a port raises its own family only)
            failed = EngineFailed(FAILED)
            failed.add_note(type(error).__name__)  # for the operator; the message itself may quote a cell
            return failed
        finally:
            self.work.end()

"""Files below the data folder, and nothing else: finding them, their columns, and whether they changed.

A path comes from a sharing-rules document. It is relative, names no parent, no pattern and no
scheme, and what it resolves to (symbolic links followed) lies inside the data folder.
"""

import codecs
import csv
import io
import json
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.errors import EngineFailed
from gateway.terms.dataset import Source, SourceFormat

HEADER_BYTES_MAX = 1 << 20
MEMBERS: Final = "*.parquet"
"""What of a folder is its source."""
PATTERN_CHARACTERS = frozenset("*?[]{}\\\0")
"""DuckDB reads these in a path as a glob; none of them is in the name of a source."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a file's state is known by; another stamp is another state."""

    device: int
    inode: int
    bytes: int
    modified_ns: int
    within: tuple[tuple[str, "Stamp"], ...] = ()
    """Of a folder: its Parquet files by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredColumn:
    """A column as the file has it: its name there and DuckDB's name of its type."""

    name: str
    type: str


def resolve(data_folder: Path, source: Source) -> Path:
    """Return the file of a source, or the folder of a Parquet one, every symbolic link followed.

    Raises:
        EngineFailed: The path leaves the data folder, is a pattern, or there is no file. The
            sentence quotes the document's path only.

    """
    parts = Path(source.path).parts
    if Path(source.path).is_absolute() or ".." in parts or PATTERN_CHARACTERS & set(source.path):
        raise EngineFailed(f"the source `{source.path}` is not a plain path below the data folder")
    try:
        path = (data_folder / source.path).resolve(strict=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of symbolic links
        raise EngineFailed(f"the source `{source.path}` does not exist") from error
    if not path.is_relative_to(data_folder.resolve()) or PATTERN_CHARACTERS & set(str(path)):
        raise EngineFailed(f"the source `{source.path}` is not a plain path below the data folder")
    if not path.is_file() and not (path.is_dir() and source.format is SourceFormat.PARQUET):
        raise EngineFailed(f"the source `{source.path}` is not a file")
    return path


def stamp(path: Path) -> Stamp:
    """Return the present state of a file, or of a folder and the Parquet files in it."""
    state = path.stat()
    files = sorted(path.glob(MEMBERS)) if stat.S_ISDIR(state.st_mode) else []
    within = tuple((file.name, stamp(file)) for file in files)
    return Stamp(state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, within)


def files_of(data_folder: Path, source: Source) -> frozenset[tuple[int, int]]:
    """Return device and inode of each file of a source; none if there is none."""
    try:
        state = stamp(resolve(data_folder, source))
    except (EngineFailed, OSError):
        return frozenset()
    members = [member for _, member in state.within] or [state]
    return frozenset((member.device, member.inode) for member in members)


def csv_header(path: Path, delimiter: str) -> tuple[str, ...]:
    """Return the names in the first line of a CSV (RFC 4180, UTF-8 with or without a mark).

    Raises:
        EngineFailed: There is no readable header, or a name in it is empty or stands there twice.

    """
    names = header_fields(path, delimiter)
    if not names:
        raise EngineFailed("the source has no header")
    if "" in names:
        raise EngineFailed(f"column {names.index('') + 1} of the source's header has no name")
    if twice := _twice(names):
        raise EngineFailed(f"the source has the column `{shown(twice)}` twice")
    return names


def header_fields(path: Path, delimiter: str) -> tuple[str, ...]:
    """Return the fields of the first line, whatever they are.

    Raises:
        EngineFailed: The first line is not one of a CSV.

    """
    try:
        with path.open("rb") as file:
            start = file.read(HEADER_BYTES_MAX).removeprefix(codecs.BOM_UTF8)
        # Bytes after the header are not this function's to judge, so none of them is an error here.
        text = io.StringIO(start.decode("utf-8", "surrogateescape"), newline="")
        reader = csv.reader(text, delimiter=delimiter, quotechar='"', doublequote=True, strict=True)
        names = tuple(next(reader, []))
        "".join(names).encode("utf-8")
    except (OSError, ValueError, TypeError, csv.Error):
        # SECURITY: not chained, a decoding error holds the file's bytes.
        raise EngineFailed("the first line of the source is not a header in the declared format") from None
    return names


def shown(name: str) -> str:
    """Return a name of the source as a terminal may have it: one with other than plain characters escaped."""
    return name if name.isprintable() else json.dumps(name)[1:-1]


def _twice(names: Sequence[str]) -> str | None:
    return next((name for at, name in enumerate(names) if name in names[:at]), None)

"""A source of several Parquet files: which they are, in which order, and that they have one schema.

The files of a folder stand in the order of their names; rows are numbered through them in that order.
"""

from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from gateway.engines.source import MEMBERS, PATTERN_CHARACTERS, shown
from gateway.errors import EngineFailed

FILES_MAX: Final = 10_000


def parquet_files(path: Path) -> tuple[Path, ...]:
    """Return the Parquet files of a source: itself, or those that lie in the folder it is.

    Raises:
        EngineFailed: There is none, there are too many, or one is no plain file of that folder.

    """
    if not path.is_dir():
        return (path,)
    files = tuple(sorted(path.glob(MEMBERS), key=lambda file: file.name))
    if not 0 < len(files) <= FILES_MAX:
        raise EngineFailed(f"the folder `{path.name}` has {len(files):,} files `{MEMBERS}`")
    for file in files:
        if file.is_symlink() or not file.is_file() or PATTERN_CHARACTERS & set(file.name):
            raise EngineFailed(f"`{file.name}` in the folder `{path.name}` is not a plain file")
    return files


def opened_alike(files: tuple[Path, ...]) -> tuple[pq.ParquetFile, ...]:
    """Return the files opened, all of one schema.

    Raises:
        EngineFailed: One is not Parquet, or has another schema than the first; the sentence names it.

    """
    opened = tuple(_opened(file) for file in files)
    first = opened[0].schema_arrow
    for path, file in zip(files[1:], opened[1:], strict=True):
        if difference := _difference(first, file.schema_arrow):
            raise EngineFailed(f"`{path.name}` has another schema than `{files[0].name}`: {difference}")
    return opened


def _opened(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowException):
        raise EngineFailed(f"`{path.name}` is not readable as Parquet") from None


def _difference(first: pa.Schema, other: pa.Schema) -> str:
    """Return how a schema differs in names, order or types; empty if it does not."""
    if first.names != other.names:
        odd = [
            name for name in (*first.names, *other.names) if (name in first.names) != (name in other.names)
        ]
        return (
            f"the column `{shown(odd[0])}` is in one of them only"
            if odd
            else "the columns stand in another order"
        )
    for field, same in zip(first, other, strict=True):
        if field.type != same.type:
            return f"the column `{shown(field.name)}` is of type {same.type}, not {field.type}"
    return ""

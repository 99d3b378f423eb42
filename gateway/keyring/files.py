"""Key files on disk: made whole or not at all, and read only while nobody else can read them.

Files are 0600 in a folder 0700. A folder is filled beside its place and renamed into it, so that a
crash leaves no half keyring. Reading checks the opened file itself, not its name, and follows no
link. No message holds what a file holds.
"""

import errno
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gateway.errors import HomeInvalid

FILE_BYTES_MAX: Final = 4096
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Make a folder with these files, durably.

    Raises:
        HomeInvalid: Something is there already, or the disk refuses.

    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise HomeInvalid("the key folder is not empty; keys are never written over")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))  # mode 0700
        try:
            for name, content in files.items():
                _write(fresh / name, content)
            _sync_folder(fresh)
            fresh.rename(folder)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        _sync_folder(folder.parent)
    except OSError as error:
        raise HomeInvalid(f"the key folder cannot be made: {error.strerror}") from error


def read_private(folder: Path, name: str) -> bytes:
    """Return a key file's content.

    Raises:
        HomeInvalid: It is missing, not a plain file, too large, or open to others than its owner.

    """
    try:
        _require_private(folder.stat(), folder.name)
        descriptor = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            _require_private(status, name)
            if not stat.S_ISREG(status.st_mode) or status.st_size > FILE_BYTES_MAX:
                raise HomeInvalid(f"key file `{name}` is not a small plain file")
            return file.read(FILE_BYTES_MAX)
    except OSError as error:
        raise HomeInvalid(f"key file `{name}` cannot be read: {error.strerror}") from error


def read_plain(path: Path, bytes_max: int) -> bytes:
    """Return a public file's content, read once; a link, a pipe or a device is not followed, nor waited for.

    Raises:
        OSError: It is missing, not a plain file, or larger; ``filename`` is the path.

    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no plain file", str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(bytes_max + 1)
    finally:
        os.close(descriptor)
    if len(content) > bytes_max:
        raise OSError(errno.EFBIG, f"it is larger than {bytes_max} bytes", str(path))
    return content


def write_new(path: Path, content: bytes) -> None:
    """Make a file of mode 0600, durably.

    Raises:
        HomeInvalid: There is one already, or the disk refuses.

    """
    try:
        _write(path, content)
        _sync_folder(path.parent)
    except OSError as error:
        raise HomeInvalid(f"`{path}` cannot be made: {error.strerror}") from error


def put_private(folder: Path, name: str, content: bytes) -> None:
    """Put one file into the folder, whole and durable, in place of the one of that name.

    Raises:
        HomeInvalid: The disk refuses.

    """
    try:
        put_all({folder / name: write_beside(folder / name, content)})
    except OSError as error:
        raise HomeInvalid(f"file `{name}` cannot be written: {error.strerror}") from error


def write_beside(place: Path, content: bytes) -> Path:
    """Make a file of mode 0600 beside the place that it is for, durably, and return where it is.

    Raises:
        OSError: The disk refuses; nothing is left.

    """
    fresh = place.with_name(f".{place.name}-{secrets.token_hex(4)}")
    try:
        _write(fresh, content)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    return fresh


def put_all(fresh: Mapping[Path, Path | None]) -> None:
    """Rename files into their places, in order and durably; None: the file in that place goes.

    Raises:
        OSError: The disk refuses.

    """
    for place, file in fresh.items():
        if file is None:
            place.unlink(missing_ok=True)
        else:
            file.replace(place)
    for folder in {place.parent for place, file in fresh.items() if file is not None}:
        _sync_folder(folder)


def move_private(folder: Path, name: str, to: str | None) -> None:
    """Rename a file within the folder, durably; ``to`` is None to remove it.

    Raises:
        HomeInvalid: The disk refuses.

    """
    try:
        if to is None:
            (folder / name).unlink(missing_ok=True)
        else:
            (folder / name).replace(folder / to)
        _sync_folder(folder)
    except OSError as error:
        raise HomeInvalid(f"key file `{name}` cannot be moved: {error.strerror}") from error


def _require_private(status: os.stat_result, name: str) -> None:
    if status.st_mode & _OTHERS:
        raise HomeInvalid(f"`{name}` can be read by others; take their rights away (chmod go-rwx)")
    if status.st_uid != os.geteuid():
        raise HomeInvalid(f"`{name}` belongs to another user")


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

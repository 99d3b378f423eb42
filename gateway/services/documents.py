"""The home's ``policies`` folder: documents, signatures and cases, each read once and put whole.

    ID.yaml        the document          tests/ID.yaml    the cases that it was signed with, if any
    ID.yaml.sig    the signature

What is read here is judged elsewhere, on these very bytes. Links are not followed.
"""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.errors import Fault, HomeInvalid
from gateway.keyring.files import put_all, read_plain, write_beside
from gateway.policy.read import BYTES_MAX
from gateway.transparency.note import NOTE_BYTES_MAX

FOLDER: Final = "policies"
SUFFIX: Final = ".yaml"
SIGNATURE: Final = ".sig"
CASES: Final = "tests"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedDocument:
    """One revision as it was found or sent; nothing in it is checked yet."""

    name: str
    """Of its file, without ``SUFFIX``: the dataset's id."""
    text: bytes = field(repr=False)
    note: bytes | None = field(default=None, repr=False)
    """None: nobody signed it."""
    cases: bytes | None = field(default=None, repr=False)
    """What tests it; the gateway keeps it beside the document and does not read it."""

    @property
    def file(self) -> str:
        """The name that faults show."""
        return self.name + SUFFIX


def read_document(path: Path) -> SignedDocument:
    """Return a document with the signature beside it.

    Raises:
        OSError: One of the files cannot be read, is no plain file, or is too large.

    """
    return SignedDocument(
        name=path.name.removesuffix(SUFFIX),
        text=read_plain(path, BYTES_MAX),
        note=_beside(path.with_name(path.name + SIGNATURE), NOTE_BYTES_MAX),
    )


def read_cases(path: Path) -> bytes | None:
    """Return the cases beside a document; None: there are none.

    Raises:
        OSError: They cannot be read, are no plain file, or are too large.

    """
    return _beside(path.parent / CASES / path.name, BYTES_MAX)


def read_documents(folder: Path) -> Mapping[str, SignedDocument | Fault]:
    """Return every document of a folder by its name, or why it cannot be read.

    Raises:
        HomeInvalid: The folder cannot be listed, so nobody knows which documents are gone.

    """
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.name.endswith(SUFFIX))
    except OSError as error:
        raise HomeInvalid(f"`{folder.name}` of the home cannot be listed: {error.strerror}") from error
    return {name.removesuffix(SUFFIX): _found(folder / name) for name in names}


@dataclass(frozen=True, slots=True)
class Staged:
    """A revision's files, durable beside their places under names that nobody reads."""

    name: str
    fresh: Mapping[Path, Path | None]

    def put(self) -> None:
        """Put the revision in place of the one before.

        A crash in between leaves a signature that is over other bytes: then the last good revision serves
        until it is put again.

        Raises:
            OSError: The disk refuses.

        """
        put_all(self.fresh)

    def discard(self) -> None:
        """Remove what was not put."""
        for file in self.fresh.values():
            if file is not None:
                with contextlib.suppress(OSError):
                    file.unlink(missing_ok=True)


def stage_document(folder: Path, document: SignedDocument) -> Staged:
    """Write a revision beside its places; ``document`` has been judged, its name too.

    Raises:
        HomeInvalid: The disk refuses; nothing is left.

    """
    contents = {
        folder / CASES / document.file: document.cases,
        folder / (document.file + SIGNATURE): document.note,
        folder / document.file: document.text,
    }
    fresh: dict[Path, Path | None] = {}
    try:
        if document.cases is not None:
            (folder / CASES).mkdir(mode=0o700, exist_ok=True)
        for place, content in contents.items():
            fresh[place] = None if content is None else write_beside(place, content)
    except OSError as error:
        Staged(document.name, fresh).discard()
        raise HomeInvalid(f"`{document.file}` cannot be written: {error.strerror}") from error
    return Staged(document.name, fresh)


def _found(path: Path) -> SignedDocument | Fault:
    try:
        return read_document(path)
    except OSError as error:
        name = Path(error.filename or path).name  # a disk that fails names none
        return Fault(name, 1, 1, f"the file cannot be read: {error.strerror}")


def _beside(path: Path, bytes_max: int) -> bytes | None:
    try:
        return read_plain(path, bytes_max)
    except FileNotFoundError:
        return None
